import { mkdtempSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { useDevice } from "@vlm/core";
import { ConfigReader, type JsonValue, load } from "@vlm/weights";
import { beforeAll, describe, expect, it } from "vitest";
import { parityDevices, readExpected, relativeError } from "../../../tools/testing/parity.ts";
import { huggingFaceCLIP, huggingFaceSigLIP, openClipFormat, openClipTimm } from "../src/checkpoint.ts";
import { CLIPModel } from "../src/clip-model.ts";
import { loadCLIPModel, loadTextTower } from "../src/index.ts";
import { describe as describeFolder } from "../src/load.ts";
import * as presets from "../src/presets.ts";
import { saveFormatOf } from "../src/save-format.ts";
import { fixture } from "./support/folders.ts";

beforeAll(() => useDevice(parityDevices[0]!));

type Json = { [key: string]: JsonValue };
const reader = (json: Json): ConfigReader => new ConfigReader(json, "a file");

describe("OpenCLIP around a tower of timm", () => {
  it("computes what OpenCLIP's SigLIP computes", async () => {
    const source = fixture("openclip-siglip");
    const expected = await readExpected(source);
    // timm has no name for a tower as narrow as this one; the rest is read from the file.
    const narrow = (json: ConfigReader) => {
      const vision = { ...json.at("vision_cfg").json, timm_model_name: "vit_tiny_patch16_siglip_224" };
      return openClipTimm.config(reader({ ...json.json, vision_cfg: vision }));
    };
    const { readJson, openSource } = await import("@vlm/weights");
    const json = await readJson(await openSource(source), "open_clip_config.json");
    const read = narrow(reader(json as Json).at("model_cfg"));
    expect(openClipFormat(reader(json as Json).at("model_cfg"))).toBe(openClipTimm);
    const image = { ...read.image, patchSize: 8, width: 24, depth: 1, heads: 3, mlpWidth: 96 };
    const config = { ...read, image } as typeof read;
    const model = new CLIPModel(config);
    await load(model, source, openClipTimm.map(config), { file: "open_clip_model.safetensors" });
    const [i, t] = [model.imageFeatures(expected("pixels")), model.textFeatures(expected("ids"))];
    expect(await relativeError(i, expected("image.features"))).toBeLessThan(1e-5);
    expect(await relativeError(t, expected("text.features"))).toBeLessThan(1e-5);
    expect(await relativeError(model.logits(i, t), expected("logits"))).toBeLessThan(1e-5);
    expect(await relativeError(model.loss(expected("pixels"), expected("ids")), expected("loss"))).toBeLessThan(1e-5);
  });
});

describe("a text tower of its own", () => {
  it("is loaded without its projection, and from a whole model", async () => {
    const alone = fixture("hf-clip-text");
    const [tower, expected] = [await loadTextTower(alone), await readExpected(alone)];
    expect(await relativeError(tower.tokens(expected("ids")), expected("tokens"))).toBeLessThan(1e-5);
    expect(await relativeError(expected("ids").pipe(tower), expected("pooled"))).toBeLessThan(1e-5);
    for (const [name, what] of [
      ["hf-clip", "text.tokens"],
      ["hf-siglip", "text.tokens"],
    ] as const) {
      const [whole, values] = [await loadTextTower(fixture(name)), await readExpected(fixture(name))];
      expect(await relativeError(whole.tokens(values("ids")), values(what))).toBeLessThan(1e-5);
    }
    await expect(loadTextTower(new URL("../../vit/test/fixtures/hf-vit", import.meta.url).pathname)).rejects.toThrow(
      /CONFIG_FAMILY.*"vit"/,
    );
    await expect(loadCLIPModel(alone)).rejects.toThrow(/CONFIG_FAMILY[\s\S]*loadTextTower/);
  });
});

describe("configurations", () => {
  it("of 2022 hold their parts under another name", () => {
    const text_config_dict = { hidden_size: 24, num_attention_heads: 3, num_hidden_layers: 2 };
    const read = huggingFaceCLIP.config(
      reader({
        text_config: { hidden_size: 512, vocab_size: 100 },
        text_config_dict,
        vision_config_dict: { image_size: 64 },
      }),
    );
    expect(read.text).toMatchObject({ width: 24, heads: 3, depth: 2, vocabSize: 100, context: 77 });
    expect(read.image).toMatchObject({ imageSize: 64, patchSize: 32 });
  });

  it("a preset is what its checkpoint's configuration says", () => {
    const vision = { hidden_size: 1024, intermediate_size: 4096, num_hidden_layers: 24, num_attention_heads: 16 };
    const read = huggingFaceCLIP.config(
      reader({
        model_type: "clip",
        projection_dim: 768,
        vision_config: { ...vision, image_size: 336, patch_size: 14 },
        text_config: { hidden_size: 768, intermediate_size: 3072, num_attention_heads: 12, eos_token_id: 2 },
      }),
    );
    expect(saveFormatOf(read).config).toEqual(
      saveFormatOf(new CLIPModel({ ...presets.CLIP_L14_336, logitScale: 2.6592 }).config).config,
    );
    const openClip = openClipFormat(reader({ vision_cfg: { layers: [3, 4, 23, 3] }, text_cfg: {} })).config(
      reader({
        embed_dim: 512,
        quick_gelu: true,
        vision_cfg: { image_size: 224, layers: [3, 4, 23, 3], width: 64, patch_size: null },
        text_cfg: { context_length: 77, vocab_size: 49408, width: 512, heads: 8, layers: 12 },
      }),
    );
    expect(saveFormatOf(openClip).config).toEqual(saveFormatOf(presets.CLIP_RN101).config);
  });

  it("each preset is saved in the form of a library and read back the same", () => {
    for (const [name, preset] of Object.entries(presets)) {
      const { config, configFile } = saveFormatOf(new CLIPModel(preset).config);
      expect([name, configFile]).toEqual([name, name.includes("RN") ? "open_clip_config.json" : "config.json"]);
      if (name.includes("RN")) continue;
      const format = name.startsWith("SigLIP") ? huggingFaceSigLIP : huggingFaceCLIP;
      expect(config.model_type).toBe(name.startsWith("SigLIP") ? "siglip" : "clip");
      expect(saveFormatOf(format.config(reader(config))).config).toEqual(config);
    }
  });

  it("names the field that does not fit", async () => {
    const folder = (file: string, json: object): string => {
      const place = mkdtempSync(path.join(tmpdir(), "vlm-clip-"));
      writeFileSync(path.join(place, file), JSON.stringify(json));
      return place;
    };
    const { openSource } = await import("@vlm/weights");
    const read = async (file: string, json: object): Promise<string> => {
      const found = await describeFolder(await openSource(folder(file, json))).catch((error: Error) => error);
      return found instanceof Error ? `${found.name} ${found.message}` : JSON.stringify(found.config);
    };
    expect(await read("config.json", { model_type: "flava" })).toMatch(/^WeightFormatError \[CONFIG_FAMILY\].*"flava"/);
    expect(await read("other.json", {})).toMatch(/^WeightFormatError \[CONFIG_FAMILY\].*no config\.json/);
    expect(await read("config.json", { model_type: "clip", vision_config: 3 })).toMatch(
      /CONFIG_FIELD\] vision_config is 3/,
    );
    expect(await read("config.json", { model_type: "clip", text_config: { num_attention_heads: 5 } })).toMatch(
      /CONFIG_FIELD\] num_attention_heads is 5, expected heads that share a width of 512/,
    );
    const openClip = { model_cfg: { vision_cfg: { layers: [1, 2] }, text_cfg: {} } };
    expect(await read("open_clip_config.json", openClip)).toMatch(/CONFIG_FIELD\] layers is \[1,2\]/);
    const caption = { model_cfg: { vision_cfg: {}, text_cfg: {}, multimodal_cfg: { layers: 12 } } };
    expect(await read("open_clip_config.json", caption)).toMatch(/CONFIG_FIELD\] multimodal_cfg is .*CoCa/);
    const convnext = { model_cfg: { vision_cfg: { timm_model_name: "convnext_base" }, text_cfg: {} } };
    expect(await read("open_clip_config.json", convnext)).toMatch(/CONFIG_FIELD\] timm_model_name is "convnext_base"/);
    const siglip = { model_type: "siglip", text_config: { projection_size: 12 } };
    expect(await read("config.json", siglip)).toMatch(/CONFIG_FIELD\] projection_size is 12, .*768/);
    const own = { image: { kind: "vit", imageSize: 16, patchSize: 8, width: 16, depth: 1, heads: 2 }, embed: 8 };
    const ofText = { vocabSize: 20, context: 6, width: 16, depth: 1, heads: 2 };
    for (const [config, message] of [
      [{}, /CONFIG_FIELD\] image is missing/],
      [{ ...own, image: { ...own.image, kind: "vti" } }, /CONFIG_FIELD\] kind is "vti"[\s\S]*"vit"/],
      [{ ...own, image: { ...own.image, pool: "max" } }, /CONFIG_FIELD\] pool is "max"/],
      [{ ...own, image: { ...own.image, imageSize: [16, 16, 3] } }, /CONFIG_FIELD\] imageSize is \[16,16,3\]/],
      [{ ...own, text: { ...ofText, heads: "2" } }, /CONFIG_FIELD\] heads is "2"/],
      [{ ...own, text: { ...ofText, activation: "tanh" } }, /CONFIG_FIELD\] activation is "tanh"/],
      [{ ...own, text: ofText, embed: 0 }, /CONFIG_FIELD\] embed is 0/],
    ] as const) {
      expect(await read("config.json", { model_type: "vlm-clip", config })).toMatch(message);
    }
    const foreign = { model_cfg: { vision_cfg: {}, text_cfg: { hf_model_name: "roberta-base" } } };
    expect(await read("open_clip_config.json", foreign)).toMatch(/CONFIG_FIELD\] hf_model_name is "roberta-base"/);
  });
});
