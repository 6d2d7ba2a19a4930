/** Configurations that no published model has, but that the libraries accept. */
import { fill, useDevice } from "@vlm/core";
import { ConfigReader } from "@vlm/weights";
import { beforeAll, describe, expect, it } from "vitest";
import { parityDevices } from "../../../tools/testing/parity.ts";
import {
  clipVision,
  createViT,
  huggingFaceViT,
  openClipTrunk,
  openClipVision,
  timmViT,
  type ViTFormat,
} from "../src/index.ts";

beforeAll(() => useDevice(parityDevices[0]!));

const config = (format: ViTFormat, json: object) => format.config(new ConfigReader(json as never, "config.json"));

const sizes = { hidden_size: 12, num_attention_heads: 3, num_hidden_layers: 1, intermediate_size: 20 };

describe("a checkpoint whose images leave pixels over beside the last patch", () => {
  it.each([
    ["Hugging Face CLIP", clipVision, { ...sizes, image_size: 17, patch_size: 5 }],
    ["Hugging Face ViT", huggingFaceViT, { ...sizes, image_size: [17, 15], patch_size: 5 }],
    [
      "OpenCLIP",
      openClipVision,
      { vision_cfg: { image_size: 17, patch_size: 5, width: 12, head_width: 4, layers: 1 } },
    ],
  ])("is read as the convolution of its library does: %s", (_name, format, json) => {
    const model = createViT(config(format, json));
    expect(fill(1, [1, 3, 17, 17]).pipe(model).shape).toEqual([1, 12]);
  });

  it("still refuses other sizes where its own fit", () => {
    const model = createViT(config(clipVision, { ...sizes, image_size: 15, patch_size: 5 }));
    expect(() => fill(1, [1, 3, 17, 17]).pipe(model)).toThrow(/PATCH_SIZE/);
  });
});

describe("OpenCLIP around a tower of timm", () => {
  const vision_cfg = { timm_model_name: "vit_tiny_patch16_224", timm_pool: "avg", image_size: 32 };

  it("pools as OpenCLIP says and keeps the architecture's norms", () => {
    expect(config(openClipTrunk, { vision_cfg })).toMatchObject({
      imageSize: 32,
      pool: "mean",
      finalNorm: "tokens",
      classToken: true,
      interpolation: "antialias",
    });
    const siglip = { timm_model_name: "vit_base_patch16_siglip_224", timm_pool: "map", timm_proj: "none" };
    expect(config(openClipTrunk, { vision_cfg: siglip })).toMatchObject({ pool: "map", classToken: false });
  });

  it("refuses other networks by the name of the field", () => {
    const other = { ...vision_cfg, timm_model_name: "convnext_base" };
    expect(() => config(openClipTrunk, { vision_cfg: other })).toThrow(
      /CONFIG_FIELD\] timm_model_name is "convnext_base"/,
    );
  });
});

describe("timm", () => {
  it.each([
    ["deit_small_patch16_224", { width: 384, heads: 6, pool: "class" }],
    ["vit_medium_patch32_clip_224", { width: 512, heads: 8, patchSize: 32, preNorm: true }],
    ["vit_giantopt_patch16_siglip_256", { width: 1536, depth: 40, pool: "map", activation: "gelu-tanh" }],
    ["vit_huge_patch14_224", { width: 1280, depth: 32, mlpWidth: 5120 }],
  ])("says %s by name alone", (architecture, expected) => {
    expect(config(timmViT, { architecture })).toMatchObject(expected);
  });

  it.each([
    "deit_tiny_distilled_patch16_224",
    "deit3_small_patch16_224",
    "vit_medium_patch16_reg4_gap_256",
    "vit_small_patch14_dinov2",
  ])("refuses %s, another network", (architecture) => {
    expect(() => config(timmViT, { architecture })).toThrow(/CONFIG_FIELD\] architecture is[\s\S]*distillation token/);
  });

  const args = { img_size: 12, patch_size: 6, embed_dim: 12, depth: 1, num_heads: 3 };

  it("may have other channels than three", () => {
    const model = createViT(config(timmViT, { model_args: { ...args, in_chans: 1 } }));
    expect(fill(1, [2, 1, 12, 12]).pipe(model).shape).toEqual([2, 12]);
  });

  it("has CLIP's ε in the architectures of CLIP only", () => {
    expect(config(timmViT, { model_args: { ...args, pre_norm: true } }).eps).toBe(1e-6);
    expect(config(timmViT, { architecture: "vit_base_patch16_clip_224" }).eps).toBe(1e-5);
  });
});
