/** Low-rank adapters, Hu et al. 2021, arXiv:2106.09685. */
import type { Tensor } from "@vlm/core";
import { commit, VlmError } from "@vlm/core";
import { constant, initialKey, torchUniform } from "../init/initializer.ts";
import { Module } from "../module/module.ts";
import { Parameter } from "../module/parameter.ts";
import { Dropout } from "./dropout.ts";
import { Linear } from "./linear.ts";

/** Options of LoRA. */
export type LoRAOptions = {
  /** r in the paper. */
  rank: number;
  /** α in the paper; the addition is scaled by α / r. Default `rank`. */
  alpha?: number;
  /** Drop-out on the adapter's input. Default 0. */
  dropout?: number;
  /** Which linear layers get one, by path. Default all. */
  targets?: RegExp;
};

/** (α/r)·x·Aᵀ·Bᵀ, eq. 3: [… I] → [… O]. B starts at 0, so a fresh adapter changes nothing. */
export class LoRA extends Module {
  readonly down: Parameter; // A [r I]
  readonly up: Parameter; // B [O r]
  readonly dropout: Dropout;
  readonly scale: number;

  constructor(inputs: number, outputs: number, { rank, alpha = rank, dropout = 0 }: LoRAOptions) {
    super();
    this.down = new Parameter(torchUniform()([rank, inputs], initialKey()));
    this.up = new Parameter(constant(0)([outputs, rank], initialKey()));
    this.dropout = new Dropout(dropout);
    this.scale = alpha / rank;
  }

  /** [… I] → [… O]: what the adapter adds. */
  forward(x: Tensor): Tensor {
    return x.pipe(this.dropout).matmul(this.down.transpose()).matmul(this.up.transpose()).mul(this.scale); // [… O]
  }

  /** The change of the weight that this adapter stands for. */
  delta(): Tensor {
    return this.up.matmul(this.down).mul(this.scale); // [O I]
  }
}

/**
 * Freezes a model and gives its linear layers low-rank adapters, which then are all that trains. Parameter paths of the
 * model stay as they are; adapters are at `….adapter.down` and `….adapter.up`. Gives the adapters by path.
 * Throws `ArgumentError LORA_TARGETS` when no linear layer's path matches.
 */
export function addLoRA(model: Module, options: LoRAOptions): Map<string, LoRA> {
  const chosen = linearsOf(model).filter(([path]) => options.targets?.test(path) ?? true);
  if (chosen.length === 0 || !Number.isInteger(options.rank) || options.rank < 1) {
    const none = chosen.length === 0;
    throw new VlmError("ArgumentError", none ? "LORA_TARGETS" : "LORA_RANK", {
      what: none ? `addLoRA: no linear layer matches ${options.targets}` : `addLoRA: rank ${options.rank}`,
      where: model.constructor.name,
      hint: none
        ? `its linear layers are ${linearsOf(model)
            .map(([path]) => path)
            .slice(0, 8)
            .join(", ")}`
        : "a rank is a whole number, 1 or more; 4 to 64 are usual",
    });
  }
  model.freeze();
  const adapters = new Map<string, LoRA>();
  for (const [path, linear] of chosen) {
    const [outputs, inputs] = linear.weight.shape as [number, number];
    linear.adapter = new LoRA(inputs, outputs, options);
    adapters.set(path, linear.adapter);
  }
  return adapters;
}

/** Adds every adapter to the weight it belongs to and takes it away: the model computes the same, without the extra cost. */
export async function mergeLoRA(model: Module): Promise<void> {
  for (const [, linear] of linearsOf(model)) {
    if (!linear.adapter) continue;
    linear.weight.assign(linear.weight.add(linear.adapter.delta()));
    linear.adapter = null;
  }
  await commit();
}

const linearsOf = (model: Module): [string, Linear][] =>
  [...model.namedModules()].filter((entry): entry is [string, Linear] => entry[1] instanceof Linear);
