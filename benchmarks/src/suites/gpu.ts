/**
 * The webgpu device, kernel by kernel, against the adapter's own ceilings. `VLM_GPU=hardware pnpm bench gpu` on a machine
 * with a GPU; without it a software driver is taken, whose figures say nothing about GPUs.
 */
import { onDebug } from "@vlm/core";
import { gpuEnvironment } from "../../../tools/testing/gpu.mjs";
import { openVlm } from "../contenders/vlm.ts";
import type { RunOptions, Suite } from "../report/report.ts";
import { measureCeilings } from "../run/gpu-ceilings.ts";
import { summaryOf } from "../run/statistics.ts";
import { bytesOf, flopsOf, programOf, type Work } from "../work/work.ts";
import { VIT_S16 } from "./models.ts";

type Case = { name: string; work: Work };

const matmul = (n: number): Case => ({
  name: `matmul ${n}³`,
  work: { kind: "matmul", mode: "forward", m: n, k: n, n },
});

/** `large` leaves out what takes minutes in software. */
function casesFor(large: boolean): Case[] {
  const [tokens, rows] = large ? [197, 1576] : [50, 197];
  const vit = large ? VIT_S16 : { ...VIT_S16, imageSize: 64, depth: 2 };
  const batch = large ? 32 : 1;
  const size = large ? 2 ** 24 : 2 ** 18;
  return [
    ...(large ? [512, 1024, 2048, 4096] : [256, 512]).map(matmul),
    { name: `matmul ${rows}×768×3072`, work: { kind: "matmul", mode: "forward", m: rows, k: 768, n: 3072 } },
    { name: "attention", work: { kind: "attention", mode: "forward", batch, heads: 12, tokens, width: 64 } },
    { name: "attention, gradient", work: { kind: "attention", mode: "gradient", batch, heads: 12, tokens, width: 64 } },
    { name: "layer norm", work: { kind: "layerNorm", mode: "forward", rows: size / 1024, width: 768 } },
    { name: "layer norm, gradient", work: { kind: "layerNorm", mode: "gradient", rows: size / 1024, width: 768 } },
    { name: "softmax", work: { kind: "softmax", mode: "forward", rows: size / 1024, width: 1024 } },
    {
      name: "conv 3×3 64→64, 64²",
      work: {
        kind: "conv2d",
        mode: "forward",
        batch: large ? 16 : 1,
        channels: 64,
        size: 64,
        outputs: 64,
        kernel: 3,
        stride: 1,
      },
    },
    { name: "elementwise", work: { kind: "elementwise", mode: "forward", size } },
    { name: "AdamW step", work: { kind: "adamw", mode: "train", size, tensors: 8 } },
    { name: `ViT ×${batch}`, work: { kind: "vit", mode: "forward", model: vit, batch } },
    {
      name: "training step of blocks",
      work: {
        kind: "blocks",
        mode: "train",
        model: { width: 128, depth: large ? 12 : 2, heads: 4, activation: "gelu" },
        batch: large ? 128 : 4,
        tokens: 16,
      },
    },
  ];
}

type Timed = { name: string; milliseconds: number; bytes: number; flops: number };

/** Kept, because Dawn ends the process when its instance is collected before its devices. */
let held: GPU | undefined;

