/** What all optimisers share: state in cells, parameter groups, schedules, clipping. */
import { Cell, commit, fill, type Gradients, lossOf, type Shape, type Tensor, VlmError, zeros } from "@vlm/core";
import type { Module, ParameterFilter } from "../module/module.ts";
import type { Parameter } from "../module/parameter.ts";
import type { Schedule } from "../schedules/schedule.ts";
import { clipByGlobalNorm } from "./clip.ts";

/** A learning rate: fixed, or a function of the step (f32 [], 0 for the first update). */
export type Rate = number | Schedule | ((step: Tensor) => Tensor);

/** Parameters that are treated differently. */
export type ParameterGroup = {
  parameters: ParameterFilter;
  /** Multiplies the learning rate. Default 1. */
  lrScale?: number;
  /** Instead of the optimiser's. */
  weightDecay?: number;
};

/** What all optimisers take. */
export type OptimizerOptions = {
  /** Learning rate. */
  lr: Rate;
  /**
   * Weight decay of matrices and larger. Vectors and scalars (norms, biases, logit scales) are not decayed, unless a
   * group says so.
   */
  weightDecay?: number;
  /** The first group whose filter matches a parameter counts. */
  groups?: readonly ParameterGroup[];
  /** Largest global norm of the gradients. */
  clip?: number;
};

/** What `update` gets about one parameter. */
export type Settings = {
  /** Where it is in the model. */
  path: string;
  lr: Tensor; // f32 []
  weightDecay: number;
  /** Number of this update, 1 for the first. */
  step: Tensor; // f32 []
};

/** Tensors that an optimiser keeps for one parameter, by name. */
export type Slots = Readonly<Record<string, Tensor>>;

/** A parameter's next value, and those of its slots. */
export type Updated = { value: Tensor; slots: Slots };

type Group = { lrScale: number; weightDecay: number };

/**
 * The base of optimisers. `step(gradients)` writes every parameter, every moment and the step count; inside `compile`
 * that is part of the plan, outside it is computed at once. A new optimiser defines `slots` and `update`.
 */
export abstract class Optimizer {
  readonly options: OptimizerOptions;
  /** Updates made, i32 []. */
  readonly steps: Cell;
  private readonly paths = new Map<Cell, string>();
  private readonly groups = new Map<Cell, Group>();
  private readonly state = new Map<Cell, ReadonlyMap<string, Cell>>();

  constructor(model: Module, options: OptimizerOptions) {
    this.options = options;
    this.check(model);
    this.steps = new Cell(zeros([], "i32"), { owner: "optimizer" });
    for (const [path, parameter] of model.namedParameters()) {
      this.paths.set(parameter.cell, path);
      this.groups.set(parameter.cell, this.groupOf(path, parameter));
    }
  }

  /** Shapes of the tensors kept for the parameter of `shape` at `path`; they start at 0. */
  protected abstract slots(shape: Shape, path: string): Readonly<Record<string, Shape>>;

  /** The next value of one parameter and of its slots, all f32. */
  protected abstract update(value: Tensor, gradient: Tensor, slots: Slots, settings: Settings): Updated;

  /** The learning rate of the update after `step` ones, f32 []. */
  rate(step: Tensor = this.steps.value.cast("f32")): Tensor {
    const { lr } = this.options;
    return typeof lr === "number" ? fill(lr, []) : lr(step);
  }

