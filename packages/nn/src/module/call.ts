/** What happens around a module's `forward`: its path is put into the context, and observers see the result. */
import { context, currentContext, type Tensor } from "@vlm/core";
import type { Module } from "./module.ts";
import { CellTensor } from "./parameter.ts";
import { partsOf } from "./walk.ts";

/** Sees every module's result in the order of computation. */
export type Observer = (path: string, module: Module, output: unknown) => void;

/** The module whose `forward` is running. */
let active: Module | null = null;
let observer: Observer | null = null;

/** The module that holds a module, and the path from there. */
const homes = new WeakMap<Module, { parent: Module; name: string }>();

/** Calls `forward` with the module's path in the context. */
export function callModule(module: Module, x: Tensor, args: readonly unknown[]): unknown {
  const before = active;
  const names = namesFrom(before, module);
  const path = before ? [...currentContext().path, ...names] : names;
  active = module;
  try {
    return context({ path }, () => {
      const output = (module as unknown as { forward(x: Tensor, ...args: unknown[]): unknown }).forward(x, ...args);
      observer?.(path.slice(1).join("."), module, output);
      return output;
    });
  } finally {
    active = before;
  }
}

/** Runs `fn` as if it were a method of `root`, with an observer of all modules called in it. */
export function observe<T>(root: Module, watch: Observer, fn: () => T): T {
  const [before, beforeObserver] = [active, observer];
  active = root;
  observer = watch;
  try {
    return context({ path: [root.constructor.name] }, fn);
  } finally {
    active = before;
    observer = beforeObserver;
  }
}

/** Path of `module` seen from `from`, or from the outermost module (named by its class) when nothing is running. */
function namesFrom(from: Module | null, module: Module): readonly string[] {
  if (module === from) return [];
  const known = climb(from, module);
  if (known) return known;
  if (from) adopt(from);
  return climb(from, module) ?? [module.constructor.name];
}

function climb(from: Module | null, module: Module): string[] | null {
  const names: string[] = [];
  let at = module;
  while (at !== from) {
    const home = homes.get(at);
    if (!home) return from ? null : [at.constructor.name, ...names];
    names.unshift(home.name);
    at = home.parent;
  }
  return names;
}

/** Remembers the homes of everything below a module, so that errors can name the whole path. */
export function adopt(root: Module, seen: Set<Module> = new Set()): void {
  seen.add(root);
  for (const [name, part] of partsOf(root)) {
    if (part instanceof CellTensor || seen.has(part)) continue;
    homes.set(part, { parent: root, name });
    adopt(part, seen);
  }
}
