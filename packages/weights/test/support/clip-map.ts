import { concat, reshape, transpose } from "../../src/keymap/expression.ts";
import { type KeyRule, keyMap } from "../../src/keymap/key-map.ts";
import type { TensorStore } from "../../src/safetensors/tensor-store.ts";
import { counting, TestModel } from "./model.ts";

const tower = (ours: string, theirs: string): KeyRule[] => {
  const [to, from] = [`${ours}.blocks.{i}`, `${theirs}.encoder.layers.{i}`];
  return [
    [
      `${to}.attention.qkv.*`,
      concat(`${from}.self_attn.q_proj.*`, `${from}.self_attn.k_proj.*`, `${from}.self_attn.v_proj.*`),
    ],
    [`${to}.attention.out.*`, `${from}.self_attn.out_proj.*`],
    [`${to}.norm{j}.*`, `${from}.layer_norm{j}.*`],
    [`${to}.mlp.fc{j}.*`, `${from}.mlp.fc{j}.*`],
  ];
};

/** Hugging Face's CLIP, for a model with fused q, k, v, patches as a matrix, and projections as in the paper. */
export const clipMap = keyMap("Hugging Face CLIP", [
  ...tower("image", "vision_model"),
  ...tower("text", "text_model"),
  ["image.classToken", reshape("vision_model.embeddings.class_embedding", [-1])],
  ["image.patch", reshape("vision_model.embeddings.patch_embedding.weight", ([width]) => [width!, 3, 4, 4])],
  ["image.positions", "vision_model.embeddings.position_embedding.weight"],
  ["image.preNorm.*", "vision_model.pre_layrnorm.*"],
  ["image.norm.*", "vision_model.post_layernorm.*"],
  ["image.projection", transpose("visual_projection.weight")],
  ["text.tokens", "text_model.embeddings.token_embedding.weight"],
  ["text.positions", "text_model.embeddings.position_embedding.weight"],
  ["text.norm.*", "text_model.final_layer_norm.*"],
  ["text.projection", transpose("text_projection.weight")],
  ["logitScale", "logit_scale"],
]);

/** A model with the parameters that the map needs for this file's sizes. */
export function clipModel(store: TensorStore): TestModel {
  const width = store.tensors.get("vision_model.embeddings.class_embedding")!.shape[0]!;
  const shape = (key: string) => [...store.tensors.get(key)!.shape];
  const parameters: Record<string, ReturnType<typeof counting>> = { logitScale: counting([]) };
  for (const [ours, theirs] of [
    ["image", "vision_model"],
    ["text", "text_model"],
  ] as const) {
    for (const i of [0, 1]) {
      const to = `${ours}.blocks.${i}`;
      const layer = `${theirs}.encoder.layers.${i}`;
      for (const kind of ["weight", "bias"]) {
        const [rows = 0, ...rest] = shape(`${layer}.self_attn.q_proj.${kind}`);
        parameters[`${to}.attention.qkv.${kind}`] = counting([rows * 3, ...rest]);
        parameters[`${to}.attention.out.${kind}`] = counting(shape(`${layer}.self_attn.out_proj.${kind}`));
        for (const j of [1, 2]) {
          parameters[`${to}.norm${j}.${kind}`] = counting(shape(`${layer}.layer_norm${j}.${kind}`));
          parameters[`${to}.mlp.fc${j}.${kind}`] = counting(shape(`${layer}.mlp.fc${j}.${kind}`));
        }
      }
    }
  }
  for (const kind of ["weight", "bias"]) {
    for (const name of ["image.preNorm", "image.norm", "text.norm"]) parameters[`${name}.${kind}`] = counting([width]);
  }
  parameters["image.classToken"] = counting([1, 1, width]);
  parameters["image.patch"] = counting([width, 48]);
  parameters["image.positions"] = counting(shape("vision_model.embeddings.position_embedding.weight"));
  parameters["image.projection"] = counting(shape("visual_projection.weight").reverse());
  parameters["text.tokens"] = counting(shape("text_model.embeddings.token_embedding.weight"));
  parameters["text.positions"] = counting(shape("text_model.embeddings.position_embedding.weight"));
  parameters["text.projection"] = counting(shape("text_projection.weight").reverse());
  return new TestModel(parameters);
}
