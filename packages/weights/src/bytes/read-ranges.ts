import type { ByteSource } from "./byte-source.ts";

type Range = { readonly begin: number; readonly end: number };

/** Ranges up to this size are read together with their neighbours: one request costs more than copying them apart. */
const SMALL = 1 << 20;
/** Neighbours may lie this far apart, and joined reads grow to `MAX_JOINED`. */
const GAP = 64 << 10;
const MAX_JOINED = 8 << 20;
/** Reads under way at a time, to hide the latency of a network. */
const PARALLEL = 4;

/**
 * Reads many ranges with few reads. Results come in the order asked for, each in a buffer of its own, so that none
 * keeps another alive and any typed array fits.
 */
export async function readRanges(
  source: ByteSource,
  ranges: readonly Range[],
  signal?: AbortSignal,
): Promise<Uint8Array<ArrayBuffer>[]> {
  const out = new Array<Uint8Array<ArrayBuffer>>(ranges.length);
  const jobs = joinNeighbours(ranges);
  const worker = async (): Promise<void> => {
    for (let job = jobs.shift(); job; job = jobs.shift()) {
      const bytes = await source.read(job.begin, job.end, signal);
      for (const index of job.indices) {
        const { begin, end } = ranges[index]!;
        out[index] = job.indices.length === 1 ? bytes : bytes.slice(begin - job.begin, end - job.begin);
      }
    }
  };
  try {
    await Promise.all(Array.from({ length: Math.min(PARALLEL, jobs.length) }, worker));
  } finally {
    jobs.length = 0;
  }
  return out;
}

type Job = { begin: number; end: number; indices: number[] };

function joinNeighbours(ranges: readonly Range[]): Job[] {
  const order = ranges.map((_, i) => i).sort((a, b) => ranges[a]!.begin - ranges[b]!.begin);
  const jobs: Job[] = [];
  let open: Job | undefined;
  for (const index of order) {
    const { begin, end } = ranges[index]!;
    const small = end - begin <= SMALL;
    if (small && open && begin <= open.end + GAP && end - open.begin <= MAX_JOINED) {
      open.end = Math.max(open.end, end);
      open.indices.push(index);
    } else {
      const job = { begin, end, indices: [index] };
      jobs.push(job);
      open = small ? job : undefined;
    }
  }
  return jobs;
}
