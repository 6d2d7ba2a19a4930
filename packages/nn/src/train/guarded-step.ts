/** One training step as a plan, with a guard: where a number is not finite, nothing is written. */
import {
  add,
  Cell,
  commit,
  compile,
  concat,
  context,
  isFinite as finite,
  type Gradients,
  grad,
  logicalAnd,
  logicalNot,
  random,
  stack,
  Tensor,
  tensor,
  VlmError,
  zeros,
} from "@vlm/core";
import type { Module } from "../module/module.ts";
import type { StateBuffer } from "../module/parameter.ts";
import { GradientAccumulator } from "../optimizers/accumulate.ts";
import { globalNorm } from "../optimizers/clip.ts";
import type { EMA } from "../optimizers/ema.ts";
import type { Optimizer } from "../optimizers/optimizer.ts";
import type { LossScale } from "./loss-scale.ts";

/** A loss, f32 [], alone or with metrics. */
export type Loss = Tensor | ({ readonly loss: Tensor } & Readonly<Record<string, Tensor>>);

export type StepParts<B> = {
  model: Module;
  optimizer: Optimizer;
  ema: EMA | undefined;
  loss: (batch: B) => Loss;
  key: Cell;
  scale: LossScale | undefined;
  /** After a step that was not finite, later ones write nothing either, until `proceed`. */
  halt: boolean;
};

/** What became of a step: written, left out since the scaled gradients overflowed, or left out by the guard. */
export type Outcome = "written" | "overflow" | "incident";
const OUTCOMES: readonly Outcome[] = ["written", "overflow", "incident"];

/** What a step reports, read from the device in one piece. */
export type StepReport = {
  outcome: Outcome;
  loss: number;
  learningRate: number;
  gradientNorm: number;
  /** Factor of the loss in the backward pass; 1 without loss scaling. */
  lossScale: number;
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
  /** Buffers as they were before the first batch of a step of several. */
  private readonly buffersBefore = new Map<StateBuffer, Cell>();
  private names: readonly string[] = [];
  private readonly whole: (batch: B, step: Tensor, index: Tensor) => Promise<Tensor>;
  private readonly part: (batch: B, step: Tensor, index: Tensor) => Promise<Tensor>;
  private readonly last: (losses: Tensor) => Promise<Tensor>;

  constructor(parts: StepParts<B>, accumulate: number) {
    this.parts = parts;
    const buffers = [...parts.model.namedBuffers().values()];
    this.accumulator = accumulate > 1 ? new GradientAccumulator(parts.model) : null;
    if (this.accumulator) {
      for (const buffer of buffers) {
        this.buffersBefore.set(buffer, new Cell(zeros(buffer.shape, buffer.dtype), { owner: "train" }));
      }
    }
    this.whole = compile((batch: B, step: Tensor, index: Tensor) => {
      const before = buffers.map((buffer) => ({ buffer, value: buffer.value }));
      const { values, gradients } = this.backward(batch, step, index);
      const [go, report] = this.update(values, gradients);
      for (const { buffer, value } of before) restoreUnless(go, buffer, value);
      return report;
    });
    this.part = compile((batch: B, step: Tensor, index: Tensor) => {
      for (const [buffer, kept] of this.buffersBefore) kept.assign(index.eq(0).where(buffer.value, kept.value));
      const { values, gradients } = this.backward(batch, step, index);
      this.accumulator!.add(gradients, 1 / accumulate);
      return values;
    });
    this.last = compile((losses: Tensor) => {
      const [go, report] = this.update(losses, this.accumulator!.take());
      for (const [buffer, kept] of this.buffersBefore) restoreUnless(go, buffer, kept.value);
      return report;
    });
  }

  /** Submits the step made of these batches. */
  async run(batches: readonly B[], step: number): Promise<{ read(): Promise<StepReport> }> {
    const at = tensor(step, { dtype: "i32" });
    const index = (i: number): Tensor => tensor(i, { dtype: "i32" });
    let report: Tensor;
    if (!this.accumulator) report = await this.whole(batches[0]!, at, index(0));
    else {
      const parts: Tensor[] = [];
      try {
        for (const [i, batch] of batches.entries()) parts.push(await this.part(batch, at, index(i)));
      } catch (error) {
        // A batch that the loss refuses: what layers wrote for those before it is undone.
        for (const [buffer, kept] of parts.length > 0 ? this.buffersBefore : []) buffer.assign(kept.value);
        await commit();
        throw error;
      }
      report = await this.last(parts.reduce((a, b) => add(a, b)).mul(1 / parts.length));
    }
    return { read: () => this.read(report) };
  }

  /** Lets steps write again after an incident. */
  async proceed(): Promise<void> {
    this.halted.assign(zeros([], "i32"));
    await commit();
  }

  /** Loss and metrics as one vector, and the gradients, scaled where losses are. */
  private backward(batch: B, step: Tensor, index: Tensor): { values: Tensor; gradients: Gradients } {
    const { model, loss, key, scale } = this.parts;
    const result = context({ training: true, key: keyOfBatch(key.value, step, index) }, () => loss(batch));
    const value = scalar(lossIn(result));
    const metrics = result instanceof Tensor ? [] : Object.entries(result).filter(([name]) => name !== "loss");
    this.names = metrics.map(([name]) => name);
    const values = stack([value, ...metrics.map(([, metric]) => scalar(metric))]);
    return { values, gradients: grad(scale ? value.mul(scale.factor) : value, model) };
  }

  /** Writes parameters, moments and averages where all is finite; gives that condition and the report. */
  private update(values: Tensor, scaled: Gradients): [go: Tensor, report: Tensor] {
    const { optimizer, ema, halt, scale } = this.parts;
    const gradients = scale ? scale.unscale(scaled) : scaled;
    const norm = globalNorm(gradients);
    const lr = optimizer.rate();
    const sound = finite(values.slice(0));
    const running = halt ? logicalAnd(sound, this.halted.value.eq(0)) : sound;
    const go = logicalAnd(running, finite(norm));
    const factor = scale?.factor ?? tensor(1);
    const overflow = scale?.adjust(go, logicalAnd(running, logicalNot(finite(norm))));
    const outcome = go.where(0, overflow ? overflow.where(1, 2) : 2);
    if (halt) this.halted.assign(outcome.eq(2).cast("i32"));
    optimizer.step(gradients, { when: go, norm });
    ema?.update({ when: go });
    const head = stack([outcome, lr, norm, factor].map((x) => x.cast("f32")));
    return [go, concat([head, values])];
  }

  private async read(report: Tensor): Promise<StepReport> {
    const [outcome, learningRate, gradientNorm, lossScale, loss, ...rest] = await report.data();
    report.dispose();
    return {
      outcome: OUTCOMES[outcome!]!,
      loss: loss!,
      learningRate: learningRate!,
      gradientNorm: gradientNorm!,
      lossScale: lossScale!,
      metrics: Object.fromEntries(this.names.map((name, i) => [name, rest[i]!])),
    };
  }
}

/** Undoes what layers wrote to a buffer, unless the step counts. */
function restoreUnless(go: Tensor, buffer: StateBuffer, before: Tensor): void {
  const after = buffer.value;
  if (after.node !== before.node) buffer.assign(go.where(after, before));
}

function scalar(x: Tensor): Tensor {
  if (x.size === 1) return x.cast("f32").reshape([]);
  throw new VlmError("ShapeError", "LOSS_SCALAR", {
    what: `train: a loss or metric is one number, got [${x.shape.join(" ")}]`,
    hint: "reduce it first, for example loss.mean()",
  });
}
