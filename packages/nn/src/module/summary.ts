import { isFrozen } from "@vlm/core";
import type { Module } from "./module.ts";
import { Parameter } from "./parameter.ts";
import { isModule, partsOf } from "./walk.ts";

/**
 * A table of the modules with their parameters' shapes and counts, for `console.log`. Equal neighbours in a list, such
 * as the blocks of a transformer, are shown once with their number.
 */
export function summary(model: Module): string {
  const rows: [name: string, type: string, shapes: string, count: string][] = [];
  const visit = (module: Module, name: string, depth: number): void => {
    const own = [...partsOf(module)].filter(([, part]) => part instanceof Parameter) as [string, Parameter][];
    const shapes = own.map(([path, { shape }]) => `${path} [${shape.join(" ")}]`).join(", ");
    rows.push([`${"  ".repeat(depth)}${name}`, module.constructor.name, shapes, grouped(countOf(module))]);
    const children = [...partsOf(module)].filter(([, part]) => isModule(part)) as [string, Module][];
    for (let i = 0; i < children.length; ) {
      const [path, child] = children[i]!;
      const form = formOf(child);
      let end = i + 1;
      while (end < children.length && sibling(path, children[end]![0]) && formOf(children[end]![1]) === form) end++;
      visit(child, end - i > 1 ? `${path} … ${children[end - 1]![0].split(".").pop()}` : path, depth + 1);
      i = end;
    }
  };
  visit(model, model.constructor.name, 0);
  const widths = [0, 1, 2].map((column) => Math.max(...rows.map((row) => row[column]!.length)));
  const lines = rows.map((row) =>
    row
      .map((cell, i) => (i < 3 ? cell.padEnd(widths[i]!) : cell))
      .join("  ")
      .trimEnd(),
  );
  const frozen = model.parameters((_, parameter) => isFrozen(parameter.cell)).reduce((n, { size }) => n + size, 0);
  const total = countOf(model);
  return [...lines, `${grouped(total)} parameters, ${grouped(total - frozen)} trainable`].join("\n");
}

const countOf = (module: Module): number => module.parameters().reduce((n, { size }) => n + size, 0);
const grouped = (n: number): string => n.toLocaleString("en-US");
const sibling = (a: string, b: string): boolean =>
  a.includes(".") && a.split(".").slice(0, -1).join(".") === b.split(".").slice(0, -1).join(".");
const formOf = (module: Module): string =>
  [...module.stateDict()].map(([path, { shape }]) => `${path} ${shape}`).join() + module.constructor.name;
