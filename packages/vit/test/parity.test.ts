import { crossEntropy, grad, realize, type Tensor, tensor, useDevice } from "@vlm/core";
import { tap } from "@vlm/nn";
import { beforeAll, describe, expect, it } from "vitest";
import { gradientCheckpoint, parityDevices, readExpected, relativeError } from "../../../tools/testing/parity.ts";
import { loadViT } from "../src/index.ts";

const folder = (name: string): string => new URL(`fixtures/${name}`, import.meta.url).pathname;

/** Our tap's path for each of the fixture's intermediates. */
const intermediates: Record<string, Record<string, string>> = {
  "hf-vit": { "hidden.1": "blocks.0", "hidden.2": "blocks.1", tokens: "norm", logits: "" },
  "timm-vit": { "hidden.0": "blocks.0", "hidden.1": "blocks.1", tokens: "norm", logits: "" },
  "timm-vit-mean": { "hidden.0": "blocks.0", "hidden.1": "blocks.1", tokens: "blocks.1", logits: "" },
  "timm-vit-map": { "hidden.0": "blocks.0", "hidden.1": "blocks.1", tokens: "norm", logits: "" },
};

// A software GPU compiles for a minute.
describe.each(parityDevices)("%s", { timeout: 240_000 }, (device) => {
  beforeAll(() => useDevice(device));

  describe.each(Object.keys(intermediates))("%s", (name) => {
    const source = folder(name);

    it("computes the same intermediates and outputs", async () => {
      const [model, expected] = [await loadViT(source), await readExpected(source)];
      const taps = tap(model, expected("pixels"));
      // All in one plan: a software GPU compiles it once.
      await realize(...Object.values(intermediates[name]!).map((ours) => taps.get(ours)!));
      for (const [theirs, ours] of Object.entries(intermediates[name]!)) {
        expect([ours, (await relativeError(taps.get(ours)!, expected(theirs))) < 1e-5]).toEqual([ours, true]);
      }
    });

    it("has the same loss and gradient of each parameter", async () => {
      const [model, expected] = [await loadViT(source), await readExpected(source)];
      const loss = crossEntropy(expected("pixels").pipe(model), tensor([1, 3], { dtype: "i32" }));
      const theirs = await loadViT(await gradientCheckpoint(source, "model.safetensors"));
      const parameters = model.namedParameters();
      const gradients = grad(loss, [...parameters.values()]) as Tensor[];
      await realize(loss, ...gradients);
      expect(await relativeError(loss, expected("loss"))).toBeLessThan(1e-5);
      let at = 0;
      for (const path of parameters.keys()) {
        const error = await relativeError(gradients[at++]!, theirs.namedParameters().get(path)!);
        expect([path, error < 5e-5]).toEqual([path, true]);
      }
      expect(at).toBeGreaterThan(30);
    });
  });

  it("interpolates positions for other sizes as transformers does", async () => {
    const [model, expected] = [await loadViT(folder("hf-vit")), await readExpected(folder("hf-vit"))];
    const logits = expected("pixels.larger").pipe(model);
    expect(await relativeError(logits, expected("logits.larger"))).toBeLessThan(1e-5);
  });

  it.each(["timm-vit", "timm-vit-mean", "timm-vit-map"])(
    "interpolates the positions of %s for fewer rows and more columns as timm does",
    async (name) => {
      const [model, expected] = [await loadViT(folder(name)), await readExpected(folder(name))];
      const logits = expected("pixels.other").pipe(model);
      expect(await relativeError(logits, expected("logits.other"))).toBeLessThan(1e-5);
    },
  );
});
