/** The same works in headless Chromium: WebAssembly with threads, and WebGPU on whatever adapter there is. */
import type { Findings, RunOptions, Suite } from "../report/report.ts";
import { BrowserChannel } from "../run/browser-channel.ts";
import type { Entry } from "../run/entry.ts";
import { type Comparison, Field } from "../run/field.ts";
import type { Work } from "../work/work.ts";
import { both } from "./kernels.ts";
import { type Case, lineOf, selected } from "./measure.ts";
import { SMALL_CLIP, VIT_B32, VIT_S16 } from "./models.ts";

const SOFTWARE = /swiftshader|llvmpipe|lavapipe|software|basic render/i;

/** `full`: shapes of real models; else what a software adapter computes and compiles in seconds. */
function casesFor(full: boolean): Case[] {
  const [tokens, rows, size] = full ? [197, 1576, 2 ** 20] : [50, 64, 2 ** 14];
  const heads = full ? 12 : 2;
  const conv = { batch: 1, channels: full ? 64 : 8, size: full ? 64 : 16, outputs: full ? 64 : 8 };
  const n = full ? 512 : 128;
  const vit: Work = full
    ? { kind: "vit", mode: "forward", model: VIT_S16, batch: 1 }
    : { kind: "vit", mode: "forward", model: { ...VIT_S16, imageSize: 64, width: 64, heads: 2, depth: 1 }, batch: 1 };
  const train: Work = full
    ? { kind: "clip", mode: "train", model: SMALL_CLIP, batch: 64 }
    : {
        kind: "blocks",
        mode: "train",
        model: { width: 64, depth: 1, heads: 2, activation: "gelu" },
        batch: 2,
        tokens: 16,
      };
  return [
    { name: `matmul ${n}³`, work: { kind: "matmul", mode: "forward", m: n, k: n, n } },
    ...both(`attention ${heads}×${tokens}×64`, {
      kind: "attention",
      mode: "forward",
      batch: 1,
      heads,
      tokens,
      width: 64,
    }),
    ...both(`layer norm ${rows}×768`, { kind: "layerNorm", mode: "forward", rows, width: 768 }),
    { name: `softmax ${rows}×197`, work: { kind: "softmax", mode: "forward", rows, width: 197 } },
    {
      name: `conv 3×3 ${conv.channels}→${conv.outputs}, ${conv.size}²`,
      work: { kind: "conv2d", mode: "forward", ...conv, kernel: 3, stride: 1 },
    },
    { name: `gelu((x+y)·w)+x, ${size / 1024} Ki`, work: { kind: "elementwise", mode: "forward", size } },
    {
      name: `AdamW step, ${(4 * size) / 1024} Ki in 8 tensors`,
      work: { kind: "adamw", mode: "train", size: 4 * size, tensors: 8 },
    },
    { name: full ? "ViT-S/16 ×1" : "one block of width 64 on 17 tokens", work: vit },
    ...(full
      ? [{ name: "ViT-B/32 ×1", work: { kind: "vit", mode: "forward", model: VIT_B32, batch: 1 } } satisfies Case]
      : []),
    { name: full ? "train small CLIP ×64" : "train a block of width 64", work: train },
  ];
}

function entriesFor(device: "wasm" | "webgpu", { without }: RunOptions): Entry[] {
  const browser = { webgpu: device === "webgpu" };
  const entry = (name: string, short: string, packages: string[]): Entry => ({
    name: `${name} ${device}`,
    contender: `${short}-${device}`,
    packages,
    browser,
    own: short === "vlm",
  });
  const all = [
    entry("vlm", "vlm", ["@vlm/core"]),
    entry("onnxruntime-web", "onnx", ["onnxruntime-web"]),
    entry("tfjs", "tfjs", [`@tensorflow/tfjs-backend-${device}`]),
    entry("jax-js", "jax", ["@jax-js/jax"]),
  ];
  return all.filter(({ name }, i) => i === 0 || !without.some((start) => name.startsWith(start)));
}

/** The browser's version and its adapter's words. */
async function describe(entry: Entry): Promise<{ version: string; adapter: string | null }> {
  const channel = new BrowserChannel(entry);
  try {
    return await channel.describe();
  } finally {
    await channel.close();
  }
}

export const browser: Suite = {
  about: "kernels and models in headless Chromium, WebAssembly and WebGPU, against the others",
  async run(options) {
    const comparisons: Comparison[] = [];
    const versions: Findings["versions"] = {};
    const { version, adapter } = await describe(entriesFor("webgpu", options)[0]!);
    versions.browser = { Chromium: version };
    const software = adapter === null || SOFTWARE.test(adapter);
    for (const device of ["wasm", "webgpu"] as const) {
      const threads = device === "wasm" ? Math.max(...options.threads) : 1;
      const group =
        device === "wasm"
          ? `Chromium, WebAssembly, ${threads} threads`
          : `Chromium, WebGPU on ${adapter ?? "no adapter"}${software ? ": a software adapter, not a speed measurement" : ""}`;
      const untimed = device === "webgpu" && software;
      const field = new Field(entriesFor(device, options), threads, options.limitMs);
      try {
        await field.open();
        Object.assign(versions, field.versions);
        for (const { name, work } of selected(casesFor(!untimed), options)) {
          const pace = untimed ? { rounds: 2, window: options.pace.window } : options.pace;
          const comparison = { ...(await field.compare(name, work, pace)), group, ...(untimed && { untimed }) };
          comparisons.push(comparison);
          options.log(`${device}, ${lineOf(comparison)}`);
          options.keep({ comparisons, versions });
        }
      } finally {
        await field.close();
      }
    }
    return { comparisons, versions };
  },
};
