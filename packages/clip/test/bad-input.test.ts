import { commit, fill, tensor, zeros } from "@vlm/core";
import { Module } from "@vlm/nn";
import { save } from "@vlm/weights";
import { beforeAll, describe, expect, it } from "vitest";
import { parityDevices } from "../../../tools/testing/parity.ts";
import { CLIP, type CLIPConfig, CLIPModel, createCLIP, EmbeddingIndex, loadCLIPModel } from "../src/index.ts";
import { cat, fixture, picture, temporary, tinyCLIP } from "./support/folders.ts";

const config: CLIPConfig = {
  image: { kind: "vit", imageSize: 16, patchSize: 8, width: 16, depth: 1, heads: 2 },
  text: { vocabSize: 20, context: 6, width: 16, depth: 1, heads: 2 },
  embed: 8,
};

/** Class, code and message of what is thrown. */
async function thrown(run: () => unknown): Promise<string> {
  try {
    await run();
  } catch (error) {
    return `${(error as Error).name} ${(error as Error).message}`;
  }
  return "nothing was thrown";
}

let clip: CLIP;
beforeAll(async () => {
  clip = await CLIP.load(tinyCLIP(), { device: parityDevices[0]! });
});

describe("the model", () => {
  const model = createCLIP(config);
  const ids = (...rows: number[][]) => tensor(rows, { dtype: "i32" });

  it("refuses images and texts that do not fit, by the names of config fields", async () => {
    expect(await thrown(() => model.imageFeatures(zeros([1, 3, 16, 17])))).toMatch(
      /^ShapeError \[PATCH_SIZE\][\s\S]*CLIPModel\.image[\s\S]*patchSize/,
    );
    expect(await thrown(() => model.imageFeatures(zeros([0, 3, 16, 16])))).toMatch(/^ShapeError \[BATCH_EMPTY\]/);
    expect(await thrown(() => model.textFeatures(zeros([0, 6], "i32")))).toMatch(/^ShapeError \[BATCH_EMPTY\]/);
    expect(await thrown(() => model.textFeatures(ids([1, 2, 3, 4, 5, 6, 7])))).toMatch(
      /^ShapeError \[CONTEXT_LENGTH\].*7 tokens, TextConfig\.context/,
    );
    expect(await thrown(() => model.textFeatures(ids([1, 20])))).toMatch(
      /^IndexRangeError \[TOKEN_RANGE\] .*id 20 at position 1.*20 rows/,
    );
    expect(await thrown(() => model.textFeatures(ids([1, -1])))).toMatch(/^IndexRangeError \[TOKEN_RANGE\]/);
    expect(await thrown(() => model.textFeatures(fill(1, [1, 3])))).toMatch(/^DTypeError/);
  });

  it("refuses batches of unequal size", async () => {
    expect(await thrown(() => model.loss(zeros([2, 3, 16, 16]), ids([1, 2], [3, 4], [5, 6])))).toMatch(
      /^ShapeError \[BATCH_UNEQUAL\].*2 and 3 rows/,
    );
  });

  it("refuses towers that do not meet", async () => {
    expect(await thrown(() => new CLIPModel({ ...config, textProjection: "none" }))).toMatch(
      /^ArgumentError \[EMBED_WIDTH\] CLIPConfig: the text tower has width 16, embed is 8/,
    );
    expect(
      await thrown(() =>
        createCLIP({ ...config, image: { kind: "resnet", imageSize: 100, width: 4, layers: [1, 1, 1, 1] } }),
      ),
    ).toMatch(/^ArgumentError \[RESNET_CONFIG\].*imageSize 100/);
  });

  it("mixes half-precision weights with single-precision pictures, and refuses other mixtures", async () => {
    const half = createCLIP(config).convert("f16");
    const features = half.imageFeatures(fill(0.5, [1, 3, 16, 16]));
    expect(Number.isFinite(await features.sum().item())).toBe(true);
    const bytes = zeros([1, 3, 16, 16], "u8");
    expect(await thrown(() => model.imageFeatures(bytes))).toMatch(/^DTypeError \[IMAGE_DTYPE\] ViT: images are u8/);
    const resnet = { kind: "resnet", imageSize: 32, width: 4, layers: [1, 1, 1, 1], heads: 4 } as const;
    const pixels = zeros([1, 3, 32, 32], "i32");
    expect(await thrown(() => createCLIP({ ...config, image: resnet }).imageFeatures(pixels))).toMatch(
      /^DTypeError \[IMAGE_DTYPE\] ResNet: images are i32/,
    );
  });

  it("takes encoders of one's own and cannot describe them in a file", async () => {
    class Mean extends Module {
      readonly width = 3;
      forward(image: ReturnType<typeof zeros>) {
        return image.mean([2, 3]);
      }
    }
    const own = createCLIP({ ...config, image: new Mean() });
    expect(own.imageFeatures(zeros([2, 3, 5, 7])).shape).toEqual([2, 8]);
    expect([...own.namedParameters().keys()]).toContain("imageProjection.weight");
    expect(await thrown(() => own.save(temporary()))).toMatch(/^ArgumentError \[OWN_ENCODER\]/);
  });
});

