/** From users to inputs: which values are stored, and which are computed again in every kernel that reads them. */
import type { Group } from "./group.ts";
import type { Grouping } from "./grouping.ts";
import { homeOf } from "./home.ts";
import { CHEAP, cost, repeat, repeatIn } from "./repeat.ts";

/** Fills a grouping's `stored`, `again` and `aliases`; floating values that are stored join a group or get their own. */
export function decideStores(g: Grouping): void {
  const readers = g.program.nodes.map(() => new Set<Group>());
  const required = new Set<number>([...g.isOutput, ...g.forced]);
  /** Buffers that are an output under another shape already. */
  const outputAliases = new Set<number>();
  const pass = (at: number, to: Iterable<Group>): void => {
    for (const input of g.node(at).inputs) for (const group of to) readers[g.resolve(input)]!.add(group);
  };
  for (let at = g.program.nodes.length - 1; at >= 0; at--) {
    const node = g.node(at);
    if (node.leaf >= 0 || g.resolve(at) !== at) continue;
    const who = readers[at]!;
    const own = g.groupOf.get(at);
    const used = who.size > 0 || required.has(at);
    if (!used && !(own?.kind === "custom")) continue;
    const outside = [...who].filter((group) => group !== own);
    const kind = node.op.kind;
    if (kind === "pick") {
      g.stored.add(at);
      readers[g.resolve(node.inputs[0]!)]!.add(own!);
      continue;
    }
    if (kind === "kernel") {
      if (who.size === 0) continue;
      node.inputs.forEach((input, i) => {
        const from = g.viewOf(node, i)?.base ?? g.resolve(input);
        required.add(from);
        readers[from]!.add(own!);
      });
      continue;
    }
    if (kind === "contract" || kind === "reduce") {
      if (required.has(at) || outside.length > 0) g.stored.add(at);
      for (const input of node.inputs) {
        if (kind === "contract") required.add(operandBase(g, g.resolve(input)));
      }
      pass(at, [own!]);
      continue;
    }
    if (kind === "view" && required.has(at)) {
      const input = g.resolve(node.inputs[0]!);
      const free = g.node(input).leaf < 0 && !g.isOutput.has(input) && !outputAliases.has(input);
      if (node.op.keepsOrder && free) {
        if (g.isOutput.has(at) || outputAliases.has(at)) outputAliases.add(input);
        g.aliases.set(at, input);
        required.add(input);
        pass(at, who);
        continue;
      }
    }
    if (kind === "take") required.add(operandBase(g, g.resolve(node.inputs[0]!)));
    const store =
      required.has(at) ||
      (outside.length > 0 && (own ? !repeat(g, at, outside) : outside.length > 1 && cost(g, at) > CHEAP));
    if (!store) {
      pass(at, who);
      continue;
    }
    g.stored.add(at);
    if (own) {
      pass(at, [own]);
      continue;
    }
    const home = homeOf(g, at, who);
    // Values stored on the way can be more than what they are made from, which was known to fit.
    if (!g.forced.has(at)) for (const group of who) if (g.isHeld(group)) repeatIn(g, at, group);
    pass(at, [home, ...(g.again.get(at) ?? [])]);
  }
}

/** Through views, the node whose buffer a contraction (or a lookup) reads. */
function operandBase(g: Grouping, at: number): number {
  let node = g.node(at);
  while (node.leaf < 0 && node.op.kind === "view") {
    at = g.resolve(node.inputs[0]!);
    node = g.node(at);
  }
  return at;
}
