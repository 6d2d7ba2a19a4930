import { type Tensor, VlmError } from "@vlm/core";
import type { HeatMap } from "@vlm/image";
import { ResNet } from "@vlm/resnet";
import { attentionMaps, attentionRollout, attentionWeights, ViT } from "@vlm/vit";
import type { CLIPModel } from "./clip-model.ts";

/**
 * Where in an image the model looks: the share of each place in the token that stands for the image. For a class token
 * by attention rollout through all blocks, for SigLIP's probe and a ResNet's attention pool by their own attention.
 *
 * @param image [1 3 H W], preprocessed
 * @returns a grid of patches whose numbers sum to 1, for `overlayHeatMap` of @vlm/image
 * Throws `ArgumentError ATTENTION_MAP` for encoders of your own and other kinds of pooling.
 */
export async function attentionMap(model: CLIPModel, image: Tensor): Promise<HeatMap> {
  const [, , H, W] = image.dims(4);
  const tower = model.image;
  if (tower instanceof ResNet) {
    const tokens = tower.pool.tokens(tower.features(image)); // [1 N+1 C]
    const weights = attentionWeights(tower.pool.attention, tokens.slice(null, [0, 1]), tokens);
    return shares(weights.mean(1).slice(0, 0, [1]), H / 32, W / 32);
  }
  if (tower instanceof ViT) {
    const P = tower.config.patchSize;
    const [rows, columns] = [Math.floor(H / P), Math.floor(W / P)];
    const prefix = tower.classToken ? 1 : 0;
    const { blocks, pool } = attentionMaps(tower, image);
    if (pool) return shares(pool.mean(1).slice(0, 0, [prefix]), rows, columns);
    if (tower.classToken && (tower.config.pool ?? "class") === "class") {
      return shares(attentionRollout(blocks).slice(0, 0, [prefix]), rows, columns);
    }
  }
  throw new VlmError("ArgumentError", "ATTENTION_MAP", {
    what: "attentionMap: no token of this image encoder stands for the whole image by attention",
    hint: "it works for Vision Transformers with a class token or attention pooling, and for ResNets",
  });
}

async function shares(weights: Tensor, height: number, width: number): Promise<HeatMap> {
  const data = await weights.div(weights.sum()).data();
  return { data, height, width };
}