describe("the pipeline", () => {
  it("refuses labels that are missing, empty or there twice, and templates without a place for them", async () => {
    const labels = (list: string[], templates?: string[]) =>
      thrown(() => clip.classify(cat, list, templates ? { templates } : {}));
    expect(await labels([])).toMatch(/^ArgumentError \[LABELS_EMPTY\]/);
    expect(await labels(["a cat", " "])).toMatch(/^ArgumentError \[LABEL_EMPTY\] classify: label 1/);
    expect(await labels(["a cat", "a dog", "a cat"])).toMatch(
      /^ArgumentError \[LABEL_DUPLICATE\] classify: labels 0 and 2/,
    );
    expect(await labels(["cat"], ["a photo"])).toMatch(/^ArgumentError \[TEMPLATE\] classify: template 0/);
    expect(await labels(["cat"], [])).toMatch(/^ArgumentError \[TEMPLATES_EMPTY\]/);
  });

  it("refuses empty batches and what is no size of a batch", async () => {
    expect(await thrown(() => clip.encodeImage([]))).toMatch(/^ArgumentError \[BATCH_EMPTY\] encodeImage/);
    expect(await thrown(() => clip.encodeText([]))).toMatch(/^ArgumentError \[BATCH_EMPTY\] encodeText/);
    expect(await thrown(() => clip.encodeText("a cat", { batch: 0 }))).toMatch(/^ArgumentError \[BATCH_SIZE\]/);
  });

  it("refuses texts that are too long, or cuts them with a warning where asked to", async () => {
    const long = "a red car and a blue boat on the beach with two people";
    expect(await thrown(() => clip.encodeText(["a cat", long]))).toMatch(
      /^TokenizerInputError \[TEXT_TOO_LONG\] encodeText: text 1 has 15 tokens, TextConfig\.context is 11/,
    );
    const warnings: string[] = [];
    const cut = await clip.encodeText([long], { truncate: true, onWarning: (text) => warnings.push(text) });
    expect(warnings).toEqual(["1 of 1 texts were cut to 11 tokens; text 0 has 15"]);
    const same = await clip.encodeText(["a red car and a blue boat on the"]);
    expect(await cut.sub(same).abs().max().item()).toBeLessThan(1e-6);
  });

  it("never hands out embeddings that are not numbers", async () => {
    const broken = await CLIP.load(tinyCLIP());
    const weight = broken.model.imageProjection!.weight;
    weight.assign(weight.add(Number.NaN));
    await commit();
    expect(await thrown(() => broken.encodeImage([picture(1, 2, 3), cat]))).toMatch(
      /^NonFiniteError \[EMBEDDING_NON_FINITE\] encodeImage: an embedding of images 0 to 1/,
    );
  });

  it("says what is missing: a tokenizer, the checkpoint, the right family", async () => {
    const bare = await CLIP.load(fixture("hf-clip"));
    expect(await thrown(() => bare.encodeText("a cat"))).toMatch(/^ArgumentError \[TOKENIZER_MISSING\]/);
    expect(await thrown(() => CLIP.load("/nowhere/at/all"))).toMatch(/ENOENT/);
    const vit = new URL("../../vit/test/fixtures/hf-vit", import.meta.url).pathname;
    expect(await thrown(() => CLIP.load(vit))).toMatch(/^WeightFormatError \[CONFIG_FAMILY\].*"vit"/);
  });

  it("lists every weight that does not fit", async () => {
    const folder = temporary();
    const model = createCLIP(config);
    await model.save(folder);
    await save(createCLIP({ ...config, embed: 12 }), folder);
    expect(await thrown(() => loadCLIPModel(folder))).toMatch(
      /^WeightMismatchError \[WM_MISMATCH\][\s\S]*missing from the file/,
    );
  });

  it("refuses searches that cannot be", async () => {
    expect(await thrown(() => new EmbeddingIndex(zeros([2, 3]), ["one"]))).toMatch(
      /^ShapeError \[INDEX_SHAPE\].*1 items.*\[2 3\]/,
    );
    const index = new EmbeddingIndex(fill(1, [2, 3]), ["one", "two"]);
    expect(await thrown(() => index.search(fill(1, [3]), { k: 0 }))).toMatch(/^ArgumentError \[SEARCH_K\]/);
    expect(await thrown(() => index.search(fill(1, [4])))).toMatch(
      /^ShapeError \[SEARCH_WIDTH\] search: queries are \[4\].*width 3/,
    );
    const nan = /^NonFiniteError \[SEARCH_NON_FINITE\] search: query 0 and item 1 are NaN/;
    const damaged = new EmbeddingIndex(tensor([[1], [Number.NaN]]), ["one", "two"]);
    expect(await thrown(() => damaged.search(fill(1, [1])))).toMatch(nan);
    expect(await thrown(() => index.search(fill(Number.NaN, [3])))).toMatch(/SEARCH_NON_FINITE\] search: query 0/);
  });
});
