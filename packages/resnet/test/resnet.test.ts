import { commit, context, grad, random, realize, type Tensor, useDevice, zeros } from "@vlm/core";
import { ConfigReader, keyMap, load, readTensors } from "@vlm/weights";
import { beforeAll, describe, expect, it } from "vitest";
import { parityDevices, relativeError } from "../../../tools/testing/parity.ts";
import {
  openClipResNet,
  openClipResNetIgnore,
  ResNet,
  type ResNetConfig,
  RN50,
  RN50x4,
  RN50x16,
  RN50x64,
  RN101,
  resNetConfigFromOpenClip,
} from "../src/index.ts";

const tiny: ResNetConfig = { imageSize: 64, width: 2, layers: [2, 1, 1, 1], embed: 16, heads: 4 };
const fixture = new URL("../../clip/test/fixtures/openclip-rn50", import.meta.url).pathname;

describe("presets", () => {
  // Before anything is computed: a model that nothing reads takes no memory.
  it.each([
    ["RN50", RN50, 38.316],
    ["RN101", RN101, 56.26],
    ["RN50x4", RN50x4, 87.137],
    ["RN50x16", RN50x16, 167.33],
    ["RN50x64", RN50x64, 420.38],
  ] as const)("%s has as many parameters as OpenCLIP's", (_, config, millions) => {
    const count = new ResNet(config).parameters().reduce((sum, { size }) => sum + size, 0);
    expect(count / 1e6).toBeCloseTo(millions, 2);
  });
});

// A software GPU compiles for a minute.
describe.each(parityDevices)("%s", { timeout: 240_000 }, (device) => {
  beforeAll(() => useDevice(device));

  it("computes what OpenCLIP computes, with running statistics from the checkpoint", async () => {
    const model = new ResNet(tiny);
    const ignore = [...openClipResNetIgnore, "transformer.**", "token_embedding.weight", "positional_embedding"];
    const rest = ["ln_final.*", "text_projection", "logit_scale"];
    await load(model, fixture, keyMap("OpenCLIP", openClipResNet, { ignore: [...ignore, ...rest] }), {
      file: "open_clip_model.safetensors",
    });
    const expected = await readTensors(`${fixture}/expected.safetensors`);
    const out = expected.get("pixels")!.pipe(model);
    expect(await relativeError(out, expected.get("image.features")!)).toBeLessThan(1e-5);
  });

  it("trains: batch statistics are used and remembered, and every parameter gets a gradient", async () => {
    const model = new ResNet({ ...tiny, imageSize: 32, layers: [1, 1, 1, 1] });
    const image = random.normal(random.key(1), [4, 3, 32, 32]);
    const loss = context({ training: true }, () => image.pipe(model).square().sum());
    const gradients = grad(loss, model.parameters()) as Tensor[];
    await realize(loss, ...gradients);
    expect(gradients.every(({ shape }, i) => shape.join() === model.parameters()[i]!.shape.join())).toBe(true);
    await commit(); // the running statistics are written; work is finished before the device changes
    expect(await model.stem.norm1.runningMean.abs().max().item()).toBeGreaterThan(0);
  });
});

describe("bad input", () => {
  it("names the fields of ResNetConfig", () => {
    const model = new ResNet(tiny);
    expect(() => zeros([1, 3, 32, 64]).pipe(model)).toThrow(/IMAGE_SIZE.*\[1 3 32 64\].*ResNetConfig\.imageSize/);
    expect(() => zeros([1, 1, 64, 64]).pipe(model)).toThrow(/IMAGE_SIZE/);
    expect(() => zeros([1, 3, 64, 64], "u8").pipe(model)).toThrow(/IMAGE_DTYPE.*u8/);
    expect(() => new ResNet({ ...tiny, imageSize: 100 })).toThrow(/RESNET_CONFIG.*imageSize 100/);
    expect(() => new ResNet({ ...tiny, heads: 7 })).toThrow(/HEADS.*7 heads/);
  });

  it("names the fields of OpenCLIP's configuration", () => {
    const read = (vision_cfg: { layers: number[] | number; head_width?: number }) => () =>
      resNetConfigFromOpenClip(new ConfigReader({ embed_dim: 16, vision_cfg }));
    expect(read({ layers: [2, 1, 1, 1] })()).toMatchObject({ width: 64, heads: 32, embed: 16 });
    expect(read({ layers: [2, 1] })).toThrow(/CONFIG_FIELD\] layers is \[2,1\]/);
    expect(read({ layers: 12 })).toThrow(/CONFIG_FIELD\] layers is 12/);
    expect(read({ layers: [2, 1, 1, 1], head_width: 60 })).toThrow(/CONFIG_FIELD\] head_width is 60/);
  });
});
