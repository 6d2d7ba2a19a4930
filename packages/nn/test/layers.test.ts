import { context, grad, random, type Tensor } from "@vlm/core";
import {
  Attention,
  BatchNorm,
  Conv1d,
  Conv2d,
  ConvTranspose2d,
  Embedding,
  GatedMlp,
  GroupNorm,
  LayerNorm,
  Linear,
  LoRA,
  Mlp,
  type MlpConfig,
  type Module,
  RMSNorm,
  TransformerBlock,
  type TransformerBlockConfig,
} from "@vlm/nn";
import { beforeAll, describe, expect, it } from "vitest";
import { testDevice } from "./device.ts";
import fixtures from "./fixtures/layers.json" with { type: "json" };
import { expectClose, type Packed, unpack } from "./packed.ts";

beforeAll(testDevice);

type Case = {
  config: Record<string, unknown>;
  parameters: Record<string, Packed>;
  inputs: Record<string, Packed>;
  output: Packed;
  dy: Packed;
  inputGradients: Record<string, Packed>;
  parameterGradients: Record<string, Packed>;
  startBuffers?: Record<string, Packed>;
  buffers?: Record<string, Packed>;
};

type Callable = Module & { forward(x: Tensor, ...rest: never[]): Tensor };

/** The layer that a case is about, with the options that its script used. */
const make: Record<string, (config: Record<string, unknown>) => Callable> = {
  Linear: () => new Linear(7, 5),
  "Linear without bias": () => new Linear(7, 5, { bias: false }),
  "Linear with LoRA": () => {
    const linear = new Linear(7, 5);
    linear.adapter = new LoRA(7, 5, { rank: 2, alpha: 4 });
    return linear;
  },
  Embedding: () => new Embedding(11, 4),
  LayerNorm: () => new LayerNorm(6, { eps: 1e-6 }),
  "LayerNorm without bias": () => new LayerNorm(6, { bias: false }),
  "LayerNorm without gain": () => new LayerNorm(6, { affine: false }),
  RMSNorm: () => new RMSNorm(6, { eps: 1e-5 }),
  GroupNorm: () => new GroupNorm(3, 6, { eps: 1e-6 }),
  BatchNorm: () => new BatchNorm(4),
  Conv1d: () => new Conv1d(6, 4, 3, { stride: 2, padding: 1, dilation: 2, groups: 2 }),
  Conv2d: () => new Conv2d(6, 4, [3, 2], { stride: [2, 1], padding: [1, 2], dilation: [1, 2], groups: 2 }),
  "Conv2d of patches": () => new Conv2d(2, 5, 3, { stride: 3, bias: false }),
  ConvTranspose2d: () => new ConvTranspose2d(6, 4, 3, { stride: 2, padding: 1, groups: 2, outputPadding: 1 }),
  Attention: (config) => new Attention(config as never),
  Mlp: (config) => new Mlp(config as MlpConfig),
  GatedMlp: (config) => new GatedMlp(config as MlpConfig),
  TransformerBlock: (config) => new TransformerBlock(config as TransformerBlockConfig),
};

describe("layers follow PyTorch", () => {
  for (const [name, value] of Object.entries(fixtures.cases)) {
    it(name, async () => {
      const given = value as unknown as Case;
      const layer = (make[name] ?? make[name.split(/,| in /)[0]!])!(given.config);
      const state = { ...given.parameters, ...given.startBuffers };
      await layer.load(Object.entries(state).map(([path, packed]) => [path, unpack(packed)] as const));
      const inputs = Object.fromEntries(Object.entries(given.inputs).map(([key, packed]) => [key, unpack(packed)]));
      const { x, ids, ...rest } = inputs;
      const training = name.includes("in training");
      const y = context({ training, key: random.key(0) }, () => (x ?? ids!).pipe(layer, rest as never));
      await expectClose(y, given.output);
      const loss = y.mul(unpack(given.dy)).sum();
      for (const [key, expected] of Object.entries(given.inputGradients)) {
        await expectClose(grad(loss, [inputs[key]!])[0]!, expected, 2e-5);
      }
      const gradients = grad(loss, layer);
      const named = layer.namedParameters();
      expect([...named.keys()].sort()).toEqual(Object.keys(given.parameterGradients).sort());
      for (const [path, parameter] of named) {
        await expectClose(gradients.get(parameter.cell)!, given.parameterGradients[path]!, 2e-5);
      }
      for (const [path, expected] of Object.entries(given.buffers ?? {})) {
        await expectClose(layer.namedBuffers().get(path)!, expected);
      }
    });
  }
});
