/** How modules find their parts: a part's path is the property path that leads to it. */
import { pipeHook } from "@vlm/core";
import type { Module } from "./module.ts";
import { CellTensor } from "./parameter.ts";

/** By what it can do, so that this file needs no module class, and two copies of the package get along. */
export const isModule = (value: unknown): value is Module =>
  typeof value === "object" && value !== null && pipeHook in value;

/** A direct part of a module and its path there: `weight`, `blocks.3`, `heads.image`. */
export type Part = readonly [path: string, part: Module | CellTensor];

/**
 * The modules, parameters and buffers that a module holds itself: in its own properties, and in arrays and plain
 * objects there. A property called `config` is left out: it describes and owns nothing.
 */
export function* partsOf(module: Module): Generator<Part> {
  for (const [name, value] of Object.entries(module)) if (name !== "config") yield* partsIn(name, value);
}

function* partsIn(path: string, value: unknown): Generator<Part> {
  if (isModule(value) || value instanceof CellTensor) yield [path, value];
  else if (Array.isArray(value)) for (const [i, item] of value.entries()) yield* partsIn(`${path}.${i}`, item);
  else if (isPlain(value)) for (const [name, item] of Object.entries(value)) yield* partsIn(`${path}.${name}`, item);
}

function isPlain(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && Object.getPrototypeOf(value) === Object.prototype;
}

/** Every module and cell tensor below `root`, each once, under its first path; `root` itself comes first. */
export function walk(root: Module): { modules: Map<Module, string>; cells: Map<CellTensor, string> } {
  const modules = new Map<Module, string>([[root, ""]]);
  const cells = new Map<CellTensor, string>();
  const visit = (module: Module, prefix: string): void => {
    for (const [name, part] of partsOf(module)) {
      const path = prefix + name;
      if (part instanceof CellTensor) {
        if (!cells.has(part)) cells.set(part, path);
      } else if (!modules.has(part)) {
        modules.set(part, path);
        visit(part, `${path}.`);
      }
    }
  };
  visit(root, "");
  return { modules, cells };
}
