import { useDevice } from "@vlm/core";
import { train } from "@vlm/nn";
import { afterAll, expect, it } from "vitest";
import { create } from "webgpu";
import { exampleRun } from "./example-run.ts";
import { memoryStore } from "./run-store.ts";

afterAll(async () => {
  await useDevice("js");
});

// Dawn's devices end with the object that they come from.
const dawn = create([]);

/** Uses a real device that can be lost as by a driver's reset, which `destroy` of the application is not. */
async function open(): Promise<{ lose(): void }> {
  const adapter = (await dawn.requestAdapter())!;
  const { maxStorageBuffersPerShaderStage } = adapter.limits;
  const real = await adapter.requestDevice({ requiredLimits: { maxStorageBuffersPerShaderStage } });
  let lose!: (info: GPUDeviceLostInfo) => void;
  const lost = new Promise<GPUDeviceLostInfo>((resolve) => {
    lose = resolve;
  });
  const device = new Proxy(real, {
    get(target, name) {
      if (name === "lost") return lost;
      const value: unknown = Reflect.get(target, name);
      return typeof value === "function" ? value.bind(target) : value;
    },
  });
  await useDevice(device);
  return {
    lose() {
      lose({ reason: "unknown", message: "injected" } as GPUDeviceLostInfo);
      real.destroy();
    },
  };
}

it("R18: a run whose GPU is lost says so at once, and goes on from its checkpoint on another one, bit for bit", async () => {
  const first = await open();
  const whole = await exampleRun(8);
  await train(whole);

  const store = memoryStore();
  const part = await exampleRun(8);
  const report = part.onProgress!;
  const warnings: string[] = [];
  const lost = expect.objectContaining({ name: "DeviceLostError", recoverable: true });
  const running = train({
    ...part,
    checkpoint: { store, steps: 1 },
    onWarning: (text) => warnings.push(text),
    onProgress(progress) {
      report(progress);
      if (progress.step === 4) first.lose();
    },
  });
  await expect(running).rejects.toEqual(lost);
  expect(warnings).toEqual([expect.stringContaining("was not saved")]);
  await expect(train({ ...(await exampleRun(8)), onWarning: () => {} })).rejects.toEqual(lost);
  // The step during which it happened is not among the checkpoints.
  expect(store.saves.at(-1)!.step).toBeLessThanOrEqual(4);

  await open();
  const rest = await exampleRun(8);
  const { resumedFrom } = await train({ ...rest, checkpoint: store });
  expect(resumedFrom).toBe(store.saves.findLast(({ step }) => step <= 4)!.step);
  for (let i = resumedFrom!; i < 8; i++) expect(rest.losses[i]).toBe(whole.losses[i]);
});
