/** This library: its models where there are any, else its operations, through `compile`. */
import { createCLIP } from "@vlm/clip";
import { clipLoss } from "@vlm/contrastive";
import {
  type Cell,
  compile,
  concat,
  conv2d,
  enableRelaxedSimd,
  eye,
  grad,
  layerNorm,
  onDebug,
  scaledDotProductAttention,
  type Tensor,
  take,
  tensor,
  useDevice,
} from "@vlm/core";
import { AdamW, Module, Parameter, TransformerBlock } from "@vlm/nn";
import { ViT } from "@vlm/vit";

import { floatsOf, integersOf, type Spec } from "../work/data.ts";
import { ADAMW, type Ops, type Program } from "../work/ops.ts";
import type { ViTWork } from "../work/transformer.ts";
import type { Work } from "../work/work.ts";
import type { Contender, Runnable } from "./contender.ts";

const ops: Ops<Tensor> = {
  shape: (x) => x.shape,
  add: (a, b) => a.add(b),
  mul: (a, b) => a.mul(b),
  scale: (x, factor) => x.mul(factor),
  exp: (x) => x.exp(),
  gelu: (x) => x.gelu(),
  quickGelu: (x) => x.gelu("quick"),
  matmul: (a, b, options) => a.matmul(options?.transposed ? b.transpose() : b),
  linear: (x, w, b) => (b ? x.matmul(w.transpose()).add(b) : x.matmul(w.transpose())),
  layerNorm: (x, weight, bias, eps) => layerNorm(x, { weight, bias, eps }),
  softmax: (x) => x.softmax(-1),
  logSoftmax: (x) => x.logSoftmax(-1),
  attention: (q, k, v, causal) => scaledDotProductAttention(q, k, v, { causal }),
  conv2d: (x, weight, bias, stride) => {
    const pad = ((weight.shape[2] ?? 1) - 1) / 2;
    return conv2d(x, weight, { bias, stride, padding: pad });
  },
  gather: (table, ids) => take(table, ids),
  reshape: (x, shape) => x.reshape(shape),
  permute: (x, order) => x.permute(order),
  slice: (x, axis, start, end) => x.slice(...Array.from({ length: axis }, () => null), [start, end]),
  concat: (parts, axis) => concat(parts, axis),
  expand: (x, shape) => x.expand(shape),
  sumLast: (x) => x.sum(-1, { keepDims: true }),
  rsqrt: (x) => x.rsqrt(),
  sumAll: (x) => x.sum(),
  eye: (n) => eye(n),
};

const tensorOf = (spec: Spec): Tensor =>
  spec.ids
    ? tensor(integersOf(spec), { shape: spec.shape, dtype: "i32" })
    : tensor(floatsOf(spec), { shape: spec.shape });

/** A program's weights as a module, for the optimiser. */
class Weights extends Module {
  readonly weights: Record<string, Parameter> = {};
  constructor(program: Program) {
    super();
    for (const spec of program.specs) {
      if (spec.role === "weight") this.weights[spec.name.replaceAll(".", "/")] = new Parameter(tensorOf(spec));
    }
  }
  get(name: string): Tensor {
    return this.weights[name.replaceAll(".", "/")]!;
  }
}

type Model = { module: Module; forward(inputs: Record<string, Tensor>): Tensor };

const vitConfig = ({ clip, ...work }: ViTWork) => ({
  ...work,
  finalNorm: "pooled" as const,
  preNorm: clip,
  patchBias: !clip,
});

