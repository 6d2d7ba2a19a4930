/** Configurations as our own models are saved with. */
import type { ConfigReader } from "@vlm/weights";
import { activations, imageSize } from "./checkpoint.ts";
import type { ViTConfig } from "./vit.ts";

type Kind = "size" | "number" | "flag" | readonly string[];

/** Checks the fields that are there: each a whole number, a number, true or false, or one of the words. */
export function checkFields(json: ConfigReader, fields: Readonly<Record<string, Kind>>): void {
  for (const [name, kind] of Object.entries(fields)) {
    if (!json.has(name)) continue;
    if (kind === "size") json.size(name, undefined, { min: 0, max: 10_000_000 });
    else if (kind === "number") json.number(name);
    else if (kind === "flag") json.flag(name);
    else json.choice(name, Object.fromEntries(kind.map((word) => [word, word])));
  }
}

/** Our names of activations. */
export const activationNames: readonly string[] = [...new Set(Object.values(activations).map(String))];

/** Our own configuration, as `saveViT` writes it. Throws `ArgumentError CONFIG_FIELD`. */
export function ownViT(json: ConfigReader): ViTConfig {
  imageSize(json, "imageSize", undefined);
  for (const name of ["patchSize", "width", "depth", "heads"]) json.size(name);
  checkFields(json, { mlpWidth: "size", channels: "size", classes: "size" });
  checkFields(json, { eps: "number", patchDropout: "number", dropPath: "number" });
  checkFields(json, { classToken: "flag", preNorm: "flag", patchBias: "flag" });
  checkFields(json, {
    activation: activationNames,
    pool: ["class", "mean", "map", "none"],
    finalNorm: ["tokens", "pooled"],
    positions: ["learned", "sincos"],
    interpolation: ["bicubic", "antialias"],
    remainder: ["error", "crop"],
  });
  return json.json as unknown as ViTConfig;
}
