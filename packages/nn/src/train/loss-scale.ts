/** Loss scaling, for gradients that f16 would round to 0. */
import { add, Cell, type Gradients, logicalAnd, type Tensor, tensor, VlmError, zeros } from "@vlm/core";

/** Options of loss scaling. */
export type LossScaleOptions = {
  /** Factor at first. Default 2¹⁶. */
  initial?: number;
  /** Sound steps in a row after which the factor doubles. Default 2000. */
  interval?: number;
  /** Overflows in a row that end the run. Default 20. */
  attempts?: number;
};

/**
 * Multiplies the loss before the backward pass and divides the gradients after it (Micikevicius et al. 2018,
 * arXiv:1710.03740, section 3.2). The factor halves when gradients overflow, and that update is left out; it doubles
 * after `interval` sound ones, as `torch.amp.GradScaler` does. It is always a power of 2 times the first: a run that
 * neither overflows nor underflows has the bits of one without scaling.
 */
export class LossScale {
  readonly options: Required<LossScaleOptions>;
  private readonly scale: Cell; // f32 []
  private readonly sound: Cell; // i32 [], sound steps since the factor changed
  private readonly overflows: Cell; // i32 [], in a row

  constructor(options: LossScaleOptions) {
    const { initial = 2 ** 16, interval = 2000, attempts = 20 } = options;
    this.options = { initial, interval, attempts };
    const whole = (value: number): boolean => Number.isSafeInteger(value) && value >= 1;
    if (!(initial > 0 && initial < 2 ** 120) || !whole(interval) || !whole(attempts)) {
      throw new VlmError("ArgumentError", "LOSS_SCALE_OPTION", {
        what: `train: lossScale is { initial: ${initial}, interval: ${interval}, attempts: ${attempts} }`,
        hint: "initial is above 0, usually a power of 2; interval and attempts are whole numbers, at least 1",
        details: { initial, interval, attempts },
      });
    }
    this.scale = new Cell(tensor(initial), { owner: "train" });
    this.sound = new Cell(zeros([], "i32"), { owner: "train" });
    this.overflows = new Cell(zeros([], "i32"), { owner: "train" });
  }

  /** The factor of the step under way, f32 []. */
  get factor(): Tensor {
    return this.scale.value;
  }

  /** Everything that resuming needs, by name. */
  cells(): Map<string, Cell> {
    return new Map([
      ["scale", this.scale],
      ["sound", this.sound],
      ["overflows", this.overflows],
    ]);
  }

  /** The gradients as they are without scaling, f32. */
  unscale(gradients: Gradients): Gradients {
    const inverse = this.factor.reciprocal();
    return new Map([...gradients].map(([cell, gradient]) => [cell, gradient.cast("f32").mul(inverse)]));
  }

  /**
   * Adjusts the factor after a step that was written (`go`) or whose gradients alone are not finite (`overflow`), bool
   * [] each. Gives whether that overflow is one of those that scaling is meant for: the last of `attempts` in a row is
   * not.
   */
  adjust(go: Tensor, overflow: Tensor): Tensor {
    const { interval, attempts } = this.options;
    const { factor } = this;
    const inARow = this.overflows.value;
    const usual = logicalAnd(overflow, inARow.lt(attempts - 1));
    const sound = go.where(add(this.sound.value, 1), 0);
    const grows = sound.ge(interval);
    this.scale.assign(usual.where(factor.mul(0.5), grows.where(factor.mul(2), factor)));
    this.sound.assign(grows.where(0, sound).cast("i32"));
    this.overflows.assign(usual.where(add(inARow, 1), 0).cast("i32"));
    return usual;
  }
}
