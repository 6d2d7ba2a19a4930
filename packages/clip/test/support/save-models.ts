/** Saves models with what they compute, for tools/reference/clip_saved.py to open with the libraries they come from. */
import path from "node:path";
import { random, tensor } from "@vlm/core";
import { clipPreprocessor } from "@vlm/image";
import { saveTensors } from "@vlm/weights";
import { CLIP, type CLIPConfig, createCLIP } from "../../src/index.ts";
import { fixture, tinyCLIP } from "./folders.ts";

const [, , out] = process.argv;
if (!out) throw new Error("usage: save-models.ts FOLDER");

const text = { vocabSize: 50, context: 11, width: 24, depth: 2, heads: 3 };
const fresh: CLIPConfig = {
  image: { kind: "vit", imageSize: 32, patchSize: 8, width: 24, depth: 2, heads: 3 },
  text,
  embed: 16,
};
const resnet: CLIPConfig = {
  ...fresh,
  image: { kind: "resnet", imageSize: 64, width: 4, layers: [1, 1, 1, 1], heads: 4 },
};

const pipelines: Record<string, () => Promise<CLIP>> = {
  "hf-clip": () => CLIP.load(tinyCLIP()),
  "hf-siglip": () => CLIP.load(fixture("hf-siglip")),
  "fresh-clip": async () => new CLIP({ model: createCLIP(fresh), preprocessor: clipPreprocessor }),
  "openclip-rn50": () => CLIP.load(fixture("openclip-rn50")),
  "fresh-rn50": async () => new CLIP({ model: createCLIP(resnet), preprocessor: clipPreprocessor }),
};

for (const [name, make] of Object.entries(pipelines)) {
  const clip = await make();
  const folder = path.join(out, name);
  await clip.save(folder);
  const { image, text } = clip.model.config as { image: { imageSize: number }; text: { context: number } };
  const pixels = random.normal(random.key(1), [2, 3, image.imageSize, image.imageSize]);
  const row = Array.from({ length: text.context }, (_, i) => 1 + ((7 * i) % 35));
  const ids = tensor([row, [...row].reverse()], { dtype: "i32" });
  const outputs = { pixels, ids, image: clip.model.imageFeatures(pixels), text: clip.model.textFeatures(ids) };
  await saveTensors(folder, Object.entries(outputs), { name: "outputs" });
}
