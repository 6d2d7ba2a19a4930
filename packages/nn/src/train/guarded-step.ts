/** One training step as a plan, with a guard: where a number is not finite, nothing is written. */
import {
  add,
  Cell,
  compile,
  concat,
  context,
  isFinite as finite,
  type Gradients,
  grad,
  logicalAnd,
  random,
  stack,
  Tensor,
  tensor,
  VlmError,
  zeros,
} from "@vlm/core";
import type { Module } from "../module/module.ts";
import { GradientAccumulator } from "../optimizers/accumulate.ts";
import { globalNorm } from "../optimizers/clip.ts";
import type { EMA } from "../optimizers/ema.ts";
import type { Optimizer } from "../optimizers/optimizer.ts";

/** A loss, f32 [], alone or with metrics. */
export type Loss = Tensor | ({ readonly loss: Tensor } & Readonly<Record<string, Tensor>>);

export type StepParts<B> = {
  model: Module;
  optimizer: Optimizer;
  ema: EMA | undefined;
  loss: (batch: B) => Loss;
  key: Cell;
  /** After a step that was not finite, later ones write nothing either. */
  halt: boolean;
};

/** What a step reports, read from the device in one piece. */
export type StepReport = {
  ok: boolean;
  loss: number;
  learningRate: number;
  gradientNorm: number;
  metrics: Record<string, number>;
};

/** The plain loss of what `loss` returns. */
export const lossIn = (result: Loss): Tensor => (result instanceof Tensor ? result : result.loss);

/** The key that layers draw from in one batch of a step. */
export const keyOfBatch = (key: Tensor, step: Tensor, index: Tensor): Tensor =>
  random.fold(random.fold(key, step), index);

/** Compiles the step of a run; calling it submits one step and gives its report, which is ready later. */
export class GuardedStep<B> {
  private readonly parts: StepParts<B>;
  private readonly halted = new Cell(zeros([], "i32"), { owner: "train" });
  private readonly accumulator: GradientAccumulator | null;
  private names: readonly string[] = [];
  private readonly whole: (batch: B, step: Tensor, index: Tensor) => Promise<Tensor>;
  private readonly part: (batch: B, step: Tensor, index: Tensor) => Promise<Tensor>;
  private readonly last: (losses: Tensor) => Promise<Tensor>;

  constructor(parts: StepParts<B>, accumulate: number) {
    this.parts = parts;
    this.accumulator = accumulate > 1 ? new GradientAccumulator(parts.model) : null;
    this.whole = compile((batch: B, step: Tensor, index: Tensor) => {
      const { values, gradients, guardBuffers } = this.backward(batch, step, index);
      const [go, report] = this.update(values, gradients);
      guardBuffers(go);
      return report;
    });
    this.part = compile((batch: B, step: Tensor, index: Tensor) => {
      const { values, gradients, guardBuffers } = this.backward(batch, step, index);
      this.accumulator!.add(gradients, 1 / accumulate);
      guardBuffers(finite(values.slice(0)));
      return values;
    });
    this.last = compile((losses: Tensor) => this.update(losses, this.accumulator!.take())[1]);
  }

  /** Submits the step made of these batches. */
  async run(batches: readonly B[], step: number): Promise<{ read(): Promise<StepReport> }> {
    const at = tensor(step, { dtype: "i32" });
    const index = (i: number): Tensor => tensor(i, { dtype: "i32" });
    let report: Tensor;
    if (!this.accumulator) report = await this.whole(batches[0]!, at, index(0));
    else {
      const parts: Tensor[] = [];
      for (const [i, batch] of batches.entries()) parts.push(await this.part(batch, at, index(i)));
      report = await this.last(parts.reduce((a, b) => add(a, b)).mul(1 / parts.length));
    }
    return { read: () => this.read(report) };
  }

  /** Loss and metrics as one vector, the gradients, and a way to undo what layers wrote to their buffers. */
  private backward(batch: B, step: Tensor, index: Tensor) {
    const { model, loss, key } = this.parts;
    const buffers = [...model.namedBuffers().values()].map((buffer) => ({ buffer, before: buffer.value }));
    const result = context({ training: true, key: keyOfBatch(key.value, step, index) }, () => loss(batch));
    const value = lossIn(result);
    const metrics = result instanceof Tensor ? [] : Object.entries(result).filter(([name]) => name !== "loss");
    this.names = metrics.map(([name]) => name);
    const values = stack([value, ...metrics.map(([, metric]) => metric)].map((x) => scalar(x)));
    const gradients = grad(value, model);
    const guardBuffers = (go: Tensor): void => {
      for (const { buffer, before } of buffers) {
        const after = buffer.value;
        if (after.node !== before.node) buffer.assign(go.where(after, before));
      }
    };
    return { values, gradients, guardBuffers };
  }

  /** Writes parameters, moments and averages where all is finite; gives that condition and the report. */
  private update(values: Tensor, gradients: Gradients): [go: Tensor, report: Tensor] {
    const { optimizer, ema, halt } = this.parts;
    const norm = globalNorm(gradients);
    const lr = optimizer.rate();
    const sound = logicalAnd(finite(values.slice(0)), finite(norm));
    const go = halt ? logicalAnd(sound, this.halted.value.eq(0)) : sound;
    if (halt) this.halted.assign(go.where(0, 1).cast("i32"));
    optimizer.step(gradients, { when: go, norm });
    ema?.update({ when: go });
    const head = stack([go.cast("f32"), lr, norm]);
    return [go, concat([head, values])];
  }

  private async read(report: Tensor): Promise<StepReport> {
    const [ok, learningRate, gradientNorm, loss, ...rest] = (await report.data()) as Float32Array;
    report.dispose();
    const metrics = Object.fromEntries(this.names.map((name, i) => [name, rest[i]!]));
    return { ok: ok === 1, loss: loss!, learningRate: learningRate!, gradientNorm: gradientNorm!, metrics };
  }
}

function scalar(x: Tensor): Tensor {
  if (x.size === 1) return x.cast("f32").reshape([]);
  throw new VlmError("ShapeError", "LOSS_SCALAR", {
    what: `train: a loss or metric is one number, got [${x.shape.join(" ")}]`,
    hint: "reduce it first, for example loss.mean()",
  });
}
