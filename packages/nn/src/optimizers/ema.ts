import { Cell, commit, type Tensor, zeros } from "@vlm/core";
import type { Module } from "../module/module.ts";
import type { CellTensor } from "../module/parameter.ts";

/** Options of `EMA`. */
export type EMAOptions = {
  /** Share of the average that stays at each update. */
  decay: number;
  /** Uses min(decay, (1 + t)/(10 + t)) at update t, so that the start is forgotten soon. Default false. */
  warmup?: boolean;
};

/**
 * Exponential moving average of a model's parameters and buffers, a ← decay·a + (1 − decay)·p, kept beside them.
 * Call `update` after each optimiser step, and evaluate within `during`.
 */
export class EMA {
  private readonly options: EMAOptions;
  private readonly averages = new Map<string, { source: CellTensor; average: Cell }>();
  private readonly updates: Cell; // i32 []

  constructor(model: Module, options: EMAOptions) {
    this.options = options;
    this.updates = new Cell(zeros([], "i32"), { owner: "averages" });
    for (const [path, source] of model.stateDict()) {
      this.averages.set(path, { source, average: new Cell(source.value, { owner: "averages" }) });
    }
  }

  /** Moves the averages towards the current values; with `when` (bool []) only where that is true. */
  update({ when }: { when?: Tensor } = {}): Promise<void> {
    const t = this.updates.value.cast("f32");
    const { decay, warmup = false } = this.options;
    const keep = warmup ? t.add(1).div(t.add(10)).minimum(decay) : t.mul(0).add(decay);
    const write = (cell: Cell, next: Tensor): void => cell.assign(when ? when.where(next, cell.value) : next);
    for (const { source, average } of this.averages.values()) {
      const before = average.value.cast("f32");
      write(
        average,
        source
          .cast("f32")
          .add(before.sub(source.cast("f32")).mul(keep))
          .cast(average.dtype),
      );
    }
    write(this.updates, this.updates.value.add(1));
    const done = commit();
    done.catch(() => {});
    return done;
  }

  /** The averages by parameter path: `model.load(ema.state())` takes them over. */
  state(): Map<string, Tensor> {
    return new Map([...this.averages].map(([path, { average }]) => [path, average.value]));
  }

  /** Everything that resuming needs, by name. */
  cells(): Map<string, Cell> {
    const found = new Map<string, Cell>([["updates", this.updates]]);
    for (const [path, { average }] of this.averages) found.set(`average/${path}`, average);
    return found;
  }

  /** Runs `fn` while the model holds the averages; afterwards it has its own values back, also when `fn` throws. */
  async during<T>(fn: () => Promise<T>): Promise<T> {
    const all = [...this.averages.values()];
    const own = all.map(({ source }) => new Cell(source.value, { owner: "averages" }));
    for (const { source, average } of all) source.assign(average.value);
    await commit();
    try {
      return await fn();
    } finally {
      all.forEach(({ source }, i) => {
        source.assign(own[i]!.value);
      });
      await commit();
    }
  }
}
