type Flight = { promise: Promise<unknown>; controller: AbortController; waiting: number };

const flights = new WeakMap<object, Map<string, Flight>>();

/**
 * Runs one job for all who ask for the same thing at the same time. Who aborts leaves alone; the job itself is aborted
 * when nobody waits for it any more.
 */
export async function singleFlight<T>(
  owner: object,
  key: string,
  signal: AbortSignal | undefined,
  run: (signal: AbortSignal) => Promise<T>,
): Promise<T> {
  signal?.throwIfAborted();
  const mine = flights.get(owner) ?? new Map<string, Flight>();
  flights.set(owner, mine);
  let flight = mine.get(key);
  if (!flight) {
    const controller = new AbortController();
    const promise = run(controller.signal).finally(() => mine.delete(key));
    flight = { promise, controller, waiting: 0 };
    mine.set(key, flight);
  }
  const joined = flight;
  joined.waiting++;
  const leave = (): void => {
    // A job that is given up must not be joined by who comes next.
    if (--joined.waiting === 0) {
      if (mine.get(key) === joined) mine.delete(key);
      joined.controller.abort(signal?.reason);
    }
  };
  return new Promise<T>((resolve, reject) => {
    const onAbort = (): void => {
      reject(signal?.reason);
      leave();
    };
    signal?.addEventListener("abort", onAbort, { once: true });
    (joined.promise as Promise<T>).then(resolve, reject).finally(() => {
      if (!signal?.aborted) joined.waiting--;
      signal?.removeEventListener("abort", onAbort);
    });
  });
}
