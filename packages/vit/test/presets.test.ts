import { describe, expect, it } from "vitest";
import { createViT, ViT_B16, ViT_B32, ViT_bigG14, ViT_g14, ViT_H14, ViT_L16, ViT_S16, ViT_Ti16 } from "../src/index.ts";

// In a file of its own: models that nothing reads hold no memory, as long as nothing else is computed.
describe("presets", () => {
  it.each([
    ["ViT-B/16", ViT_B16, 86.6],
    ["ViT-B/32", ViT_B32, 88.2],
    ["ViT-L/16", ViT_L16, 304.3],
    ["ViT-H/14", ViT_H14, 632.0],
    ["ViT-g/14", ViT_g14, 1012.6],
    ["ViT-G/14", ViT_bigG14, 1844.4],
    ["ViT-S/16", ViT_S16, 22.1],
    ["ViT-Ti/16", ViT_Ti16, 5.7],
  ] as const)("%s has the published number of parameters", (_, config, millions) => {
    const count = createViT(config)
      .parameters()
      .reduce((sum, { size }) => sum + size, 0);
    expect(count / 1e6).toBeCloseTo(millions, 1);
  });
});
