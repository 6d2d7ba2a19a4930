/** Configurations that no published model has, but that the libraries accept. */
import { fill, useDevice } from "@vlm/core";
import { ConfigReader } from "@vlm/weights";
import { beforeAll, describe, expect, it } from "vitest";
import { parityDevices } from "../../../tools/testing/parity.ts";
import { clipVision, createViT, huggingFaceViT, openClipVision, timmViT, type ViTFormat } from "../src/index.ts";

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

describe("timm", () => {
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
