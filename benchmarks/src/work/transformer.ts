/** ViT and CLIP in the operations of `ops.ts`, with the names and shapes of our models' parameters. */
import type { Spec } from "./data.ts";
import type { Ops, Program } from "./ops.ts";

export type Tower = { width: number; depth: number; heads: number; activation: "gelu" | "quick-gelu" };
export type ViTWork = Tower & { imageSize: number; patchSize: number; clip: boolean; eps: number };
export type TextWork = Tower & { vocabSize: number; context: number };
export type ClipWork = { image: ViTWork; text: TextWork; embed: number };

const weight = (name: string, shape: readonly number[], scale: number, center = 0): Spec => ({
  name,
  role: "weight",
  shape,
  scale,
  center,
});

const linearSpecs = (name: string, inputs: number, outputs: number): Spec[] => [
  weight(`${name}.weight`, [outputs, inputs], (3 / inputs) ** 0.5),
  weight(`${name}.bias`, [outputs], 0.05),
];

const normSpecs = (name: string, width: number): Spec[] => [
  weight(`${name}.weight`, [width], 0.1, 1),
  weight(`${name}.bias`, [width], 0.05),
];

const blockSpecs = (prefix: string, { width, depth }: Tower): Spec[] =>
  Array.from({ length: depth }, (_, i) => `${prefix}blocks.${i}.`).flatMap((block) => [
    ...normSpecs(`${block}norm1`, width),
    ...linearSpecs(`${block}attention.qkv`, width, 3 * width),
    ...linearSpecs(`${block}attention.out`, width, width),
    ...normSpecs(`${block}norm2`, width),
    ...linearSpecs(`${block}mlp.up`, width, 4 * width),
    ...linearSpecs(`${block}mlp.down`, 4 * width, width),
  ]);

export const patchesOf = ({ imageSize, patchSize }: ViTWork): number => (imageSize / patchSize) ** 2;

export function vitSpecs(work: ViTWork, prefix = ""): Spec[] {
  const { width, patchSize, clip } = work;
  const pixels = 3 * patchSize ** 2;
  return [
    weight(`${prefix}patch.weight`, [width, pixels], (3 / pixels) ** 0.5),
    ...(clip ? [] : [weight(`${prefix}patch.bias`, [width], 0.05)]),
    weight(`${prefix}classToken`, [1, 1, width], 0.5),
    weight(`${prefix}position`, [patchesOf(work) + 1, width], 0.5),
    ...(clip ? normSpecs(`${prefix}preNorm`, width) : []),
    ...blockSpecs(prefix, work),
    ...normSpecs(`${prefix}norm`, width),
  ];
}

export const textSpecs = (work: TextWork, prefix = ""): Spec[] => [
  weight(`${prefix}token.weight`, [work.vocabSize, work.width], 0.5),
  weight(`${prefix}position`, [work.context, work.width], 0.2),
  ...blockSpecs(prefix, work),
  ...normSpecs(`${prefix}norm`, work.width),
];

/** Equations 2 and 3 of Dosovitskiy et al. 2020. */
export function block<T>(ops: Ops<T>, get: (name: string) => T, x: T, tower: Tower, eps: number, causal: boolean): T {
  const [B, N, D] = ops.shape(x) as [number, number, number];
  const { heads } = tower;
  const linear = (input: T, name: string): T => ops.linear(input, get(`${name}.weight`), get(`${name}.bias`));
  const norm = (input: T, name: string): T => ops.layerNorm(input, get(`${name}.weight`), get(`${name}.bias`), eps);
  const qkv = ops.permute(
    ops.reshape(linear(norm(x, "norm1"), "attention.qkv"), [B, N, 3 * heads, D / heads]),
    [0, 2, 1, 3],
  );
  const part = (i: number): T => ops.slice(qkv, 1, i * heads, (i + 1) * heads);
  const seen = ops.attention(part(0), part(1), part(2), causal); // [B H N d]
  x = ops.add(x, linear(ops.reshape(ops.permute(seen, [0, 2, 1, 3]), [B, N, D]), "attention.out"));
  const hidden = linear(norm(x, "norm2"), "mlp.up");
  const active = tower.activation === "gelu" ? ops.gelu(hidden) : ops.quickGelu(hidden);
  return ops.add(x, linear(active, "mlp.down"));
}

