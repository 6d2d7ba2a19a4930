import type { Tensor } from "@vlm/core";
import { Module } from "../module/module.ts";

/** A module from one tensor to one tensor. */
export type Layer = Module & {
  /** One tensor to one tensor. */
  forward(x: Tensor): Tensor;
};

/** Layers one after another. A function may stand between modules. Paths are `layers.0`, `layers.1`, … */
export class Sequential extends Module {
  /** In the order of their calls. */
  readonly layers: readonly (Layer | ((x: Tensor) => Tensor))[];

  constructor(...layers: readonly (Layer | ((x: Tensor) => Tensor))[]) {
    super();
    this.layers = layers;
  }

  /** Through all layers, in order. */
  forward(x: Tensor): Tensor {
    return this.layers.reduce<Tensor>((y, layer) => y.pipe(layer), x);
  }
}

/** `count` modules made one after another: `this.blocks = repeat(depth, (i) => new Block(config, i))`. */
export function repeat<M>(count: number, make: (index: number) => M): M[] {
  return Array.from({ length: count }, (_, index) => make(index));
}
