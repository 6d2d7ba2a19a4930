import { TokenizerError } from "../errors.ts";
import { emitSet } from "./emit.ts";
import type { RegexNode, SetNode } from "./parse.ts";

type Next = (at: number) => number;
type Step = (at: number, next: Next) => number;

/** Steps allowed for one text: enough for any sane pattern, and over within seconds for any other. */
const BUDGET = 20_000_000;
const DEPTH = 1_000;

/**
 * A backtracking matcher with a budget. JavaScript's own RegExp cannot be stopped: /(a+)+$/ on 28 characters takes seconds,
 * and each further one doubles that. Patterns that may behave so run here, and end with TK_REGEX_BUDGET.
 */
export class BudgetedRegex {
  readonly #pattern: string;
  readonly #where: string;
  readonly #start: Step;
  #text = "";
  #steps = 0;
  #depth = 0;

  constructor(node: RegexNode, pattern: string, where: string) {
    this.#pattern = pattern;
    this.#where = where;
    this.#start = this.#compile(node, false);
  }

  /** Resets the budget for a new text. */
  begin(text: string): void {
    this.#text = text;
    this.#steps = BUDGET + text.length * 64;
    this.#depth = 0;
  }

  /** End of a match that starts at `at`, or -1. */
  matchAt(at: number): number {
    return this.#start(at, (end) => end);
  }

  #spend(): void {
    if (--this.#steps < 0) this.#giveUp("steps");
  }

  #giveUp(what: string): never {
    throw new TokenizerError("ResourceLimitError", "TK_REGEX_BUDGET", {
      what: `a pattern of ${this.#pattern.length} characters used up its budget of ${what} on a text of ${this.#text.length}`,
      where: this.#where,
      hint: "the pattern backtracks without bound: make its repeats unambiguous, or split the text before",
      details: { pattern: this.#pattern, textLength: this.#text.length },
    });
  }

  #compile(node: RegexNode, behind: boolean): Step {
    switch (node.kind) {
      case "set": {
        const test = setTest(node);
        return (at, next) => {
          this.#spend();
          const to = this.#move(at, behind, test);
          return to < 0 ? -1 : next(to);
        };
      }
      case "sequence": {
        const steps = node.items.map((item) => this.#compile(item, behind));
        if (behind) steps.reverse();
        return steps.reduceRight<Step>(
          (rest, step) => (at, next) => step(at, (to) => rest(to, next)),
          (at, next) => next(at),
        );
      }
      case "either": {
        const options = node.options.map((option) => this.#compile(option, behind));
        return (at, next) => {
          for (const option of options) {
            const end = option(at, next);
            if (end >= 0) return end;
          }
          return -1;
        };
      }
      case "look": {
        const item = this.#compile(node.item, node.behind);
        return (at, next) => (item(at, (to) => to) >= 0 === node.negated ? -1 : next(at));
      }
      case "atomic": {
        const item = this.#compile(node.item, behind);
        return (at, next) => {
          const end = item(at, (to) => to);
          return end < 0 ? -1 : next(end);
        };
      }
      case "repeat":
        return this.#repeat(node, behind);
    }
  }

  #repeat(node: Extract<RegexNode, { kind: "repeat" }>, behind: boolean): Step {
    const { min, max, mode } = node;
    if (mode === "possessive") return this.#compile({ kind: "atomic", item: { ...node, mode: "greedy" } }, behind);
    if (node.item.kind === "set" && mode === "greedy") {
      // A run of one class: count, then give back one by one; no recursion.
      const test = setTest(node.item);
      return (at, next) => {
        let to = at;
        let count = 0;
        while (count < max) {
          this.#spend();
          const moved = this.#move(to, behind, test);
          if (moved < 0) break;
          to = moved;
          count++;
        }
        for (; count >= min; count--) {
          this.#spend();
          const end = next(to);
          if (end >= 0) return end;
          to = behind ? this.#after(to) : this.#before(to);
        }
        return -1;
      };
    }
    const item = this.#compile(node.item, behind);
    const go = (at: number, count: number, next: Next): number => {
      this.#spend();
      if (++this.#depth > DEPTH) this.#giveUp("nested repeats");
      const more = () =>
        count < max ? item(at, (to) => (to === at && count >= min ? -1 : go(to, count + 1, next))) : -1;
      let end = -1;
      if (mode === "lazy" && count >= min) end = next(at);
      if (end < 0) end = more();
      if (end < 0 && mode === "greedy" && count >= min) end = next(at);
      this.#depth--;
      return end;
    };
    return (at, next) => go(at, 0, next);
  }

  /** The position behind (or, looking behind, before) the character at `at`, if `test` accepts it. */
  #move(at: number, behind: boolean, test: (code: number) => boolean): number {
    if (behind) {
      if (at === 0) return -1;
      const from = this.#before(at);
      return test(this.#text.codePointAt(from)!) ? from : -1;
    }
    if (at >= this.#text.length) return -1;
    const code = this.#text.codePointAt(at)!;
    return test(code) ? at + (code > 0xffff ? 2 : 1) : -1;
  }

  #before(at: number): number {
    return at > 1 && this.#text.codePointAt(at - 2)! > 0xffff ? at - 2 : at - 1;
  }

  #after(at: number): number {
    return at + (this.#text.codePointAt(at)! > 0xffff ? 2 : 1);
  }
}

function setTest(set: SetNode): (code: number) => boolean {
  // An own verdict per code point: 1 no, 2 yes.
  const known = new Uint8Array(0x3000);
  const source = emitSet(set);
  const regex = source ? new RegExp(`^${source}$`, "u") : new RegExp(`^[${set.negated ? "^" : ""}${set.body}]$`, "iu");
  return (code) => {
    if (code >= known.length) return regex.test(String.fromCodePoint(code));
    let verdict = known[code]!;
    if (verdict === 0) known[code] = verdict = regex.test(String.fromCodePoint(code)) ? 2 : 1;
    return verdict === 2;
  };
}
