import type { Backend } from "../../src/backends/backend.ts";
import { type DType, type HostArray, hostArray, isFloat, roundTo } from "../../src/dtype.ts";
import { interpret } from "../../src/ir/interpret.ts";
import type { Schedule } from "../../src/ir/kernel.ts";
import { generator } from "./random-schedules.ts";

/** Host arrays for a schedule's inputs. */
export function inputsOf(schedule: Schedule, seed: number): HostArray[] {
  const random = generator(seed ^ 0x5bd1e995);
  const out: HostArray[] = [];
  for (const { role, position, dtype, size } of schedule.buffers) {
    if (role !== "input") continue;
    const data = hostArray(dtype, size);
    for (let at = 0; at < size; at++) data[at] = sample(dtype, random());
    out[position] = data;
  }
  return out;
}

function sample(dtype: DType, unit: number): number {
  if (isFloat(dtype)) return roundTo(dtype, Math.round((unit * 4 - 2) * 64) / 64);
  if (dtype === "bool") return unit < 0.5 ? 0 : 1;
  if (dtype === "i32") return Math.floor(unit * 200) - 100;
  return Math.floor(unit * 200);
}

const outputSpecs = (schedule: Schedule) =>
  schedule.buffers.filter((b) => b.role === "output").sort((a, b) => a.position - b.position);

/** Runs a schedule on a backend, outputs poisoned first; several times, with a pause that lets workers get the plan. */
export async function runOn(
  backend: Backend,
  schedule: Schedule,
  inputs: readonly HostArray[],
  times = 1,
): Promise<HostArray[]> {
  const executable = await backend.prepare(schedule);
  if (times > 1) await new Promise((resolve) => setTimeout(resolve, 2));
  const from = inputs.map((data, at) => {
    const spec = schedule.buffers.find((b) => b.role === "input" && b.position === at)!;
    const buffer = backend.allocate(spec.dtype, spec.size);
    backend.write(buffer, data);
    return buffer;
  });
  const to = outputSpecs(schedule).map(({ dtype, size }) => {
    const buffer = backend.allocate(dtype, size);
    backend.write(buffer, hostArray(dtype, size).fill(isFloat(dtype) ? Number.NaN : 77));
    return buffer;
  });
  for (let n = 0; n < times; n++) await backend.run(executable, from, to);
  const out = await Promise.all(to.map((buffer) => backend.read(buffer)));
  for (const buffer of [...from, ...to]) backend.free(buffer);
  executable.dispose();
  return out;
}

/** What the interpreter makes of the same inputs. */
export function expected(schedule: Schedule, inputs: readonly HostArray[]): HostArray[] {
  const out = outputSpecs(schedule).map(({ dtype, size }) => hostArray(dtype, size));
  interpret(schedule, inputs, out);
  return out;
}

/** Relative steps of each float dtype. */
const EPSILON: Partial<Record<DType, number>> = { f32: 2 ** -23, f16: 2 ** -10, bf16: 2 ** -7 };

/**
 * The first difference, or null. Floats may differ by some units and, for sums, by a fraction of the greatest value;
 * integers and bools that were made from floats may differ by one where the float is near a step.
 */
export function difference(schedule: Schedule, got: readonly HostArray[], want: readonly HostArray[]): string | null {
  for (const [at, { dtype }] of outputSpecs(schedule).entries()) {
    const [a, b] = [got[at]!, want[at]!];
    const finite = [...b].filter((x) => Number.isFinite(x)).map(Math.abs);
    const scale = finite.reduce((most, x) => Math.max(most, x), 1e-3);
    const epsilon = EPSILON[dtype];
    for (let i = 0; i < b.length; i++) {
      if (Object.is(a[i], b[i]) || a[i] === b[i]) continue;
      const apart = Math.abs(a[i]! - b[i]!);
      const allowed = epsilon === undefined ? 1 + scale * 2 ** -20 : Math.abs(b[i]!) * epsilon * 4 + scale * 2 ** -20;
      if (!(apart <= allowed))
        return `output ${at} (${dtype}) element ${i}: ${a[i]} instead of ${b[i]}, scale ${scale}`;
    }
  }
  return null;
}
