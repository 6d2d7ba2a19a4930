import { currentContext, type Tensor, take, VlmError } from "@vlm/core";
import { type Initializer, initialKey, normal } from "../init/initializer.ts";
import { Module } from "../module/module.ts";
import { Parameter } from "../module/parameter.ts";

/**
 * Rows of a table, y = W[id] (Bengio et al. 2003): integer [… N] → [… N D]. Ids made from host numbers are checked: one
 * outside the table throws `IndexRangeError TOKEN_RANGE`. Ids computed on the device cannot be checked and give NaN rows
 * instead.
 */
export class Embedding extends Module {
  readonly weight: Parameter; // [V D]

  constructor(count: number, width: number, options: { init?: Initializer } = {}) {
    super();
    this.weight = new Parameter((options.init ?? normal(1))([count, width], initialKey()));
  }

  /** Ids […] → vectors [… D]. */
  forward(ids: Tensor): Tensor {
    checkIds(ids, this.weight.shape[0]!);
    return take(this.weight, ids);
  }
}

/** Throws for ids outside 0 … count − 1, if their values are on the host. */
function checkIds(ids: Tensor, count: number): void {
  const host = ids.node.attributes.host as ArrayLike<number> | undefined;
  if (!host) return;
  for (let i = 0; i < host.length; i++) {
    const id = host[i]!;
    if (id >= 0 && id < count) continue;
    throw new VlmError("IndexRangeError", "TOKEN_RANGE", {
      what: `embedding: id ${id} at position ${i} of [${ids.shape.join(" ")}]; the table has ${count} rows`,
      where: currentContext().path.join(".") || undefined,
      hint: "check that the tokenizer and the model belong together",
      details: { id, position: i, count },
    });
  }
}
