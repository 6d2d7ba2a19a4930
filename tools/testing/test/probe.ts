/** What the browser tests rely on: the entry of testing.test.ts. */
export async function probe(): Promise<{
  adapter: string | null;
  isolated: boolean;
  evaluated: boolean;
  wasm: boolean;
}> {
  const adapter = (await navigator.gpu?.requestAdapter()) ?? null;
  let evaluated = true;
  try {
    new Function("return 1")();
  } catch {
    evaluated = false;
  }
  const empty = new Uint8Array([0, 0x61, 0x73, 0x6d, 1, 0, 0, 0]);
  return {
    adapter: adapter && `${adapter.info.vendor} ${adapter.info.architecture}`,
    isolated: crossOriginIsolated,
    evaluated,
    wasm: (await WebAssembly.compile(empty)) instanceof WebAssembly.Module,
  };
}

export function add(a: number, b: number): number {
  return a + b;
}
