import { formatError, quote } from "../errors.ts";
import { complement, hex, ownClass, POSIX } from "./class-bodies.ts";

/** A character class as the body of a JavaScript class (between the brackets), possibly negated. */
export type SetNode = { kind: "set"; body: string; negated: boolean; ignoreCase: boolean };
export type RegexNode =
  | SetNode
  | { kind: "sequence"; items: RegexNode[] }
  | { kind: "either"; options: RegexNode[] }
  | { kind: "repeat"; item: RegexNode; min: number; max: number; mode: "greedy" | "lazy" | "possessive" }
  | { kind: "atomic"; item: RegexNode }
  | { kind: "look"; item: RegexNode; behind: boolean; negated: boolean };

/**
 * Parses an Oniguruma (Ruby syntax) pattern, as tokenizer.json files hold them. Everything is understood exactly or refused
 * with TK_REGEX_UNSUPPORTED: an almost equal split would give wrong tokens without an error.
 */
export function parseRegex(pattern: string, where: string): RegexNode {
  return new Parser(pattern, where).parse();
}

class Parser {
  readonly #chars: string[];
  readonly #pattern: string;
  readonly #where: string;
  #at = 0;
  #ignoreCase = false;

  constructor(pattern: string, where: string) {
    this.#pattern = pattern;
    this.#chars = [...pattern];
    this.#where = where;
  }

  parse(): RegexNode {
    const node = this.#either();
    if (this.#at < this.#chars.length) throw this.#bad("unmatched )");
    return node;
  }

  #bad(reason: string) {
    return formatError(
      "TK_REGEX",
      this.#where,
      `broken pattern ${quote(this.#pattern)} at character ${this.#at}: ${reason}`,
    );
  }

