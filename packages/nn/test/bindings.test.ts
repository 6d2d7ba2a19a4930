/** Training fits devices that bind few buffers: WebGPU promises eight for a shader. */
import { random, useDevice } from "@vlm/core";
import { AdamW, cosine, EMA, Module, repeat, TransformerBlock, train } from "@vlm/nn";
import { afterAll, expect, it } from "vitest";
import { create } from "webgpu";

afterAll(async () => {
  await useDevice("js");
});

// Dawn's devices end with the object that they come from.
const dawn = create([]);

class Tower extends Module {
  readonly blocks = repeat(4, () => new TransformerBlock({ width: 16, heads: 2 }));
}

it.each([8, 10])("a guarded, clipped and averaged step on a device of %i storage buffers", async (most) => {
  const adapter = (await dawn.requestAdapter())!;
  await useDevice(await adapter.requestDevice({ requiredLimits: { maxStorageBuffersPerShaderStage: most } }));
  const model = new Tower();
  const optimizer = new AdamW(model, { lr: cosine(1e-3, { warmup: 2, steps: 9 }), weightDecay: 0.1, clip: 1 });
  const data = [random.normal(random.key(1), [2, 4, 16])];
  const { loss } = await train({
    ...{ model, optimizer, ema: new EMA(model, { decay: 0.9 }), data, steps: 2 },
    loss: (x) =>
      model.blocks
        .reduce((y, block) => y.pipe(block), x)
        .square()
        .mean(),
  });
  expect(loss).toBeGreaterThan(0);
});
