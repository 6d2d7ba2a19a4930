/** The k-th call of the device fails, for k = 1, 2, 3 … until the scenario succeeds. */
import { Cell, compile, grad, tensor, useDevice } from "@vlm/core";
import { afterAll, describe, expect, it } from "vitest";
import { createWebGpuBackend, type WebGpuBackend } from "../../src/backends/webgpu/index.ts";
import { isVlmError } from "../../src/errors.ts";
import { schedulingDevice } from "../../src/runtime/scheduling-device.ts";
import { type Fault, faultyDevice } from "./faulty-device.ts";
import { chain } from "./schedules.ts";

afterAll(async () => {
  await useDevice("js");
});

const N = 8;
const data = Float32Array.from({ length: N * N }, (_, i) => i % 7);

type Scenario = {
  want: readonly number[];
  options?: { submitWork: number };
  /** Gives everything back, whatever happens. */
  run(backend: WebGpuBackend): Promise<number[]>;
};

/** Prepares, writes, runs twice, reads. */
const loadAndRun: Scenario = {
  want: Array.from({ length: N }, (_, r) => {
    let sum = 0;
    for (let i = 0; i < N; i++) sum += 2 * data[r * N + i]!;
    return sum * 2 * data[r]!;
  }),
  async run(backend) {
    const buffers = new Set<ReturnType<WebGpuBackend["allocate"]>>();
    const allocate = (size: number) => {
      const buffer = backend.allocate("f32", size);
      buffers.add(buffer);
      return buffer;
    };
    const dispose: (() => void)[] = [];
    try {
      const executable = await backend.prepare(chain(N));
      dispose.push(() => executable.dispose());
      const x = allocate(N * N);
      const y = allocate(N);
      backend.write(x, data);
      const runs = [backend.run(executable, [x], [y]), backend.run(executable, [x], [y])];
      const [result] = await Promise.all([backend.read(y), ...runs]);
      return [...result!];
    } finally {
      for (const buffer of buffers) backend.free(buffer);
      for (const each of dispose) each();
    }
  },
};

/** Writes and reads back, several sizes at once. */
const readBack: Scenario = {
  want: [0, 1, 2, 0, 1, 2, 3, 4, 5, 6],
  async run(backend) {
    const buffers = new Set<ReturnType<WebGpuBackend["allocate"]>>();
    try {
      const reads = [3, 7].map((size) => {
        const buffer = backend.allocate("f32", size);
        buffers.add(buffer);
        backend.write(buffer, data.slice(0, size));
        return () => backend.read(buffer);
      });
      const parts = await Promise.all(reads.map((read) => read()));
      return parts.flatMap((part) => [...part]);
    } finally {
      for (const buffer of buffers) backend.free(buffer);
    }
  },
};

/** The weights before and after each step of the scenario below. */
const TRAJECTORY = [
  [1, 1, 1, 1],
  [1, 0.75, 0, 0.75],
  [1, 0.5625, 0, 0.5625],
];

/** Two steps of descent on Σ (w·x)², all numbers exact. A step that fails leaves the weights as they were. */
const training: Scenario = {
  want: [6, 1.125, ...TRAJECTORY[2]!],
  async run(backend) {
    await useDevice(schedulingDevice(backend));
    const [start, x] = [tensor(TRAJECTORY[0]!), tensor([0, 1, 2, 1])];
    const w = new Cell(start);
    const step = compile((input: typeof x) => {
      const loss = w.value.mul(input).square().sum();
      const [dw] = grad(loss, [w.value]);
      w.assign(w.value.sub(dw!.mul(0.125)));
      return loss;
    });
    try {
      const losses: number[] = [];
      for (let i = 0; i < 2; i++) {
        const loss = await step(x);
        try {
          losses.push(await loss.item());
        } finally {
          loss.dispose();
        }
      }
      return [...losses, ...(await w.value.data())];
    } catch (error) {
      if (!backend.lost) {
        // The error may have been about the weights' first values: then there are none yet.
        const left = await w.value.data().catch(() => TRAJECTORY[0]!);
        expect(TRAJECTORY).toContainEqual([...left]);
      }
      throw error;
    } finally {
      for (const each of [w.value, start, x]) each.dispose();
    }
  },
};

/** Every kernel is a submission of its own: any of them may fail when those before it have written their part. */
const cut = (scenario: Scenario): Scenario => ({ ...scenario, options: { submitWork: 1 } });

const scenarios: Record<string, Scenario> = {
  "load and run": loadAndRun,
  "load and run, in many submissions": cut(loadAndRun),
  "read back": readBack,
  training,
  "training, in many submissions": cut(training),
};

const patient = <T>(promise: Promise<T>): Promise<T> =>
  Promise.race([
    promise,
    new Promise<never>((_, reject) => {
      setTimeout(() => reject(new Error("hangs")), 30_000).unref?.();
    }),
  ]);

const classes: Record<Fault, readonly string[]> = {
  throws: ["GpuValidationError"],
  validation: ["GpuValidationError", "ShaderCompileError"],
  memory: ["OutOfMemoryError"],
  lost: ["DeviceLostError"],
  map: ["GpuValidationError"],
  never: ["DeviceLostError"],
};

/** One run in which call k fails; false once there is no such call. */
async function attempt({ want, run, options: more }: Scenario, fault: Fault, k: number): Promise<boolean> {
  const faulty = await faultyDevice(fault, k);
  const options = { device: faulty.device, software: true, tune: false, ...more };
  const backend = await createWebGpuBackend(fault === "never" ? { ...options, patience: 2000 } : options);
  const outcome = await patient(run(backend)).catch((error: unknown) => error);
  const happened = faulty.happened();
  // A fault may go unnoticed only if the result is right all the same.
  if (Array.isArray(outcome) || !happened) expect(outcome).toEqual(want);
  else {
    if (!isVlmError(outcome)) throw outcome;
    expect(classes[fault]).toContain(outcome.name);
  }
  if (happened) {
    const again = await patient(run(backend)).catch((error: unknown) => error);
    if (backend.lost) expect((again as Error).name).toBe("DeviceLostError");
    // A stray error may be told to the call after it; then all is well.
    else if (!Array.isArray(again)) expect(await patient(run(backend))).toEqual(want);
    else expect(again).toEqual(want);
  }
  expect(backend.memory().buffers).toBe(0);
  await backend.dispose();
  expect(faulty.buffers()).toBe(0);
  faulty.destroy();
  return happened;
}

describe.each(Object.entries(scenarios))("%s", (_name, scenario) => {
  // However many submissions there are, the promises to wait for are the same.
  const faults = Object.keys(classes).filter((fault) => !scenario.options || !["map", "never"].includes(fault));
  it.each(faults as Fault[])("call k fails: %s", { timeout: 240_000 }, async (fault) => {
    // A software driver that has compiled the kernels once answers within the patience above.
    expect(await attempt(scenario, "throws", 0)).toBe(false);
    // Waiting in vain is done together, where a scenario does not need the default device.
    const together = fault === "never" && scenario.run !== training.run ? 8 : 1;
    let k = 1;
    for (let more = true; more && k < 300; k += together) {
      const all = await Promise.all(Array.from({ length: together }, (_, i) => attempt(scenario, fault, k + i)));
      more = all.every((happened) => happened);
    }
    expect(k).toBeGreaterThan(fault === "map" ? 2 : 5);
    expect(k).toBeLessThan(300);
  });
});
