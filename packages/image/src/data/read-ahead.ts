/** A sample, or why there is none. */
export type Loaded<Sample> = { ok: true; sample: Sample } | { ok: false; error: unknown };

/** Samples in order, made ahead of their use. */
export type ReadAhead<Sample> = {
  /** The next one; called once for each. */
  next: () => Promise<Loaded<Sample>>;
  /** Starts no more of them. */
  stop: () => void;
};

/**
 * Loads samples number `from` to `end - 1`, `concurrency` of them at a time and at most `window` that are not yet taken.
 * They come in order, whichever is done first.
 */
export function readAhead<Sample>(
  load: (number: number) => Sample | Promise<Sample>,
  { from, end, concurrency, window }: { from: number; end: number; concurrency: number; window: number },
): ReadAhead<Sample> {
  const ready: Promise<Loaded<Sample>>[] = [];
  let at = from;
  let active = 0;
  let stopped = false;
  const start = async (number: number): Promise<Loaded<Sample>> => {
    // `load` may fail before it first waits; nothing of it may run inside the loop that starts it.
    await undefined;
    try {
      return { ok: true, sample: await load(number) };
    } catch (error) {
      return { ok: false, error };
    } finally {
      active--;
      fill();
    }
  };
  const fill = (): void => {
    while (!stopped && active < concurrency && ready.length < window && at < end) {
      active++;
      ready.push(start(at));
      at++;
    }
  };
  return {
    next: () => {
      fill();
      const first = ready.shift()!;
      fill();
      return first;
    },
    stop: () => {
      stopped = true;
    },
  };
}
