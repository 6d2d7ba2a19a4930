import type { Program } from "../graph/program.ts";
import type { Device, Prepared } from "./device.ts";

/** Least-recently-used cache of prepared programs, per device. */
export class PlanCache {
  readonly #limit: number;
  readonly #plans = new WeakMap<Device, Map<string, Promise<Prepared>>>();

  constructor(limit = 256) {
    this.#limit = limit;
  }

  get(device: Device, program: Program): Promise<Prepared> {
    let plans = this.#plans.get(device);
    if (!plans) this.#plans.set(device, (plans = new Map()));
    let plan = plans.get(program.key);
    if (plan) plans.delete(program.key);
    else {
      plan = device.prepare(program);
      plan.catch(() => plans.delete(program.key));
    }
    plans.set(program.key, plan);
    if (plans.size > this.#limit) {
      const [oldest] = plans.keys();
      plans.get(oldest!)?.then(
        (old) => old.dispose(),
        () => {},
      );
      plans.delete(oldest!);
    }
    return plan;
  }
}