async function modelOf(program: Program, work: Work): Promise<Model> {
  let model: Model;
  if (work.kind === "vit") {
    const module = new ViT(vitConfig(work.model));
    model = { module, forward: ({ image }) => image!.pipe(module) };
  } else if (work.kind === "clip") {
    const { image, text, embed } = work.model;
    const module = createCLIP({ image: { kind: "vit", ...vitConfig(image) }, text, embed });
    const features = (inputs: Record<string, Tensor>) =>
      [module.imageFeatures(inputs.pixels!), module.textFeatures(inputs.ids!)] as const;
    model = {
      module,
      forward: (inputs) => {
        const [i, t] = features(inputs);
        return work.mode === "train" ? clipLoss(i, t, module.logitScale) : module.logits(i, t);
      },
    };
  } else if (work.kind === "blocks") {
    const blocks = Array.from({ length: work.model.depth }, () => new TransformerBlock({ ...work.model, eps: 1e-5 }));
    class Blocks extends Module {
      readonly blocks = blocks;
    }
    const module = new Blocks();
    model = {
      module,
      forward: ({ tokens }) => {
        let x = tokens!;
        for (const block of blocks) x = x.pipe(block);
        return work.mode === "train" ? x.square().mean() : x;
      },
    };
  } else {
    const module = new Weights(program);
    return { module, forward: (inputs) => program.build(ops, (name) => inputs[name] ?? module.get(name)) };
  }
  const weights = program.specs.filter(({ role }) => role === "weight");
  await model.module.load(new Map(weights.map((spec) => [spec.name, tensorOf(spec)])));
  return model;
}

async function prepare(program: Program, work: Work): Promise<Runnable> {
  const { module, forward } = await modelOf(program, work);
  const inputs = Object.fromEntries(
    program.specs.filter(({ role }) => role === "input").map((spec) => [spec.name, tensorOf(spec)]),
  );
  const call = callOf(program, work, module, forward, inputs);
  const runnable: Runnable = {
    ...call,
    results: async () => {
      const stop = onDebug((event) => {
        if (event.kind === "plan") runnable.kernels = event.schedule.kernels.length;
      }, 3);
      try {
        return await call.results();
      } finally {
        stop();
      }
    },
    dispose: () => {},
  };
  return runnable;
}

function callOf(
  program: Program,
  work: Work,
  module: Module,
  forward: Model["forward"],
  inputs: Record<string, Tensor>,
): Omit<Runnable, "dispose"> {
  if (work.mode === "forward") {
    const fn = compile((given: Record<string, Tensor>) => forward(given));
    const run = async (): Promise<Float32Array> => (await (await fn(inputs)).data()) as Float32Array;
    return { run, results: async () => [await run()] };
  }
  if (work.mode === "train") {
    const optimizer = new AdamW(module, {
      lr: ADAMW.lr,
      betas: [ADAMW.beta1, ADAMW.beta2],
      eps: ADAMW.eps,
      weightDecay: ADAMW.weightDecay,
    });
    const step = compile((given: Record<string, Tensor>) => {
      const loss = forward(given);
      optimizer.step(grad(loss, module));
      return { loss };
    });
    const run = async (): Promise<number> => (await step(inputs)).loss.item();
    return {
      run,
      results: async () => [Float32Array.of(await run(), await run(), await run())],
    };
  }
  const cells = program.specs.filter(({ role }) => role === "weight");
  const floats = program.specs.filter(({ role, ids }) => role === "input" && !ids).map(({ name }) => name);
  const parameters = module.namedParameters();
  const cellOf = ({ name }: Spec): Cell =>
    (parameters.get(name) ?? parameters.get(`weights.${name.replaceAll(".", "/")}`))!.cell;
  const fn = compile((given: Record<string, Tensor>, upstream: Tensor) => {
    const loss = forward(given).mul(upstream).sum();
    return [...grad(loss, [...floats.map((name) => given[name]!), ...cells.map(cellOf)])];
  });
  let upstream: Tensor | undefined;
  const gradients = async (): Promise<Tensor[]> => {
    upstream ??= tensorOf({ name: "upstream", role: "input", shape: forward(inputs).shape });
    return fn(inputs, upstream);
  };
  return {
    run: async () => {
      const all = await gradients();
      const smallest = all.reduce((a, b) => (a.size <= b.size ? a : b));
      return smallest.data();
    },
    results: async () => Promise.all((await gradients()).map(async (g) => (await g.data()) as Float32Array)),
  };
}

export async function openVlm(threads: number, device: "wasm" | "webgpu", relaxed: boolean): Promise<Contender> {
  if (relaxed) await enableRelaxedSimd();
  await useDevice(device, device === "wasm" ? { threads } : {});
  return { prepare };
}
