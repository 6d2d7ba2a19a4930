import { formatError, quote } from "../errors.ts";
import { emitRegex } from "./emit.ts";
import { BudgetedRegex } from "./interpret.ts";
import { parseRegex, type RegexNode } from "./parse.ts";
import { knownScanner, type Scanner } from "./scanners.ts";

/** Something that finds matches from left to right. */
export type Pattern = {
  /** Calls `visit(start, end)` for each match, in order, without overlap. */
  each(text: string, visit: (start: number, end: number) => void): void;
};

/** A literal string; an empty one never matches. */
export function literalPattern(literal: string): Pattern {
  return {
    each(text, visit) {
      if (!literal) return;
      for (let at = text.indexOf(literal); at >= 0; at = text.indexOf(literal, at + literal.length)) {
        visit(at, at + literal.length);
      }
    },
  };
}

/**
 * An Oniguruma pattern: by a hand-written scanner where it is a known one, by RegExp where its worst case is bounded,
 * and by an interpreter with a budget otherwise.
 */
export function regexPattern(source: string, where: string): Pattern {
  if (source.length > 100_000) throw formatError("TK_REGEX", where, `a pattern of ${source.length} characters`);
  const scanner = knownScanner(source);
  if (scanner) return scanning(scanner);
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

function scanning(scanner: Scanner): Pattern {
  return { each: (text, visit) => eachMatch(text, (at) => scanner(text, at), visit) };
}

function eachMatch(text: string, matchAt: (at: number) => number, visit: (start: number, end: number) => void): void {
  let at = 0;
  while (at <= text.length) {
    const end = at < text.length || text.length === 0 ? matchAt(at) : -1;
    if (end >= 0) visit(at, end);
    if (end > at) at = end;
    else at += text.codePointAt(at)! > 0xffff ? 2 : 1;
  }
}

/**
 * An upper bound of the exponent in RegExp's running time over the length of the text: 1 for the start positions, plus one for each
 * unbounded repeat that something must follow; Infinity for a repeat inside a repeat.
 */
function danger(node: RegexNode): number {
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
