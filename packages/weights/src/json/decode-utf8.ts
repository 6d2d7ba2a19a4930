const decoder = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });

/** Decodes UTF-8 strictly: no replacement characters, no byte order mark swallowed. `problem` gets the offset of the fault. */
export function decodeUtf8(bytes: Uint8Array, problem: (offset: number) => Error): string {
  try {
    return decoder.decode(bytes);
  } catch {
    throw problem(faultOffset(bytes));
  }
}

/** The length of the longest prefix that decodes: found by halving, as `TextDecoder` does not say. */
function faultOffset(bytes: Uint8Array): number {
  let good = 0;
  let bad = bytes.length;
  while (bad - good > 1) {
    const middle = (good + bad) >> 1;
    // `stream` accepts a sequence that is merely cut off at the middle.
    const probe = new TextDecoder("utf-8", { fatal: true });
    try {
      probe.decode(bytes.subarray(0, middle), { stream: true });
      good = middle;
    } catch {
      bad = middle;
    }
  }
  return good;
}