/** Features of the class token: [B 3 H W] → [B D]. */
export function vit<T>(ops: Ops<T>, get: (name: string) => T, image: T, work: ViTWork): T {
  const { width: D, patchSize: P, imageSize, clip, eps } = work;
  const [B] = ops.shape(image) as [number];
  const n = imageSize / P;
  const rows = ops.permute(ops.reshape(image, [B, 3, n, P, n, P]), [0, 2, 4, 1, 3, 5]);
  let x = ops.linear(ops.reshape(rows, [B, n * n, 3 * P * P]), get("patch.weight"), clip ? null : get("patch.bias"));
  x = ops.concat([ops.expand(get("classToken"), [B, 1, D]), x], 1);
  x = ops.add(x, get("position"));
  if (clip) x = ops.layerNorm(x, get("preNorm.weight"), get("preNorm.bias"), eps);
  for (let i = 0; i < work.depth; i++) x = block(ops, (name) => get(`blocks.${i}.${name}`), x, work, eps, false);
  const pooled = ops.reshape(ops.slice(x, 1, 0, 1), [B, D]);
  return ops.layerNorm(pooled, get("norm.weight"), get("norm.bias"), eps);
}

/** Features of the last token: [B T] → [B D]. */
export function text<T>(ops: Ops<T>, get: (name: string) => T, ids: T, work: TextWork): T {
  const [B, N] = ops.shape(ids) as [number, number];
  let x = ops.add(ops.gather(get("token.weight"), ids), get("position"));
  for (let i = 0; i < work.depth; i++) x = block(ops, (name) => get(`blocks.${i}.${name}`), x, work, 1e-5, true);
  const pooled = ops.reshape(ops.slice(x, 1, N - 1, N), [B, work.width]);
  return ops.layerNorm(pooled, get("norm.weight"), get("norm.bias"), 1e-5);
}

const unit = <T>(ops: Ops<T>, x: T): T => ops.mul(x, ops.rsqrt(ops.sumLast(ops.mul(x, x))));

export function vitProgram(work: ViTWork, batch: number): Program {
  const { imageSize } = work;
  return {
    specs: [...vitSpecs(work), { name: "image", role: "input", shape: [batch, 3, imageSize, imageSize] }],
    build: (ops, get) => vit(ops, get, get("image"), work),
  };
}

export const clipSpecs = (work: ClipWork, batch: number): Spec[] => [
  ...vitSpecs(work.image, "image."),
  weight("imageProjection.weight", [work.embed, work.image.width], (3 / work.image.width) ** 0.5),
  ...textSpecs(work.text, "text."),
  weight("textProjection.weight", [work.embed, work.text.width], (3 / work.text.width) ** 0.5),
  weight("logitScale", [], 0, Math.log(1 / 0.07)),
  { name: "pixels", role: "input", shape: [batch, 3, work.image.imageSize, work.image.imageSize] },
  { name: "ids", role: "input", shape: [batch, work.text.context], ids: work.text.vocabSize },
];

/** Logits [B B] of images and texts, or the symmetric loss of Radford et al. 2021, figure 3. */
export function clipProgram(work: ClipWork, batch: number, loss: boolean): Program {
  return {
    specs: clipSpecs(work, batch),
    build: (ops, get) => {
      const image = vit(ops, (name) => get(`image.${name}`), get("pixels"), work.image);
      const words = text(ops, (name) => get(`text.${name}`), get("ids"), work.text);
      const i = unit(ops, ops.linear(image, get("imageProjection.weight"), null));
      const t = unit(ops, ops.linear(words, get("textProjection.weight"), null));
      const logits = ops.mul(ops.matmul(i, t, { transposed: true }), ops.exp(get("logitScale")));
      if (!loss) return logits;
      const both = ops.add(ops.logSoftmax(logits), ops.logSoftmax(ops.permute(logits, [1, 0])));
      return ops.scale(ops.sumAll(ops.mul(both, ops.eye(batch))), -0.5 / batch);
    },
  };
}

/** The blocks alone on given tokens; the loss is the mean of squares. */
export function blocksProgram(tower: Tower, batch: number, tokens: number, loss: boolean): Program {
  return {
    specs: [...blockSpecs("", tower), { name: "tokens", role: "input", shape: [batch, tokens, tower.width] }],
    build: (ops, get) => {
      let x = get("tokens");
      for (let i = 0; i < tower.depth; i++) x = block(ops, (name) => get(`blocks.${i}.${name}`), x, tower, 1e-5, false);
      return loss ? ops.scale(ops.sumAll(ops.mul(x, x)), 1 / (batch * tokens * tower.width)) : x;
    },
  };
}

/** Multiply-adds count two: a tower's blocks for one batch. */
export const blockFlops = ({ width: D, depth }: Tower, batch: number, N: number): number =>
  depth * batch * (24 * N * D * D + 4 * N * N * D);

export const vitFlops = (work: ViTWork, batch: number): number =>
  blockFlops(work, batch, patchesOf(work) + 1) + 2 * batch * patchesOf(work) * 3 * work.patchSize ** 2 * work.width;
