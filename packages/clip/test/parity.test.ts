import { grad, realize, type Tensor, useDevice } from "@vlm/core";
import { tap } from "@vlm/nn";
import { beforeAll, describe, expect, it } from "vitest";
import { gradientCheckpoint, parityDevices, readExpected, relativeError } from "../../../tools/testing/parity.ts";
import { type CLIPModel, loadCLIPModel } from "../src/index.ts";

const folder = (name: string): string => new URL(`fixtures/${name}`, import.meta.url).pathname;

type Fixture = {
  weights: string;
  /** Our tap's paths for the fixture's intermediates of both towers. */
  image: Record<string, string>;
  text: Record<string, string>;
};

const huggingFace = (
  textDepth: number,
  own: { image: Record<string, string>; text: Record<string, string> },
): Fixture => ({
  weights: "model.safetensors",
  image: {
    "image.hidden.1": "image.blocks.0",
    "image.hidden.2": "image.blocks.1",
    "image.pooled": "image",
    ...own.image,
  },
  text: {
    ...Object.fromEntries(Array.from({ length: textDepth }, (_, i) => [`text.hidden.${i + 1}`, `text.blocks.${i}`])),
    "text.tokens": "text.norm",
    ...own.text,
  },
});
const hfCLIP = huggingFace(3, {
  image: { "image.hidden.0": "image.preNorm", "image.tokens": "image.blocks.1" },
  text: { "text.pooled": "text" },
});
/** Names of a tower's first blocks: `image.block.0` there, `image.blocks.0` here. */
const blocks = (theirs: string, ours: string, count: number): Record<string, string> =>
  Object.fromEntries(Array.from({ length: count }, (_, i) => [`${theirs}.${i}`, `${ours}.${i}`]));
const openClip = (image: Record<string, string>): Fixture => ({
  weights: "open_clip_model.safetensors",
  image: { "image.features": "imageProjection", ...image },
  text: { "text.features": "textProjection", ...blocks("text.block", "text.blocks", 1) },
});

const fixtures: Record<string, Fixture> = {
  "hf-clip": hfCLIP,
  "hf-clip-gelu": hfCLIP,
  "hf-siglip": huggingFace(2, { image: { "image.tokens": "image.norm" }, text: { "text.pooled": "textProjection" } }),
  "openclip-vit": openClip(blocks("image.block", "image.blocks", 2)),
  "openclip-rn50": openClip({
    "image.features": "image",
    "image.stem": "image.stem",
    "image.stage.0": "image.stages.0.1",
    "image.stage.1": "image.stages.1.0",
    "image.stage.2": "image.stages.2.0",
    "image.stage.3": "image.stages.3.0",
  }),
  "openclip-variants": openClip(blocks("image.block", "image.blocks", 1)),
};

// A software GPU compiles for a minute.
describe.each(parityDevices)("%s", { timeout: 240_000 }, (device) => {
  beforeAll(() => useDevice(device));

  describe.each(Object.keys(fixtures))("%s", (name) => {
    const source = folder(name);
    const fixture = fixtures[name]!;

    it("computes the same intermediates, features and logits", async () => {
      const [model, expected] = [await loadCLIPModel(source), await readExpected(source)];
      const images = tap(model, () => model.imageFeatures(expected("pixels")));
      const texts = tap(model, () => model.textFeatures(expected("ids")));
      const [i, t] = [model.imageFeatures(expected("pixels")), model.textFeatures(expected("ids"))];
      const made = [
        ...Object.entries(fixture.image).map(([theirs, ours]) => [ours, images.get(ours), theirs] as const),
        ...Object.entries(fixture.text).map(([theirs, ours]) => [ours, texts.get(ours), theirs] as const),
        ["logits", model.logits(i, t), "logits"] as const,
      ];
      // All in one plan: a software GPU compiles it once.
      await realize(...made.flatMap(([, tensor]) => tensor ?? []));
      for (const [ours, tensor, theirs] of made) {
        const error = tensor ? await relativeError(tensor, expected(theirs)) : Number.POSITIVE_INFINITY;
        expect([`${ours} is ${theirs}`, error < 1e-5 || error]).toEqual([`${ours} is ${theirs}`, true]);
      }
    });

    it("has the same loss and gradient of each parameter", async () => {
      const [model, expected] = [await loadCLIPModel(source), await readExpected(source)];
      const loss = model.loss(expected("pixels"), expected("ids"));
      const parameters = model.namedParameters();
      const gradients = grad(loss, [...parameters.values()]) as Tensor[];
      await realize(loss, ...gradients);
      expect(await relativeError(loss, expected("loss"))).toBeLessThan(1e-5);
      const theirs: CLIPModel = await loadCLIPModel(await gradientCheckpoint(source, fixture.weights));
      const wanted = theirs.namedParameters();
      let at = 0;
      for (const path of parameters.keys()) {
        const error = await relativeError(gradients[at++]!, wanted.get(path)!);
        expect([path, error < 1e-4 || error]).toEqual([path, true]);
      }
      expect(at).toBeGreaterThan(25);
    });
  });
});
