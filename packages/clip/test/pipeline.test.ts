import { readFileSync, rmSync, writeFileSync } from "node:fs";
import path from "node:path";
import { fill, random, type Tensor, tensor } from "@vlm/core";
import { Embedding, Module } from "@vlm/nn";
import { readTensors } from "@vlm/weights";
import { beforeAll, describe, expect, it } from "vitest";
import { parityDevices } from "../../../tools/testing/parity.ts";
import { CLIP, createCLIP, EmbeddingIndex, loadCLIPModel } from "../src/index.ts";
import { cat, fixture, picture, temporary, tinyCLIP } from "./support/folders.ts";

const red = picture(200, 20, 30);
const blue = picture(20, 30, 200);
let clip: CLIP;

/** A picture that, when it is read, ends the work. */
function stopping(controller: AbortController, image: typeof red): typeof red {
  return {
    ...image,
    get data() {
      controller.abort(new Error("at the second"));
      return image.data;
    },
  };
}

beforeAll(async () => {
  clip = await CLIP.load(tinyCLIP(), { device: parityDevices[0]! });
});

describe("CLIP", () => {
  it("encodes images and texts to unit vectors, in batches of any size alike", async () => {
    const images = await clip.encodeImage([red, blue, cat]);
    expect(images.shape).toEqual([3, 16]);
    const lengths = await images.square().sum(-1).array();
    for (const length of lengths as number[]) expect(length).toBeCloseTo(1, 5);
    const one = await clip.encodeImage([red, blue, cat], { batch: 1 });
    const difference = await one.sub(images).abs().max().item();
    expect(difference).toBeLessThan(1e-5);
    const texts = await clip.encodeText(["a red car", "a blue boat"]);
    expect(texts.shape).toEqual([2, 16]);
    const similarity = await clip.similarity([red, blue, cat], ["a red car", "a blue boat"]);
    const byHand = images.matmul(texts.transpose());
    expect(await similarity.sub(byHand).abs().max().item()).toBeLessThan(1e-5);
  });

  it("ranks labels, with probabilities that are the softmax of the model's logits", async () => {
    const labels = ["a cat", "a dog", "a red car"];
    const ranking = await clip.classify(cat, labels);
    expect(ranking.reduce((sum, { probability }) => sum + probability, 0)).toBeCloseTo(1, 5);
    expect(ranking[0].probability).toBeGreaterThanOrEqual(ranking[1]!.probability);
    const logits = (await clip.similarity(cat, labels)).mul(clip.model.logitScale.exp());
    const [wanted] = (await logits.softmax(-1).array()) as number[][];
    for (const { label, probability } of ranking) {
      expect(probability).toBeCloseTo(wanted![labels.indexOf(label)]!, 5);
    }
    const both = await clip.classify([cat, red], labels);
    expect(both).toHaveLength(2);
    expect(both[0]![0].label).toBe(ranking[0].label);
  });

  it("averages prompts: normalised, averaged, normalised again", async () => {
    const templates = ["a photo of a {}.", "a drawing of a {}.", (label: string) => `the ${label}`];
    const { weights } = await clip.classifier(["cat", "dog"], { templates });
    const dog = await clip.encodeText(["a photo of a dog.", "a drawing of a dog.", "the dog"]);
    const mean = dog.mean(0);
    const wanted = mean.div(mean.square().sum().sqrt());
    expect(await weights.slice(1).sub(wanted).abs().max().item()).toBeLessThan(1e-5);
  });

  it("keeps classifiers for the same labels", async () => {
    const one = clip.classifier(["cat", "dog"]);
    expect(clip.classifier(["cat", "dog"])).toBe(one);
    expect(clip.classifier(["dog", "cat"])).not.toBe(one);
    expect(clip.classifier(["cat", "dog"], { templates: ["the {}"] })).not.toBe(one);
  });

  it("finds images by text and by image", async () => {
    const index = await clip.createIndex([red, blue, cat], { items: ["red", "blue", "cat"] });
    const [first, ...others] = await clip.search(index, await clip.encodeImage(blue), { k: 2 });
    expect(first).toMatchObject({ item: "blue", index: 1 });
    expect(first!.score).toBeCloseTo(1, 5);
    expect(others).toHaveLength(1);
    const byText = await clip.search(index, "a red car");
    expect(byText.map(({ item }) => item).sort()).toEqual(["blue", "cat", "red"]);
    expect(byText[0]!.score).toBeGreaterThanOrEqual(byText[1]!.score);
  });

  it("finds the same as sorting does", async () => {
    const embeddings = random.normal(random.key(3), [200, 8]);
    const index = new EmbeddingIndex(
      embeddings,
      Array.from({ length: 200 }, (_, i) => i),
    );
    const query = random.normal(random.key(4), [8]);
    const [hits] = await index.search(query, { k: 7 });
    const unit = index.embeddings.matmul(query.div(query.square().sum().sqrt()).reshape([8, 1]));
    const scores = (await unit.reshape([200]).array()) as number[];
    const sorted = scores.map((score, i) => ({ score, i })).sort((a, b) => b.score - a.score);
    expect(hits!.map(({ item }) => item)).toEqual(sorted.slice(0, 7).map(({ i }) => i));
  });

  it("shows where a class token looks, a probe, and a ResNet's pool", async () => {
    for (const [name, side] of [
      ["hf-clip", 4],
      ["hf-siglip", 4],
      ["openclip-rn50", 2],
    ] as const) {
      const pipeline = name === "hf-clip" ? clip : await CLIP.load(fixture(name));
      const map = await pipeline.attentionMap(cat);
      expect([map.height, map.width, map.data.length]).toEqual([side, side, side * side]);
      expect(Array.from(map.data).reduce((a, b) => a + b, 0)).toBeCloseTo(1, 4);
      expect(Math.min(...Array.from(map.data))).toBeGreaterThan(0);
    }
  });

  it("stops when told to", async () => {
    const controller = new AbortController();
    controller.abort(new Error("enough"));
    await expect(clip.encodeImage([red, blue], { signal: controller.signal })).rejects.toThrow("enough");
    await expect(CLIP.load(fixture("hf-clip"), { signal: controller.signal })).rejects.toThrow("enough");
    const later = new AbortController();
    const images = [red, stopping(later, blue), cat];
    await expect(clip.encodeImage(images, { batch: 1, signal: later.signal })).rejects.toThrow("at the second");
  });

  it("tells how far loading is", async () => {
    const seen: [loaded: number, total: number | undefined][] = [];
    await CLIP.load(tinyCLIP(), { onProgress: ({ loaded, total }) => seen.push([loaded, total]) });
    const [loaded, total] = seen.at(-1)!;
    expect(loaded).toBe(total);
    expect(loaded).toBeGreaterThan(100_000);
  });

  it("works with encoders of one's own", async () => {
    class Colours extends Module {
      readonly width = 3;
      forward(image: Tensor): Tensor {
        return image.mean([2, 3]);
      }
    }
    class Words extends Module {
      readonly width = 8;
      readonly context = 11;
      readonly table = new Embedding(50, 8);
      forward(ids: Tensor): Tensor {
        expect(ids.shape).toEqual([2, this.context]);
        return ids.pipe(this.table).mean(1);
      }
    }
    const model = createCLIP({ image: new Colours(), text: new Words(), embed: 4 });
    const own = new CLIP({ model, preprocessor: clip.preprocessor, tokenizer: clip.tokenizer });
    expect((await own.similarity([red, blue, cat], ["a red car", "a cat"])).shape).toEqual([3, 2]);
    const ranking = await own.classify(red, ["a red car", "a cat"]);
    expect(ranking.map(({ label }) => label).sort()).toEqual(["a cat", "a red car"]);
    expect([...model.namedParameters().keys()]).toContain("text.table.weight");
  });

  it("reads the one file in which transformers 5 saves tokenizer and preprocessing", async () => {
    const folder = tinyCLIP();
    const image_processor = JSON.parse(readFileSync(path.join(folder, "preprocessor_config.json"), "utf8"));
    const text = JSON.stringify({ processor_class: "CLIPProcessor", image_processor });
    writeFileSync(path.join(folder, "processor_config.json"), text);
    rmSync(path.join(folder, "preprocessor_config.json"));
    expect((await CLIP.load(folder)).preprocessor).toEqual(clip.preprocessor);
  });

  it("loads in half precision", async () => {
    const half = await CLIP.load(tinyCLIP(), { dtype: "f16" });
    expect(half.model.parameters().every(({ dtype }) => dtype === "f16")).toBe(true);
    const [a, b] = [await half.encodeImage(cat), await clip.encodeImage(cat)];
    expect(await a.mul(b).sum().item()).toBeGreaterThan(0.999);
  });

  it("gives each SigLIP label a probability of its own", async () => {
    const siglip = await CLIP.load(fixture("hf-siglip"), { tokenizer: clip.tokenizer! });
    expect(siglip.cleaning).toBe("lower");
    const model = siglip.model;
    const logits = tensor([[0, 3]]);
    expect(await model.probabilities(logits).array()).toEqual([[0.5, expect.closeTo(1 / (1 + Math.exp(-3)), 5)]]);
  });
});