  #unsupported(what: string) {
    return formatError(
      "TK_REGEX_UNSUPPORTED",
      this.#where,
      `the pattern ${quote(this.#pattern)} uses ${what}, which has no exact equivalent here`,
      "rewrite the pattern without it",
    );
  }

  #peek(): string | undefined {
    return this.#chars[this.#at];
  }

  #eat(text: string): boolean {
    for (let i = 0; i < text.length; i++) if (this.#chars[this.#at + i] !== text[i]) return false;
    this.#at += text.length;
    return true;
  }

  #set(body: string, negated = false): SetNode {
    return { kind: "set", body, negated, ignoreCase: this.#ignoreCase };
  }

  #either(): RegexNode {
    const outer = this.#ignoreCase;
    const options = [this.#sequence()];
    while (this.#eat("|")) options.push(this.#sequence());
    this.#ignoreCase = outer;
    return options.length === 1 ? options[0]! : { kind: "either", options };
  }

  #sequence(): RegexNode {
    const items: RegexNode[] = [];
    for (let c = this.#peek(); c !== undefined && c !== "|" && c !== ")"; c = this.#peek()) {
      const item = this.#quantified(this.#atom());
      items.push(item);
    }
    return items.length === 1 ? items[0]! : { kind: "sequence", items };
  }

  #quantified(atom: RegexNode): RegexNode {
    let node = atom;
    for (;;) {
      let min: number;
      let max: number;
      let braces = false;
      if (this.#eat("*")) [min, max] = [0, Infinity];
      else if (this.#eat("+")) [min, max] = [1, Infinity];
      else if (this.#eat("?")) [min, max] = [0, 1];
      else {
        const bounds = /^\{(\d*)(,?)(\d*)\}/.exec(this.#chars.slice(this.#at, this.#at + 24).join(""));
        if (!bounds || (!bounds[1] && !bounds[3])) return node;
        braces = true;
        this.#at += bounds[0].length;
        min = Number(bounds[1] || 0);
        max = bounds[2] ? (bounds[3] ? Number(bounds[3]) : Infinity) : min;
        if (min > max || min > 1000 || (max !== Infinity && max > 100_000)) throw this.#bad(`bad repeat ${bounds[0]}`);
      }
      if (node.kind === "look") throw this.#bad("nothing to repeat");
      let mode: "greedy" | "lazy" | "possessive" = "greedy";
      if (this.#eat("?")) mode = "lazy";
      else if (!braces && this.#eat("+")) mode = "possessive";
      node = { kind: "repeat", item: node, min, max, mode };
    }
  }

  #atom(): RegexNode {
    const c = this.#chars[this.#at++]!;
    switch (c) {
      case "(":
        return this.#group();
      case "[":
        return this.#class();
      case ".":
        return this.#set("\\n", true);
      case "^":
        return { kind: "look", item: this.#set("\\n", true), behind: true, negated: true };
      case "$":
        return { kind: "look", item: this.#set("\\n", true), behind: false, negated: true };
      case "*":
      case "+":
      case "?":
        throw this.#bad("nothing to repeat");
      case "\\":
        return this.#escape();
      default:
        return this.#set(literal(c));
    }
  }

  #group(): RegexNode {
    if (!this.#eat("?")) return this.#close(this.#either());
    if (this.#eat(":")) return this.#close(this.#either());
    if (this.#eat("=")) return { kind: "look", item: this.#close(this.#either()), behind: false, negated: false };
    if (this.#eat("!")) return { kind: "look", item: this.#close(this.#either()), behind: false, negated: true };
    if (this.#eat("<=")) return { kind: "look", item: this.#close(this.#either()), behind: true, negated: false };
    if (this.#eat("<!")) return { kind: "look", item: this.#close(this.#either()), behind: true, negated: true };
    if (this.#eat(">")) return { kind: "atomic", item: this.#close(this.#either()) };
    if (this.#eat("#")) {
      while (this.#peek() !== undefined && this.#peek() !== ")") this.#at++;
      return this.#close({ kind: "sequence", items: [] });
    }
    const flags = /^([a-z]*)(-[a-z]+)?(:|\))/.exec(this.#chars.slice(this.#at, this.#at + 12).join(""));
    if (flags) {
      if (/[^im]/.test(flags[1]!) || /[^-im]/.test(flags[2] ?? "")) throw this.#unsupported(`the flags (?${flags[0]}`);
      if (flags[1]!.includes("m")) throw this.#unsupported("the flag (?m)");
      const ignoreCase = flags[2]?.includes("i") ? false : flags[1]!.includes("i") || this.#ignoreCase;
      this.#at += flags[0].length;
      if (flags[3] === ")") {
        this.#ignoreCase = ignoreCase;
        return { kind: "sequence", items: [] };
      }
      const outer = this.#ignoreCase;
      this.#ignoreCase = ignoreCase;
      const node = this.#close(this.#either());
      this.#ignoreCase = outer;
      return node;
    }
    if (this.#peek() === "<" || this.#peek() === "'") {
      const end = this.#chars.indexOf(this.#peek() === "<" ? ">" : "'", this.#at + 1);
      if (end < 0) throw this.#bad("unfinished group name");
      this.#at = end + 1;
      return this.#close(this.#either());
    }
    throw this.#unsupported(`the group (?${this.#peek() ?? ""}`);
  }

  #close(node: RegexNode): RegexNode {
    if (!this.#eat(")")) throw this.#bad("missing )");
    return node;
  }

  #escape(): RegexNode {
    const c = this.#peek();
    if (c === undefined) throw this.#bad("ends with a backslash");
    const start: RegexNode = { kind: "look", item: this.#set("", true), behind: true, negated: true };
    const end: RegexNode = { kind: "look", item: this.#set("", true), behind: false, negated: true };
    switch (c) {
      case "A":
        this.#at++;
        return start;
      case "z":
        this.#at++;
        return end;
      case "Z":
        this.#at++;
        return {
          kind: "look",
          behind: false,
          negated: false,
          item: {
            kind: "sequence",
            items: [{ kind: "repeat", item: this.#set("\\n"), min: 0, max: 1, mode: "greedy" }, end],
          },
        };
      case "b":
      case "B":
        this.#at++;
        return this.#boundary(c === "B");
      case "R":
      case "X":
      case "K":
      case "G":
      case "k":
      case "g":
        throw this.#unsupported(`\\${c}`);
      default:
        if (c >= "1" && c <= "9") throw this.#unsupported(`the back reference \\${c}`);
        return this.#set(this.#classEscape(false));
    }
  }

  #boundary(negated: boolean): RegexNode {
    const word = () => this.#set(ownClass("word"));
    const look = (behind: boolean, not: boolean): RegexNode => ({ kind: "look", item: word(), behind, negated: not });
    const both = (a: boolean, b: boolean): RegexNode => ({ kind: "sequence", items: [look(true, a), look(false, b)] });
    return negated
      ? { kind: "either", options: [both(false, false), both(true, true)] }
      : { kind: "either", options: [both(false, true), both(true, false)] };
  }

  /** After a backslash, in a class or outside: the body it stands for. */
  #classEscape(inside: boolean): string {
    const c = this.#chars[this.#at++];
    switch (c) {
      case undefined:
        throw this.#bad("ends with a backslash");
      case "s":
        return ownClass("space");
      case "S":
        return complement("space");
      case "w":
        return ownClass(inside ? "wordSet" : "word");
      case "W":
        return complement(inside ? "wordSet" : "word");
      case "d":
        return "\\p{Nd}";
      case "D":
        return "\\P{Nd}";
      case "h":
        return "0-9A-Fa-f";
      case "H":
        return "\\u{0}-/:-@G-`g-\\u{10ffff}";
      case "p":
      case "P":
        return this.#property(c === "P");
      case "x": {
        const text = this.#eat("{") ? this.#until("}") : this.#digits(/[0-9a-f]/i, 2);
        return this.#code(text);
      }
      case "u":
        return this.#code(this.#digits(/[0-9a-f]/i, 4));
      case "0":
        return hex(Number.parseInt(`0${this.#digits(/[0-7]/, 2)}`, 8));
      case "t":
      case "n":
      case "r":
      case "f":
      case "v":
        return `\\${c}`;
      case "a":
        return "\\u{7}";
      case "e":
        return "\\u{1b}";
      default:
        if (/[a-z0-9]/i.test(c)) throw this.#unsupported(`\\${c}`);
        return literal(c);
    }
  }

  #digits(allowed: RegExp, count: number): string {
    let text = "";
    while (text.length < count && allowed.test(this.#peek() ?? "")) text += this.#chars[this.#at++];
    return text;
  }

  #until(end: string): string {
    const to = this.#chars.indexOf(end, this.#at);
    if (to < 0) throw this.#bad(`missing ${end}`);
    const text = this.#chars.slice(this.#at, to).join("");
    this.#at = to + 1;
    return text;
  }

  #code(text: string): string {
    const code = Number.parseInt(text, 16);
    if (!/^[0-9a-f]+$/i.test(text) || code > 0x10ffff) throw this.#bad(`bad character number ${quote(text)}`);
    return hex(code);
  }

  #property(negated: boolean): string {
    let name: string;
    if (this.#eat("{")) name = this.#until("}");
    else name = this.#chars[this.#at++] ?? "";
    let not = negated;
    if (name.startsWith("^")) {
      not = !not;
      name = name.slice(1);
    }
    const own = { L: "letter", Letter: "letter", N: "number", Number: "number" } as const;
    const ours = own[name as keyof typeof own];
    if (ours) return not ? complement(ours) : ownClass(ours);
    if (/^(space|White_Space)$/i.test(name)) return not ? complement("space") : ownClass("space");
    if (/^word$/i.test(name)) return not ? complement("word") : ownClass("word");
    const posix = POSIX[name.toLowerCase()];
    const candidates = posix && !not ? [posix] : [];
    const p = not ? "P" : "p";
    candidates.push(`\\${p}{${name}}`, `\\${p}{Script=${name}}`);
    for (const body of candidates) {
      try {
        new RegExp(`[${body}]`, "u");
        return body;
      } catch {
        // Not a name this engine knows: the next form may be.
      }
    }
    throw this.#unsupported(`the property ${quote(name)}`);
  }

  #class(): SetNode {
    const negated = this.#eat("^");
    let body = "";
    let first = true;
    for (;;) {
      const c = this.#peek();
      if (c === undefined) throw this.#bad("missing ]");
      if (c === "]" && !first) {
        this.#at++;
        break;
      }
      first = false;
      if (c === "&" && this.#chars[this.#at + 1] === "&") throw this.#unsupported("a class intersection &&");
      if (c === "[") {
        this.#at++;
        if (this.#eat(":")) {
          const not = this.#eat("^");
          const name = this.#until(":");
          if (!this.#eat("]")) throw this.#bad("missing :]");
          const known = name === "space" || name === "word" ? ownClass(name) : POSIX[name];
          if (known === undefined || not) throw this.#unsupported(`the class [:${not ? "^" : ""}${name}:]`);
          body += known;
          continue;
        }
        const inner = this.#class();
        if (inner.negated) throw this.#unsupported("a negated class inside a class");
        body += inner.body;
        continue;
      }
      const from = this.#member();
      const single = /^(?:\\u\{[0-9a-f]+\}|\\[tnrfv])$/;
      if (this.#peek() === "-" && this.#chars[this.#at + 1] !== "]" && this.#chars[this.#at + 1] !== undefined) {
        if (!single.test(from)) {
          body += from;
          continue;
        }
        this.#at++;
        const to = this.#member();
        if (!single.test(to)) throw this.#bad("bad range in a class");
        try {
          new RegExp(`[${from}-${to}]`, "u");
        } catch {
          throw this.#bad("a range out of order");
        }
        body += `${from}-${to}`;
      } else {
        body += from;
      }
    }
    return this.#set(body, negated);
  }

  #member(): string {
    if (this.#eat("\\")) {
      if (this.#eat("b")) return "\\u{8}";
      return this.#classEscape(true);
    }
    return literal(this.#chars[this.#at++]!);
  }
}

function literal(char: string): string {
  return hex(char.codePointAt(0)!);
}
