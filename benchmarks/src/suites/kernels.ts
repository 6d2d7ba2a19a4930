import type { Suite } from "../report/report.ts";
import type { Work } from "../work/work.ts";
import { type Case, measureAll } from "./measure.ts";

export const square = (n: number): Case => ({
  name: `matmul ${n}³`,
  work: { kind: "matmul", mode: "forward", m: n, k: n, n },
});

/** The same work forward and as its gradient. */
export const both = (name: string, work: Work): Case[] => [
  { name, work },
  { name: `${name}, gradient`, work: { ...work, mode: "gradient" } },
];

const cases: Case[] = [
  ...[64, 256, 512, 1024].map(square),
  ...both("matmul 197×768×768", { kind: "matmul", mode: "forward", m: 197, k: 768, n: 768 }),
  { name: "matmul 197×768×3072", work: { kind: "matmul", mode: "forward", m: 197, k: 768, n: 3072 } },
  ...both("matmul 12 × 197×64×197", {
    kind: "matmul",
    mode: "forward",
    m: 197,
    k: 64,
    n: 197,
    batch: 12,
    transposed: true,
  }),
  ...both("attention 12×197×64", { kind: "attention", mode: "forward", batch: 1, heads: 12, tokens: 197, width: 64 }),
  ...both("layer norm 1576×768", { kind: "layerNorm", mode: "forward", rows: 1576, width: 768 }),
  ...both("softmax 2364×197", { kind: "softmax", mode: "forward", rows: 2364, width: 197 }),
  ...both("conv 3×3 64→64, 64²", {
    kind: "conv2d",
    mode: "forward",
    batch: 1,
    channels: 64,
    size: 64,
    outputs: 64,
    kernel: 3,
    stride: 1,
  }),
  ...both("gather 2464 of 49408×512", { kind: "gather", mode: "forward", rows: 2464, vocabulary: 49408, width: 512 }),
  ...both("gelu((x+y)·w)+x, 1 M", { kind: "elementwise", mode: "forward", size: 2 ** 20 }),
  { name: "AdamW step, 4 M in 8 tensors", work: { kind: "adamw", mode: "train", size: 2 ** 22, tensors: 8 } },
];

export const kernels: Suite = {
  about: "single operations, forward and backward, against the others",
  run: (options) => measureAll(cases, options),
};
