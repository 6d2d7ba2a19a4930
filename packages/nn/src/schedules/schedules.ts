/** The usual schedules. All warm up linearly over the first `warmup` steps: lr·(t + 1)/warmup, as OpenCLIP does. */
import { VlmError } from "@vlm/core";
import { type Arithmetic, type Schedule, schedule } from "./schedule.ts";

export type Warmup = {
  /** Steps of linear warm-up. Default 0. */
  warmup?: number;
};

/** The warm-up before `after` begins; that is given the step counted from there. */
function warmed<T>(m: Arithmetic<T>, step: T, lr: number, warmup: number, after: (since: T) => T): T {
  const since = m.add(step, m.number(-warmup));
  if (warmup === 0) return after(since);
  const rising = m.mul(m.add(step, m.number(1)), m.number(lr / warmup));
  return m.ifLess(step, m.number(warmup), rising, after(m.max(since, m.number(0))));
}

/** `lr` at every step after the warm-up. */
export function constantRate(lr: number, { warmup = 0 }: Warmup = {}): Schedule {
  check("constantRate", lr, warmup, warmup + 1);
  return schedule((m, step) => warmed(m, step, lr, warmup, () => m.number(lr)));
}

/**
 * Half a cosine from `lr` to `end` (default 0) at `steps`, then `end`: Loshchilov & Hutter 2017, eq. 5 without restarts.
 */
export function cosine(lr: number, options: Warmup & { steps: number; end?: number }): Schedule {
  const { warmup = 0, steps, end = 0 } = options;
  check("cosine", lr, warmup, steps);
  return schedule((m, step) =>
    warmed(m, step, lr, warmup, (since) => {
      const share = m.min(m.mul(since, m.number(1 / (steps - warmup))), m.number(1));
      const fall = m.add(m.mul(m.cos(m.mul(share, m.number(Math.PI))), m.number(0.5)), m.number(0.5));
      return m.add(m.mul(fall, m.number(lr - end)), m.number(end));
    }),
  );
}

/** A straight line from `lr` to `end` (default 0) at `steps`, then `end`. */
export function linear(lr: number, options: Warmup & { steps: number; end?: number }): Schedule {
  const { warmup = 0, steps, end = 0 } = options;
  check("linear", lr, warmup, steps);
  return schedule((m, step) =>
    warmed(m, step, lr, warmup, (since) => {
      const share = m.min(m.mul(since, m.number(1 / (steps - warmup))), m.number(1));
      return m.add(m.mul(share, m.number(end - lr)), m.number(lr));
    }),
  );
}

/** lr·factor^⌊t / every⌋, counted after the warm-up. */
export function stepped(lr: number, options: Warmup & { every: number; factor?: number }): Schedule {
  const { warmup = 0, every, factor = 0.1 } = options;
  check("stepped", lr, warmup, warmup + every);
  return schedule((m, step) =>
    warmed(m, step, lr, warmup, (since) => {
      // The half keeps exact multiples of `every` on the right side of the division's rounding.
      const times = m.floor(m.div(m.add(since, m.number(0.5)), m.number(every)));
      return m.mul(m.exp(m.mul(times, m.number(Math.log(factor)))), m.number(lr));
    }),
  );
}

/** lr·√(warmup / t) after the warm-up: Vaswani et al. 2017, eq. 3. */
export function inverseRoot(lr: number, { warmup }: { warmup: number }): Schedule {
  check("inverseRoot", lr, warmup, warmup + 1);
  return schedule((m, step) =>
    warmed(m, step, lr, warmup, (since) =>
      m.div(m.number(lr * Math.sqrt(warmup)), m.sqrt(m.add(since, m.number(Math.max(1, warmup))))),
    ),
  );
}

function check(name: string, lr: number, warmup: number, steps: number): void {
  if (lr >= 0 && Number.isFinite(lr) && warmup >= 0 && steps > warmup) return;
  throw new VlmError("ArgumentError", "SCHEDULE", {
    what: `${name}: rate ${lr}, warm-up ${warmup}, steps ${steps}`,
    hint: "the rate is a finite number, 0 or more, and the steps outnumber those of the warm-up",
  });
}
