import type { RegexNode, SetNode } from "./parse.ts";

/** JavaScript source of a pattern, for the `u` flag; `undefined` where only the interpreter can do it. */
export function emitRegex(node: RegexNode): string | undefined {
  let groups = 0;
  const emit = (n: RegexNode): string | undefined => {
    switch (n.kind) {
      case "set":
        return emitSet(n);
      case "sequence":
        return all(n.items.map(emit), "");
      case "either": {
        const options = all(n.options.map(emit), "|");
        return options === undefined ? undefined : `(?:${options})`;
      }
      case "look": {
        const item = emit(n.item);
        return item === undefined ? undefined : `(?${n.behind ? "<" : ""}${n.negated ? "!" : "="}${item})`;
      }
      case "atomic": {
        const name = `a${groups++}`;
        const item = emit(n.item);
        return item === undefined ? undefined : `(?=(?<${name}>${item}))\\k<${name}>`;
      }
      case "repeat": {
        if (n.mode === "possessive") return emit({ kind: "atomic", item: { ...n, mode: "greedy" } });
        const item = emit(n.item);
        if (item === undefined) return undefined;
        const bounds =
          n.max === Infinity
            ? n.min === 0
              ? "*"
              : n.min === 1
                ? "+"
                : `{${n.min},}`
            : n.min === 0 && n.max === 1
              ? "?"
              : `{${n.min},${n.max}}`;
        return `(?:${item})${bounds}${n.mode === "lazy" ? "?" : ""}`;
      }
    }
  };
  return emit(node);
}

function all(parts: (string | undefined)[], by: string): string | undefined {
  return parts.includes(undefined) ? undefined : parts.join(by);
}

/** A class without the case flag: Node 20 has no inline `(?i:…)`, so single letters are written in both cases. */
export function emitSet(set: SetNode): string | undefined {
  if (!set.ignoreCase) return `[${set.negated ? "^" : ""}${set.body}]`;
  const single = /^\\u\{([0-9a-f]+)\}$/.exec(set.body);
  if (!single || set.negated) return undefined;
  return `[${caseVariants(String.fromCodePoint(Number.parseInt(single[1]!, 16)))
    .map((c) => `\\u{${c.codePointAt(0)!.toString(16)}}`)
    .join("")}]`;
}

/** The characters that simple case folding makes equal to `char`. */
function caseVariants(char: string): string[] {
  const variants = new Set([char, char.toLowerCase(), char.toUpperCase()]);
  for (const [a, b] of [
    ["s", "ſ"],
    ["k", "K"],
    ["å", "Å"],
    ["ω", "Ω"],
    ["μ", "µ"],
  ] as const) {
    if (variants.has(a) || variants.has(b)) variants.add(a).add(b).add(a.toUpperCase());
  }
  return [...variants].filter((c) => [...c].length === 1);
}
