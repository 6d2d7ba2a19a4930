import { VlmError } from "./errors.ts";

/** Leaves in nested arrays and plain objects; null and undefined may stand for missing ones. */
export type Tree<T> = T | null | undefined | readonly Tree<T>[] | { readonly [name: string]: Tree<T> };

/** The same tree with every leaf replaced. Throws `ArgumentError TREE_LEAF` for what is neither a leaf nor a part. */
export function mapTree<T extends object, U>(
  tree: Tree<T>,
  leaf: new (...args: never[]) => T,
  replace: (leaf: T) => U,
): Tree<U> {
  if (tree === null || tree === undefined) return tree;
  if (tree instanceof leaf) return replace(tree);
  if (Array.isArray(tree)) return tree.map((part: Tree<T>) => mapTree(part, leaf, replace));
  const prototype = typeof tree === "object" ? Object.getPrototypeOf(tree) : undefined;
  if (prototype !== Object.prototype && prototype !== null) {
    throw new VlmError("ArgumentError", "TREE_LEAF", {
      what: `a ${prototype?.constructor.name ?? typeof tree} where a ${leaf.name}, an array or a plain object belongs`,
      hint: "of a Map give its entries, of a number a tensor",
    });
  }
  return Object.fromEntries(
    Object.entries(tree as Record<string, Tree<T>>).map(([name, part]) => [name, mapTree(part, leaf, replace)]),
  );
}
