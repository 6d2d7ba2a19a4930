import { formatError, quote } from "../errors.ts";
import { emitRegex } from "./emit.ts";
import { BudgetedRegex } from "./interpret.ts";
import { O200K_PATTERN, o200k } from "./o200k.ts";
import { parseRegex, type RegexNode } from "./parse.ts";
import { eachMatch, type Pattern, scanning } from "./pattern.ts";

/** Compiles a pattern: to RegExp where its worst case is bounded, and for an interpreter with a budget otherwise. */
export function compileRegex(source: string, where: string): Pattern {
  if (source === O200K_PATTERN) return scanning(o200k);
  const node = parseRegex(source, where);
  const power = danger(node);
  const emitted = power === Infinity ? undefined : emitRegex(node);
  let native: RegExp | undefined;
  if (emitted !== undefined) {
    try {
      native = new RegExp(emitted, "gu");
    } catch (cause) {
      throw formatError(
        "TK_REGEX",
        where,
        `broken pattern ${quote(source)}: ${cause instanceof Error ? cause.message : cause}`,
      );
    }
  }
  let budgeted: BudgetedRegex | undefined;
  return {
    each(text, visit) {
      // RegExp may take length ** power steps: fine while that is small.
      if (native && (power <= 1 || text.length ** power <= 2e8)) {
        native.lastIndex = 0;
        for (let m = native.exec(text); m; m = native.exec(text)) {
          visit(m.index, m.index + m[0].length);
          if (m[0].length === 0) native.lastIndex += text.codePointAt(m.index)! > 0xffff ? 2 : 1;
        }
        return;
      }
      budgeted ??= new BudgetedRegex(node, source, where);
      budgeted.begin(text);
      const regex = budgeted;
      eachMatch(text, (at) => regex.matchAt(at), visit);
    },
  };
}

/**
 * An upper bound of the exponent in RegExp's running time over the length of the text: 1 for the start positions, plus one for each
 * unbounded repeat that something must follow; Infinity for a repeat inside a repeat.
 */
function danger(node: RegexNode): number {
  // (?:a?){8} a few times over has 2^n ways to match nothing, whatever the length of the text.
  if (choices(node) > 20) return Infinity;
  const options = node.kind === "either" ? node.options : [node];
  return Math.max(...options.map((option) => weigh(option, true)));
}

function weigh(node: RegexNode, last: boolean): number {
  const count = (n: RegexNode, final: boolean): number => {
    switch (n.kind) {
      case "set":
        return 0;
      case "sequence":
        return n.items.reduce((sum, item, i) => sum + count(item, final && i === n.items.length - 1), 0);
      case "either":
        return Math.max(...n.options.map((o) => count(o, final)));
      case "atomic":
        return count(n.item, false);
      case "look":
        return count(n.item, false);
      case "repeat": {
        const inner = count(n.item, false);
        if (n.max <= 8 && n.item.kind !== "set") return inner * n.max + (inner ? 1 : 0);
        if (n.item.kind !== "set") return n.item.kind === "repeat" || inner > 0 || n.max > 8 ? Infinity : inner;
        if (n.max <= 8) return 0;
        return final ? 0 : 1;
      }
    }
  };
  return 1 + count(node, last);
}

/** Binary logarithm of the ways through the bounded choices of a pattern; top-level alternatives are tried one by one. */
function choices(node: RegexNode): number {
  switch (node.kind) {
    case "set":
      return 0;
    case "sequence":
      return node.items.reduce((sum, item) => sum + choices(item), 0);
    case "either":
      return Math.log2(node.options.length) + Math.max(...node.options.map(choices));
    case "atomic":
    case "look":
      return choices(node.item);
    case "repeat": {
      if (node.max === Infinity) return choices(node.item);
      const inner = choices(node.item) * node.max;
      return inner + Math.log2(node.max - node.min + 1);
    }
  }
}