describe("saving", () => {
  it("writes Hugging Face's form with tokenizer and preprocessing, and loads it again", async () => {
    const folder = temporary();
    await clip.save(folder);
    const again = await CLIP.load(folder);
    const [a, b] = [await again.encodeImage(cat), await clip.encodeImage(cat)];
    expect(await a.sub(b).abs().max().item()).toBe(0);
    const [c, d] = [await again.encodeText("a red car"), await clip.encodeText("a red car")];
    expect(await c.sub(d).abs().max().item()).toBe(0);
    expect(JSON.parse(readFileSync(path.join(folder, "config.json"), "utf8"))).toMatchObject({ model_type: "clip" });
  });

  it.each(["hf-clip", "hf-clip-gelu", "hf-siglip"])("writes %s as transformers did, tensor by tensor", async (name) => {
    const folder = temporary();
    await (await loadCLIPModel(fixture(name))).save(folder);
    const [ours, theirs] = [await readTensors(folder), await readTensors(fixture(name))];
    expect([...ours.keys()].sort()).toEqual([...theirs.keys()].sort());
    for (const [key, value] of theirs) expect([key, await ours.get(key)!.data()]).toEqual([key, await value.data()]);
    const json = (at: string) => JSON.parse(readFileSync(path.join(at, "config.json"), "utf8"));
    const { projection_dim, vision_config, model_type } = json(fixture(name));
    const { hidden_size, patch_size, hidden_act } = vision_config;
    const same = { model_type, vision_config: { hidden_size, patch_size, hidden_act } };
    expect(json(folder)).toMatchObject(projection_dim ? { ...same, projection_dim } : same);
  });

  it.each(["hf-siglip", "openclip-rn50", "openclip-vit"])(
    "writes the weights of %s as they were read",
    async (name) => {
      const model = await loadCLIPModel(fixture(name));
      const folder = temporary();
      await model.save(folder);
      const again = await loadCLIPModel(folder);
      const [before, after] = [model.stateDict(), again.stateDict()];
      expect([...after.keys()]).toEqual([...before.keys()]);
      for (const [key, value] of before) expect(await after.get(key)!.sub(value).abs().max().item()).toBe(0);
    },
  );

  it("has a form of its own for models that no library has", async () => {
    const model = createCLIP({
      image: {
        kind: "vit",
        imageSize: 16,
        patchSize: 8,
        width: 16,
        depth: 1,
        heads: 2,
        pool: "mean",
        positions: "sincos",
      },
      text: { vocabSize: 20, context: 6, width: 16, depth: 1, heads: 2 },
      embed: 8,
    });
    const folder = temporary();
    await model.save(folder);
    const again = await loadCLIPModel(folder);
    const x = fill(0.5, [1, 3, 16, 16]);
    expect(await again.imageFeatures(x).sub(model.imageFeatures(x)).abs().max().item()).toBe(0);
    expect(JSON.parse(readFileSync(path.join(folder, "config.json"), "utf8"))).toMatchObject({
      model_type: "vlm-clip",
    });
  });
});
