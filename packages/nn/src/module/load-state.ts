import { type Cell, commit, nearest, type Tensor, VlmError } from "@vlm/core";

/** Tensors by path: a map, its entries, or a plain object. */
export type State = Iterable<readonly [string, Tensor]> | Readonly<Record<string, Tensor>>;

/** Sets cells by name, all or nothing. */
export async function loadState(
  owner: string,
  cells: ReadonlyMap<string, Pick<Cell, "shape" | "dtype" | "assign">>,
  state: State,
  { partial = false }: { partial?: boolean },
): Promise<void> {
  const entries = new Map(
    Symbol.iterator in state ? (state as Iterable<readonly [string, Tensor]>) : Object.entries(state),
  );
  const problems: string[] = [];
  const unknown = [...entries.keys()].filter((name) => !cells.has(name));
  const missing = [...cells.keys()].filter((name) => !entries.has(name));
  if (!partial) for (const name of missing) problems.push(`missing ${name}${likely(name, unknown)}`);
  for (const name of unknown) problems.push(`unknown ${name}${likely(name, missing)}`);
  for (const [name, value] of entries) {
    const cell = cells.get(name);
    if (cell && cell.shape.join() !== value.shape.join()) {
      problems.push(`${name} has shape [${value.shape.join(" ")}], needed is [${cell.shape.join(" ")}]`);
    }
  }
  if (problems.length > 0) {
    throw new VlmError("WeightMismatchError", "STATE_MISMATCH", {
      what: `load: ${problems.length} of ${cells.size} tensors do not fit:\n    ${problems.join("\n    ")}`,
      where: owner,
      hint: "check the model's configuration, or map the names",
      details: { missing, unknown },
    });
  }
  for (const [name, value] of entries) {
    const cell = cells.get(name)!;
    cell.assign(value.cast(cell.dtype));
  }
  await commit();
}

function likely(name: string, candidates: readonly string[]): string {
  const names = nearest(name, candidates, 1);
  return names.length > 0 ? ` (is it ${names[0]}?)` : "";
}
