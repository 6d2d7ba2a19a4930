import { useDevice } from "@vlm/core";
import { train } from "@vlm/nn";
import { afterAll, expect, it } from "vitest";
import { type FaultyDevice, faultyDevice } from "../../core/test/webgpu/faulty-device.ts";
import { exampleRun } from "./example-run.ts";
import { memoryStore } from "./run-store.ts";

afterAll(async () => {
  await useDevice("js");
});

async function open(): Promise<FaultyDevice> {
  const faulty = await faultyDevice("throws", 0);
  await useDevice(faulty.device);
  return faulty;
}

it("a run whose GPU is lost says so at once, and goes on from its checkpoint on another one, bit for bit", async () => {
  const first = await open();
  const whole = await exampleRun(8);
  await train(whole);

  const store = memoryStore();
  const part = await exampleRun(8);
  const report = part.onProgress!;
  const lost = expect.objectContaining({ name: "DeviceLostError", recoverable: true });
  const running = train({
    ...part,
    checkpoint: { store, steps: 1 },
    onProgress(progress) {
      report(progress);
      if (progress.step === 4) first.lose();
    },
  });
  await expect(running).rejects.toEqual(lost);
  await expect(train(await exampleRun(8))).rejects.toEqual(lost);
  // The step during which it happened is not among the checkpoints.
  expect(store.saves.at(-1)!.step).toBeLessThanOrEqual(4);

  const second = await open();
  const rest = await exampleRun(8);
  const { resumedFrom } = await train({ ...rest, checkpoint: store });
  expect(resumedFrom).toBe(store.saves.findLast(({ step }) => step <= 4)!.step);
  for (let i = resumedFrom!; i < 8; i++) expect(rest.losses[i]).toBe(whole.losses[i]);
  second.destroy();
});
