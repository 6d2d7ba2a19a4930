import type { Suite } from "../report/report.ts";
import type { ClipWork, Tower, ViTWork } from "../work/transformer.ts";
import { type Case, measureAll } from "./measure.ts";

export const VIT_S16: ViTWork = {
  imageSize: 224,
  patchSize: 16,
  width: 384,
  depth: 12,
  heads: 6,
  activation: "gelu",
  clip: false,
  eps: 1e-6,
};
export const VIT_B32: ViTWork = { ...VIT_S16, patchSize: 32, width: 768, heads: 12 };
const CLIP_B32: ClipWork = {
  image: { ...VIT_B32, activation: "quick-gelu", clip: true, eps: 1e-5 },
  text: { vocabSize: 49408, context: 77, width: 512, depth: 12, heads: 8, activation: "quick-gelu" },
  embed: 512,
};
const tower: Tower = { width: 128, depth: 4, heads: 4, activation: "gelu" };
export const SMALL_CLIP: ClipWork = {
  image: { ...tower, imageSize: 64, patchSize: 16, clip: true, eps: 1e-5 },
  text: { ...tower, vocabSize: 4096, context: 24 },
  embed: 128,
};

const vit = (name: string, model: ViTWork, batch: number): Case => ({
  name: `${name} ×${batch}`,
  work: { kind: "vit", mode: "forward", model, batch },
  long: batch > 1,
});

// Small batches first: whoever would take minutes for the next is not asked to.
const cases: Case[] = [
  ...[1, 8].map((batch) => vit("ViT-S/16", VIT_S16, batch)),
  ...[1, 8].map((batch) => vit("ViT-B/32", VIT_B32, batch)),
  ...[1, 8, 32].map(
    (batch): Case => ({
      name: `CLIP B/32 ×${batch}`,
      work: { kind: "clip", mode: "forward", model: CLIP_B32, batch },
      long: batch > 1,
      mostThreads: batch > 8,
    }),
  ),
  {
    name: "train small ViT ×128",
    work: { kind: "blocks", mode: "train", model: tower, batch: 128, tokens: 16 },
  },
  { name: "train small CLIP ×64", work: { kind: "clip", mode: "train", model: SMALL_CLIP, batch: 64 } },
];

export const models: Suite = {
  about: "ViT-S/16, ViT-B/32 and CLIP forward, training steps of a small ViT and a small CLIP, against the others",
  run: (options) => measureAll(cases, options),
};