  /**
   * Updates the parameters that gradients are given for. With `when` (bool []) everything stays as it is where it is
   * false, also the step count. Settles when the device has done it; there is no need to wait. Throws `ArgumentError
   * FOREIGN_GRADIENT` for a cell that is no parameter of the model the optimiser was made for.
   */
  step(gradients: Gradients, { when, norm }: { when?: Tensor; norm?: Tensor } = {}): Promise<void> {
    const { clip } = this.options;
    const used = clip === undefined ? gradients : clipByGlobalNorm(gradients, clip, norm).gradients;
    const before = this.steps.value;
    const write = (cell: Cell, next: Tensor): void => {
      const value = next.cast(cell.dtype);
      cell.assign(when ? when.where(value, cell.value) : value);
    };
    const lr = this.rate(before.cast("f32"));
    const step = before.add(1).cast("f32");
    for (const [cell, gradient] of used) {
      const { lrScale, weightDecay } = this.groups.get(cell) ?? this.foreign(cell);
      const slots = this.slotsOf(cell);
      const next = this.update(
        cell.value.cast("f32"),
        gradient.cast("f32"),
        Object.fromEntries([...slots].map(([name, slot]) => [name, slot.value])),
        { path: this.paths.get(cell)!, lr: lrScale === 1 ? lr : lr.mul(lrScale), weightDecay, step },
      );
      write(cell, next.value);
      for (const [name, slot] of slots) write(slot, next.slots[name]!);
    }
    write(this.steps, before.add(1));
    const [first] = gradients.values();
    const loss = first && lossOf(first);
    const done = commit(loss ? [loss] : []);
    // Whoever reads a parameter gets the error; nobody has to wait here for that.
    done.catch(() => {});
    return done;
  }

  /** Everything that resuming needs, by name: `step`, and `slot/path` for each parameter that trains. */
  cells(trainable: Iterable<Cell> = this.paths.keys()): Map<string, Cell> {
    const found = new Map<string, Cell>([["step", this.steps]]);
    for (const cell of trainable) {
      for (const [name, slot] of this.slotsOf(cell)) found.set(`${name}/${this.paths.get(cell)}`, slot);
    }
    return found;
  }

  private slotsOf(cell: Cell): ReadonlyMap<string, Cell> {
    let slots = this.state.get(cell);
    if (!slots) {
      const path = this.paths.get(cell) ?? this.foreign(cell);
      const shapes = Object.entries(this.slots(cell.shape, path));
      slots = new Map(shapes.map(([name, shape]) => [name, new Cell(zeros(shape), { owner: "moments" })]));
      this.state.set(cell, slots);
    }
    return slots;
  }

  private groupOf(path: string, parameter: Parameter): Group {
    const group = this.options.groups?.find(({ parameters }) =>
      parameters instanceof RegExp ? parameters.test(path) : parameters(path, parameter),
    );
    const usual = parameter.rank >= 2 ? (this.options.weightDecay ?? 0) : 0;
    return { lrScale: group?.lrScale ?? 1, weightDecay: group?.weightDecay ?? usual };
  }

  private foreign(cell: Cell): never {
    throw new VlmError("ArgumentError", "FOREIGN_GRADIENT", {
      what: `${this.constructor.name}: a gradient [${cell.shape.join(" ")}] is for no parameter of its model`,
      hint: "make the optimiser after the model is complete (adapters added, dtypes converted)",
    });
  }

  private check(model: Module): void {
    const { lr, weightDecay = 0, groups = [], clip = 1 } = this.options;
    const decays = [weightDecay, ...groups.flatMap((group) => group.weightDecay ?? [])];
    positive(this, "lr", typeof lr === "number" ? lr : 1, { zero: true });
    for (const decay of decays) positive(this, "weightDecay", decay, { zero: true });
    for (const { lrScale = 1 } of groups) positive(this, "lrScale", lrScale, { zero: true });
    positive(this, "clip", clip);
    if (model.trainable().length > 0) return;
    throw new VlmError("ArgumentError", "NOTHING_TRAINS", {
      what: `${this.constructor.name}: the model has no parameter that trains`,
      where: model.constructor.name,
      hint: model.parameters().length > 0 ? "all are frozen: call unfreeze() with a filter" : "it has no parameters",
    });
  }
}

/** Throws `ArgumentError OPTIMIZER_OPTION` unless a number is finite and positive (or 0), and below `below`. */
export function positive(
  optimizer: Optimizer,
  name: string,
  value: number,
  { zero = false, below = Number.POSITIVE_INFINITY }: { zero?: boolean; below?: number } = {},
): void {
  if ((value > 0 || (zero && value === 0)) && value < below) return;
  const limit = below === Number.POSITIVE_INFINITY ? "" : ` and below ${below}`;
  throw new VlmError("ArgumentError", "OPTIMIZER_OPTION", {
    what: `${optimizer.constructor.name}: ${name} is ${value}`,
    hint: `it is a finite number ${zero ? "of 0 or more" : "above 0"}${limit}`,
    details: { name, value },
  });
}
