import { Tensor } from "@vlm/core";
import { observe } from "./call.ts";
import type { Module } from "./module.ts";

/**
 * Every named intermediate of one call, in the order of computation: the output of each module by path, `""` for the
 * model itself. A module called again is `path#2`; outputs that hold several tensors are `path.name`. The second
 * argument is the model's input, or a function that calls any of its methods.
 *
 * Compare with the taps of another run to find the first layer that differs.
 */
export function tap(
  model: Module & { forward(x: Tensor, ...args: never[]): unknown },
  x: Tensor,
  ...args: readonly unknown[]
): Map<string, Tensor>;
export function tap(model: Module, call: () => unknown): Map<string, Tensor>;
export function tap(model: Module, input: Tensor | (() => unknown), ...args: readonly unknown[]): Map<string, Tensor> {
  const found = new Map<string, Tensor>();
  const add = (path: string, value: unknown): void => {
    if (value instanceof Tensor) {
      let name = path;
      for (let n = 2; found.has(name); n++) name = `${path}#${n}`;
      found.set(name, value);
    } else if (typeof value === "object" && value !== null) {
      for (const [name, part] of Object.entries(value)) add(path === "" ? name : `${path}.${name}`, part);
    }
  };
  observe(
    model,
    (path, _module, output) => add(path, output),
    () => (input instanceof Tensor ? input.pipe(model as never, ...(args as never[])) : input()),
  );
  return found;
}
