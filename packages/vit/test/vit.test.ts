import { mkdtempSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { context, fill, random, tensor, useDevice } from "@vlm/core";
import { beforeAll, describe, expect, it } from "vitest";
import { parityDevices, readExpected, relativeError } from "../../../tools/testing/parity.ts";
import {
  attentionMaps,
  attentionRollout,
  createViT,
  loadViT,
  saveViT,
  sinCosPositions,
  type ViTConfig,
} from "../src/index.ts";

const folder = (name: string): string => new URL(`fixtures/${name}`, import.meta.url).pathname;
const temporary = (): string => mkdtempSync(path.join(tmpdir(), "vlm-vit-"));
const small: ViTConfig = { imageSize: 16, patchSize: 8, width: 16, depth: 2, heads: 2 };

beforeAll(() => useDevice(parityDevices[0]!));

describe("ViT", () => {
  it("gives one vector, a class score, or all tokens", () => {
    const image = fill(0.5, [2, 3, 16, 16]);
    expect(image.pipe(createViT(small)).shape).toEqual([2, 16]);
    expect(image.pipe(createViT({ ...small, pool: "mean", classes: 7 })).shape).toEqual([2, 7]);
    expect(image.pipe(createViT({ ...small, pool: "map" })).shape).toEqual([2, 16]);
    expect(image.pipe(createViT({ ...small, pool: "none" })).shape).toEqual([2, 4, 16]);
    expect(fill(0.5, [1, 3, 24, 32]).pipe(createViT({ ...small, pool: "none", positions: "sincos" })).shape).toEqual([
      1, 12, 16,
    ]);
  });

  it("leaves patches out in training only", async () => {
    const model = createViT({ ...small, imageSize: 32, patchDropout: 0.5 });
    const image = random.normal(random.key(1), [2, 3, 32, 32]);
    expect(model.tokens(image).shape).toEqual([2, 17, 16]);
    const training = context({ training: true, key: random.key(2) }, () => model.tokens(image));
    expect(training.shape).toEqual([2, 9, 16]);
    expect(Number.isFinite(await training.sum().item())).toBe(true);
    expect(() => context({ training: true }, () => model.tokens(image))).toThrow(/KEY_MISSING/);
  });

  it("encodes columns in the first half of sin-cos positions and rows in the second", async () => {
    const table = (await sinCosPositions([2, 3], 8).array()) as number[][];
    const at = (column: number): number[] => [
      Math.sin(column),
      Math.sin(column / 100),
      Math.cos(column),
      Math.cos(column / 100),
    ];
    for (let n = 0; n < 6; n++) {
      [...at(n % 3), ...at(Math.floor(n / 3))].forEach((value, i) => {
        expect(table[n]![i]).toBeCloseTo(value, 6);
      });
    }
  });

  it("shows what each block attends to: the attention that the block itself uses", async () => {
    const model = await loadViT(folder("timm-vit-map"));
    const expected = await readExpected(folder("timm-vit-map"));
    const { blocks, pool } = attentionMaps(model, expected("pixels"));
    expect(blocks.map(({ shape }) => shape)).toEqual([
      [2, 4, 16, 16],
      [2, 4, 16, 16],
    ]);
    expect(pool!.shape).toEqual([2, 4, 1, 16]);
    const sums = (await attentionRollout(blocks).sum(-1).array()) as number[][];
    for (const sum of sums.flat()) expect(sum).toBeCloseTo(1, 5);
    // Weights applied to the values give what attention gives.
    const { attention } = model.blocks[0]!;
    const x = expected("pixels").reshape([2, -1, 32]).slice(null, [0, 5]);
    const { attentionWeights } = await import("../src/index.ts");
    const [, , v] = x.pipe(attention.qkv!).split(32, -1);
    const heads = v!.reshape([2, 5, 4, 8]).permute([0, 2, 1, 3]);
    const byHand = attentionWeights(attention, x)
      .matmul(heads)
      .permute([0, 2, 1, 3])
      .reshape([2, 5, 32])
      .pipe(attention.out);
    expect(await relativeError(byHand, x.pipe(attention))).toBeLessThan(1e-5);
  });
});

describe("checkpoints", () => {
  it("loads a ViTModel without head or prefix, in shards, for images that are not square", async () => {
    const [model, expected] = [await loadViT(folder("hf-vit-alone")), await readExpected(folder("hf-vit-alone"))];
    expect(await relativeError(model.tokens(expected("pixels")), expected("tokens"))).toBeLessThan(1e-5);
  });

  it("loads CLIP's image tower from a checkpoint of its own and from a whole CLIP", async () => {
    const [model, expected] = [await loadViT(folder("hf-clip-vision")), await readExpected(folder("hf-clip-vision"))];
    expect(await relativeError(expected("pixels").pipe(model), expected("pooled"))).toBeLessThan(1e-5);
    for (const name of ["hf-clip", "openclip-vit", "hf-siglip"]) {
      const whole = new URL(`../../clip/test/fixtures/${name}`, import.meta.url).pathname;
      const [tower, values] = [await loadViT(whole), await readExpected(whole)];
      const out = values("pixels").pipe(tower);
      if (name !== "openclip-vit") expect(await relativeError(out, values("image.pooled"))).toBeLessThan(1e-5);
      expect(out.shape).toEqual([3, name === "hf-clip" ? 32 : 24]);
    }
  });

  it("saves and loads a model of any configuration", async () => {
    const model = createViT({ ...small, pool: "map", positions: "sincos", activation: "silu" });
    const place = temporary();
    await saveViT(model, place);
    const [again, image] = [await loadViT(place), random.normal(random.key(5), [1, 3, 16, 16])];
    expect(await relativeError(image.pipe(again), image.pipe(model))).toBe(0);
  });

  it("reads timm's names of architectures", async () => {
    const { timmViT } = await import("../src/index.ts");
    const { ConfigReader } = await import("@vlm/weights");
    const config = (json: Record<string, string | number>) => timmViT.config(new ConfigReader(json));
    const so400m = config({ architecture: "vit_so400m_patch14_siglip_384", num_classes: 0 });
    expect(so400m).toMatchObject({ width: 1152, depth: 27, heads: 16, mlpWidth: 4304, pool: "map", imageSize: 384 });
    expect(so400m).toMatchObject({ classToken: false, remainder: "crop", classes: 0, activation: "gelu" });
    expect(config({ architecture: "vit_base_patch16_clip_quickgelu_224.openai" })).toMatchObject({
      preNorm: true,
      patchBias: false,
      eps: 1e-5,
      activation: "quick-gelu",
    });
    expect(config({ architecture: "vit_base_patch16_siglip_gap_256" })).toMatchObject({
      pool: "mean",
      finalNorm: "tokens",
    });
    expect(() => config({ architecture: "resnet50" })).toThrow(/CONFIG_FIELD.*architecture is "resnet50"/);
  });
});

describe("bad input", () => {
  const model = createViT(small);
  const code = async (run: () => unknown): Promise<string> => {
    try {
      await run();
    } catch (error) {
      return `${(error as Error).name} ${(error as Error).message}`;
    }
    return "nothing was thrown";
  };

  it("names the fields of ViTConfig", async () => {
    expect(await code(() => fill(0, [1, 3, 16, 20]).pipe(model))).toMatch(
      /^ShapeError \[PATCH_SIZE\].*16×20.*8×8[\s\S]*patchSize in ViTConfig/,
    );
    expect(await code(() => fill(0, [1, 1, 16, 16]).pipe(model))).toMatch(
      /^ShapeError \[IMAGE_CHANNELS\].*ViTConfig.channels is 3/,
    );
    const bytes = tensor(new Uint8Array(768), { shape: [1, 3, 16, 16] });
    expect(await code(() => bytes.pipe(model))).toMatch(/^DTypeError \[IMAGE_DTYPE\].*u8/);
    expect(await code(() => createViT({ ...small, heads: 3 }))).toMatch(/^ArgumentError \[HEADS\].*width 16.*3 heads/);
    expect(await code(() => createViT({ ...small, classToken: false }))).toMatch(
      /^ArgumentError \[POOL_CLASS\].*classToken/,
    );
    expect(await code(() => createViT({ ...small, imageSize: 20 }))).toMatch(/^ShapeError \[PATCH_SIZE\]/);
    expect(await code(() => saveViT(createViT({ ...small, activation: (x) => x }), temporary()))).toMatch(/ACTIVATION/);
  });

  it("refuses checkpoints of other families and settings that cannot be, before memory is taken", async () => {
    const broken = (json: object): string => {
      const place = temporary();
      writeFileSync(path.join(place, "config.json"), JSON.stringify(json));
      return place;
    };
    expect(await code(() => loadViT(broken({ model_type: "bert" })))).toMatch(
      /^WeightFormatError \[CONFIG_FAMILY\].*"bert"/,
    );
    expect(await code(() => loadViT(broken({})))).toMatch(/^WeightFormatError \[CONFIG_FAMILY\]/);
    const vit = { model_type: "vit", architectures: ["ViTModel"] };
    expect(await code(() => loadViT(broken({ ...vit, hidden_size: 1e9 })))).toMatch(
      /^ArgumentError \[CONFIG_FIELD\] hidden_size is 1000000000/,
    );
    expect(await code(() => loadViT(broken({ ...vit, num_hidden_layers: -1 })))).toMatch(
      /CONFIG_FIELD\] num_hidden_layers is -1/,
    );
    expect(await code(() => loadViT(broken({ ...vit, hidden_act: "gellu" })))).toMatch(
      /CONFIG_FIELD\] hidden_act is "gellu"[\s\S]*did you mean "gelu"/,
    );
    expect(await code(() => loadViT(broken({ ...vit, num_attention_heads: 7 })))).toMatch(
      /CONFIG_FIELD\] num_attention_heads is 7/,
    );
    expect(await code(() => loadViT(broken(vit)))).toMatch(/NO_WEIGHTS/);
  });
});
