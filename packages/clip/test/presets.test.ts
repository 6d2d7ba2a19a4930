import { describe, expect, it } from "vitest";
import { type CLIPConfig, createCLIP } from "../src/clip-model.ts";
import * as presets from "../src/presets.ts";

/** Millions of parameters: counted by open_clip and transformers, which publish them (docs/model_profile.csv there). */
const published: [name: keyof typeof presets, millions: number][] = [
  ["CLIP_B32", 151.28],
  ["CLIP_B16", 149.62],
  ["CLIP_L14", 427.62],
  ["CLIP_L14_336", 427.94],
  ["CLIP_RN50", 102.01],
  ["CLIP_RN101", 119.69],
  ["CLIP_RN50x4", 178.3],
  ["CLIP_RN50x16", 290.98],
  ["CLIP_RN50x64", 623.26],
  ["CLIP_H14", 986.11],
  ["CLIP_g14", 1366.68],
  ["CLIP_bigG14", 2539.57],
  ["SigLIP_B16_224", 203.16],
  ["SigLIP_B16_256", 203.2],
  ["SigLIP_B16_384", 203.45],
  ["SigLIP_B16_512", 203.79],
  ["SigLIP_L16_256", 652.15],
  ["SigLIP_L16_384", 652.48],
  ["SigLIP_so400m_384", 877.96],
];

const configs: Record<string, CLIPConfig> = { ...presets };

describe("presets", () => {
  it("all are counted below", () => {
    expect(published.map(([name]) => name).sort()).toEqual(Object.keys(configs).sort());
  });

  it.each(published)("%s has %s million parameters, and counting takes no memory", (name, millions) => {
    const model = createCLIP(configs[name]!);
    const count = model.parameters().reduce((sum, { size }) => sum + size, 0);
    expect(count / 1e6).toBeCloseTo(millions, 1);
  });
});