async function run({ pace, filter, log }: RunOptions) {
  Object.assign(process.env, gpuEnvironment());
  const { create, globals } = await import("webgpu");
  Object.assign(globalThis, globals);
  held = create([]);
  const adapter = await held.requestAdapter({ powerPreference: "high-performance" });
  if (!adapter) throw new Error("there is no WebGPU adapter: install a Vulkan, Metal or Direct3D driver");
  const { vendor, architecture, description } = adapter.info;
  const software = /llvmpipe|swiftshader|software|basic render/i.test(`${vendor} ${architecture} ${description}`);
  const large = !software;
  const requiredFeatures = ["timestamp-query", "shader-f16", "subgroups"].filter((name) =>
    adapter.features.has(name),
  ) as GPUFeatureName[];
  const probe = await adapter.requestDevice({
    requiredFeatures,
    requiredLimits: {
      maxStorageBufferBindingSize: adapter.limits.maxStorageBufferBindingSize,
      maxBufferSize: adapter.limits.maxBufferSize,
    },
  });
  const ceilings = await measureCeilings(probe, large ? 256 : 2);
  log(
    `gpu: ${vendor} ${architecture} ${description}: copy ${ceilings.copyGBs.toFixed(1)} GB/s, fma ${ceilings.fmaGFLOPs.toFixed(0)} GFLOP/s`,
  );
  probe.destroy();
  const contender = await openVlm(1, "webgpu", false);
  const calls: (string | number | null)[][] = [];
  const kernels: (string | number | null)[][] = [];
  for (const { name, work } of casesFor(large).filter((one) => one.name.includes(filter))) {
    try {
      const start = performance.now();
      const runnable = await contender.prepare(programOf(work), work);
      await runnable.results();
      const first = performance.now() - start;
      const samples: number[] = [];
      const until = performance.now() + pace.window * pace.rounds;
      do {
        const from = performance.now();
        await runnable.run();
        samples.push(performance.now() - from);
      } while (performance.now() < until);
      const byKernel = await kernelTimes(() => runnable.run(), large ? 10 : 3);
      const total = byKernel.reduce((sum, kernel) => sum + kernel.milliseconds, 0);
      const flops = flopsOf(work) / total / 1e6;
      const bytes = bytesOf(work) / total / 1e6;
      calls.push([
        name,
        byKernel.length,
        summaryOf(samples).best,
        summaryOf(samples).median,
        total,
        flops > 0 ? flops : null,
        flops > 0 ? (100 * flops) / ceilings.fmaGFLOPs : null,
        bytes > 0 ? bytes : null,
        bytes > 0 ? (100 * bytes) / ceilings.copyGBs : null,
        first,
      ]);
      for (const { name: kernel, count, milliseconds, flops: done, bytes: moved } of slowest(byKernel)) {
        const rate = done > 0 ? done / milliseconds / 1e6 : null;
        kernels.push([name, kernel, `${count}`, milliseconds, rate, moved / milliseconds / 1e6]);
      }
      log(
        `gpu, ${name}: ${total.toFixed(3)} ms on the device, ${byKernel.length} kernels, ${flops.toFixed(0)} GFLOP/s`,
      );
      await runnable.dispose();
    } catch (error) {
      calls.push([name, `failed: ${(error as Error).message.split("\n")[0]}`, ...Array(8).fill(null)]);
    }
  }
  return {
    tables: [
      {
        title: `${vendor} ${architecture} ${description}`,
        note: `${software ? "**A software adapter: these figures only show that the suite runs.** " : ""}Measured ceilings: copy ${ceilings.copyGBs.toFixed(1)} GB/s, multiply-add ${ceilings.fmaGFLOPs.toFixed(0)} GFLOP/s (f32). Times on the device are sums of timestamps of its kernels, the best of several runs each.`,
        columns: [
          "work",
          "kernels",
          "call ms, best",
          "median",
          "device ms",
          "GFLOP/s",
          "% of fma",
          "GB/s",
          "% of copy",
          "first call ms",
        ],
        rows: calls,
      },
      {
        title: "The slowest kernels of each",
        columns: ["work", "kernel", "times", "device ms, all", "GFLOP/s", "GB/s of its buffers"],
        rows: kernels,
      },
    ],
  };
}

/** The eight kernels that take most, those of all blocks of a model together. */
function slowest(kernels: readonly Timed[]): (Timed & { count: number })[] {
  const sums = new Map<string, Timed & { count: number }>();
  for (const { name: full, milliseconds, bytes, flops } of kernels) {
    const name = full.replaceAll(/\.\d+\./g, ".*.");
    const sum = sums.get(name) ?? { name, milliseconds: 0, bytes: 0, flops: 0, count: 0 };
    sums.set(name, {
      name,
      milliseconds: sum.milliseconds + milliseconds,
      bytes: sum.bytes + bytes,
      flops: sum.flops + flops,
      count: sum.count + 1,
    });
  }
  return [...sums.values()].sort((a, b) => b.milliseconds - a.milliseconds).slice(0, 8);
}

/** The best time of each kernel of a call, in order. */
async function kernelTimes(call: () => Promise<unknown>, rounds: number): Promise<Timed[]> {
  let best: Timed[] = [];
  for (let round = 0; round < rounds; round++) {
    const seen: Timed[] = [];
    const stop = onDebug((event) => {
      if (event.kind === "kernel") seen.push(event);
    }, 2);
    await call();
    // Timestamps arrive after the results.
    for (let waited = 0, count = -1; waited < 200 && seen.length !== count; waited++) {
      count = seen.length;
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
    stop();
    if (best.length !== seen.length) best = seen;
    else best = best.map((kernel, i) => (seen[i]!.milliseconds < kernel.milliseconds ? seen[i]! : kernel));
  }
  return best;
}

export const gpu: Suite = { about: "the webgpu device against its adapter's ceilings, kernel by kernel", run };
