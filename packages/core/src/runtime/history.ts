/** History ends at a write: when a cell changes, results that were computed from its old version become leaves. */
import type { Node } from "../graph/node.ts";

type History = { leaves: Set<Node>; results: WeakRef<Node>[] };

let histories: History[] = [];

/** Remembers that `results` were computed from `leaves`. */
export function noteHistory(results: readonly Node[], leaves: readonly Node[]): void {
  const versions = leaves.filter((leaf) => leaf.attributes.cell !== undefined);
  if (versions.length === 0) return;
  histories.push({ leaves: new Set(versions), results: results.map((node) => new WeakRef(node)) });
}

/** Cuts the history of every result that was computed from one of these replaced versions. */
export function cutHistory(replaced: ReadonlySet<Node>): void {
  histories = histories.filter((history) => {
    let touched = false;
    for (const leaf of replaced) {
      if (history.leaves.has(leaf)) {
        touched = true;
        break;
      }
    }
    const alive = history.results.some((ref) => ref.deref() !== undefined);
    if (!touched) return alive;
    for (const ref of history.results) {
      const node = ref.deref();
      if (!node) continue;
      node.inputs = [];
      node.cut = "a parameter it was computed from has been updated since";
    }
    return false;
  });
}
