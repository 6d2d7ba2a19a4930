/**
 * What JavaScript itself costs: a training step of twelve blocks on a device that does nothing, so that only recording,
 * planning, look-ups and bookkeeping are left.
 */
import { compile, grad, type Tensor, tensor, useDevice } from "@vlm/core";
import { AdamW, Module, repeat, TransformerBlock } from "@vlm/nn";
import { schedulingDevice } from "../../../packages/core/src/runtime/scheduling-device.ts";
import type { RunOptions, Suite } from "../report/report.ts";
import { idleBackend } from "../run/idle-backend.ts";
import { type Summary, summaryOf } from "../run/statistics.ts";

class Blocks extends Module {
  readonly blocks = repeat(12, () => new TransformerBlock({ width: 64, heads: 4 }));
}

async function timesOf(call: () => Promise<unknown>, count: number): Promise<Summary> {
  const samples: number[] = [];
  for (let i = 0; i < count; i++) {
    const start = performance.now();
    await call();
    samples.push(performance.now() - start);
  }
  return summaryOf(samples);
}

export type HostCost = { kernels: number; first: number; replay: Summary; uncompiled: Summary };

/** Milliseconds on the host for one training step of twelve blocks. */
export async function hostCost(name: "wasm" | "webgpu", rounds: number): Promise<HostCost> {
  const device = schedulingDevice(idleBackend(name));
  let kernels = 0;
  await useDevice({
    ...device,
    run(prepared, inputs, outputs) {
      kernels = prepared.kernels;
      return device.run(prepared, inputs, outputs);
    },
  });
  const model = new Blocks();
  const optimizer = new AdamW(model, { lr: 1e-3 });
  const x = tensor(new Float32Array(4 * 16 * 64), { shape: [4, 16, 64] });
  const lossOf = (input: Tensor): Tensor => {
    let y = input;
    for (const block of model.blocks) y = y.pipe(block);
    return y.square().mean();
  };
  const step = compile((input: Tensor) => {
    const loss = lossOf(input);
    optimizer.step(grad(loss, model));
    return { loss };
  });
  const start = performance.now();
  await (await step(x)).loss.item();
  const first = performance.now() - start;
  const replay = await timesOf(async () => (await step(x)).loss.item(), 40 * rounds);
  const uncompiled = await timesOf(async () => {
    const loss = lossOf(x);
    optimizer.step(grad(loss, model));
    await loss.item();
  }, 10 * rounds);
  return { kernels, first, replay, uncompiled };
}

async function run({ pace, log }: RunOptions) {
  const rows: (string | number)[][] = [];
  for (const name of ["wasm", "webgpu"] as const) {
    const { kernels, first, replay, uncompiled } = await hostCost(name, pace.rounds);
    const perKernel = (replay.best / kernels) * 1000;
    rows.push([name, kernels, first, replay.best, replay.median, perKernel, uncompiled.best, uncompiled.median]);
    log(`host, ${name}: replay ${replay.best.toFixed(3)} ms, uncompiled ${uncompiled.best.toFixed(1)} ms`);
  }
  return {
    tables: [
      {
        title: "A training step of twelve blocks on a device that computes nothing",
        note: "Forward, backward and AdamW of 144 parameters. Targets: replay 0.3 ms, uncompiled 25 ms.",
        columns: [
          "schedule of",
          "kernels",
          "first call ms",
          "replay ms, best",
          "median",
          "µs per kernel",
          "uncompiled ms, best",
          "median",
        ],
        rows,
      },
    ],
  };
}

export const host: Suite = { about: "host cost of compiled and uncompiled steps, without any computing", run };
