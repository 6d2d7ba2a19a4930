/** The one way to call a module: `x.pipe(module, ...args)`. */
import type { Tensor } from "./tensor.ts";

/** What `x.pipe` takes: a module, which is anything with `forward`, or a plain function. */
export type Pipeable<A extends readonly unknown[], R> =
  | {
      /** The module's result for x. */
      forward(x: Tensor, ...args: A): R;
    }
  | ((x: Tensor, ...args: A) => R);

/**
 * A module that has a method of this name is called through it instead of `forward`, with the tensor and the array of
 * other arguments: here modules put their path into the context, for errors, profiles and taps.
 */
export const pipeHook: unique symbol = Symbol.for("vlm.pipe") as never;

type Hooked = { [pipeHook]?: (x: Tensor, args: readonly unknown[]) => unknown };

export function pipe<A extends readonly unknown[], R>(x: Tensor, module: Pipeable<A, R>, args: A): R {
  if (typeof module === "function") return module(x, ...args);
  const hooked = module as Hooked;
  return hooked[pipeHook] ? (hooked[pipeHook](x, args) as R) : module.forward(x, ...args);
}
