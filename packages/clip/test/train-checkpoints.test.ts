import { mkdtemp, readdir, readFile, rm, writeFile } from "node:fs/promises";
import os from "node:os";
import path from "node:path";
import { tensor, useDevice } from "@vlm/core";
import { Examples, Linear, SGD, type TrainOptions, train } from "@vlm/nn";
import { checkpoints } from "@vlm/weights";
import { afterAll, beforeAll, expect, it } from "vitest";

// What `train` of @vlm/nn and the checkpoints of @vlm/weights, two packages that do not know each other, do together.

let root: string;
beforeAll(async () => {
  await useDevice("js");
  root = await mkdtemp(path.join(os.tmpdir(), "vlm-train-"));
});
afterAll(() => rm(root, { recursive: true, force: true }));

async function run(steps: number, more: Partial<TrainOptions<ReturnType<typeof tensor>>> = {}) {
  const model = new Linear(1, 1);
  await model.load({ weight: tensor([[0.5]]), bias: tensor([0]) });
  const losses: number[] = [];
  const result = await train({
    model,
    optimizer: new SGD(model, { lr: 0.05, momentum: 0.9 }),
    data: new Examples([-1, 0, 1, 2, 3], (xs) => tensor(xs.map((x) => [x])), { batch: 2, shuffle: 3 }),
    loss: (x) => x.pipe(model).sub(x.mul(3)).square().mean(),
    steps,
    onProgress: ({ step, loss }) => {
      losses[step - 1] = loss;
    },
    ...more,
  });
  return { result, losses, weight: [...(await model.weight.data()), ...(await model.bias!.data())] };
}

it("a string of runs in one folder is one run, and old checkpoints go", async () => {
  const whole = await run(14);
  const folder = path.join(root, "string");
  let last = await run(4, { checkpoint: checkpoints(folder) });
  for (const steps of [5, 9, 14])
    last = await run(steps, { checkpoint: { store: checkpoints(folder, { keep: 2 }), steps: 2 } });
  expect(last.result.resumedFrom).toBe(9);
  expect(last.weight).toEqual(whole.weight);
  expect(last.losses.slice(9)).toEqual(whole.losses.slice(9));
  expect((await readdir(folder)).sort()).toEqual(["latest", "step-00000012", "step-00000014"]);
});

it("R11: a damaged checkpoint is passed over, and the run is the same", async () => {
  const folder = path.join(root, "damaged");
  await run(6, { checkpoint: { store: checkpoints(folder), steps: 3 } });
  const file = path.join(folder, "step-00000006", "tensors.safetensors");
  const bytes = await readFile(file);
  bytes[bytes.length - 1]! ^= 1;
  await writeFile(file, bytes);
  const warnings: string[] = [];
  const store = checkpoints(folder, { onWarning: (text) => warnings.push(text) });
  const resumed = await run(10, { checkpoint: store });
  expect(resumed.result.resumedFrom).toBe(3);
  expect(warnings.join()).toContain("step-00000003 is used instead");
  expect(resumed.weight).toEqual((await run(10)).weight);
});

it("R10: a place that cannot be written to is refused before the first step", async () => {
  const file = path.join(root, "file");
  await writeFile(file, "");
  let steps = 0;
  const refused = run(3, { checkpoint: checkpoints(path.join(file, "run")), onProgress: () => void steps++ });
  await expect(refused).rejects.toMatchObject({ name: "StorageError", code: "ENOTDIR" });
  expect(steps).toBe(0);
});

it("R20: two runs cannot share a folder, and the first is not disturbed", async () => {
  const folder = path.join(root, "shared");
  let second: Promise<unknown> | undefined;
  const first = await run(6, {
    checkpoint: { store: checkpoints(folder), steps: 2 },
    evaluate: {
      every: 3,
      run: async () => {
        second ??= expect(run(6, { checkpoint: checkpoints(folder) })).rejects.toMatchObject({
          name: "ConcurrencyError",
          code: "CK_LOCKED",
          message: expect.stringContaining(`process ${process.pid}`),
        });
        await second;
        return {};
      },
    },
  });
  expect(first.weight).toEqual((await run(6)).weight);
  // The lock is given back at the end, also after an error.
  const failed = run(9, {
    checkpoint: checkpoints(folder),
    loss: () => {
      throw new Error("broken");
    },
  });
  await expect(failed).rejects.toThrow("broken");
  expect((await run(8, { checkpoint: checkpoints(folder) })).result.resumedFrom).toBe(6);
});
