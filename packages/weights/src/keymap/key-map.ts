import { type Expression, expression, type KeyExpression, mapError } from "./expression.ts";
import { compilePattern, type Pattern } from "./pattern.ts";

/** One row: a parameter's path, and the file's key or what is made from its keys. Both are patterns. */
export type KeyRule = readonly [parameter: string, from: KeyExpression];

/** What a key map passes over, and spellings it takes. */
export type KeyMapOptions = {
  /** Tensors of the file that are known and not needed, by pattern. */
  ignore?: readonly string[];
  /** Other spellings of the file's keys, rewritten before anything else: `["**.gamma", "**.weight"]`. */
  aliases?: readonly (readonly [other: string, key: string])[];
  /** Keys that may be missing because another one holds the same tensor: `{ "lm_head.weight": "embed.weight" }`. */
  tied?: Readonly<Record<string, string>>;
};

type Rule = { readonly parameter: Pattern; readonly from: Expression; readonly patterns: ReadonlyMap<string, Pattern> };

/** A checkpoint family's names for our parameters: made by {@link keyMap}, used by `load` and `save`. */
export type KeyMap = {
  readonly name: string;
  readonly rules: readonly Rule[];
  readonly ignore: readonly Pattern[];
  readonly aliases: readonly (readonly [Pattern, Pattern])[];
  readonly tied: ReadonlyMap<string, string>;
};

/**
 * A two-column table from parameter paths to a file's keys. The first row that fits a parameter is used.
 * In both columns `{i}` stands for a number, `*` for one name, `**` for the rest; the right column repeats what the
 * left one binds, so that the table can be read in both directions.
 * Throws `ArgumentError` for a table that cannot be inverted.
 */
export function keyMap(name: string, rules: readonly KeyRule[], options: KeyMapOptions = {}): KeyMap {
  const compiled = rules.map(([left, right]) => {
    const parameter = compilePattern(left);
    const from = expression(right);
    const patterns = new Map(from.keys.map((key) => [key, compilePattern(key)]));
    const bound = new Set(parameter.names);
    for (const pattern of patterns.values()) {
      const names = new Set(pattern.names);
      const unbound = [...names].find((n) => !bound.has(n));
      const unused = [...bound].find((n) => !names.has(n));
      if (unbound !== undefined)
        throw mapError(`"${pattern.text}" uses {${unbound}}, which "${left}" does not bind`, name);
      if (unused !== undefined)
        throw mapError(`"${pattern.text}" leaves out {${unused}} of "${left}": keys would collide`, name);
    }
    return { parameter, from, patterns };
  });
  return {
    name,
    rules: compiled,
    ignore: (options.ignore ?? []).map(compilePattern),
    aliases: (options.aliases ?? []).map(([other, key]) => [compilePattern(other), compilePattern(key)] as const),
    tied: new Map(Object.entries(options.tied ?? {})),
  };
}

/** Every parameter under its own path: what models of this library save for themselves. */
export const identityMap: KeyMap = keyMap("own names", [["**", "**"]]);

/** The same map for a model that stands under a prefix, in the parameters' paths, the file's keys, or both. */
export function prefixed(map: KeyMap, prefix: { parameter?: string; key?: string }): KeyMap {
  const ours = prefix.parameter ?? "";
  const theirs = prefix.key ?? "";
  const key = (pattern: Pattern): Pattern => compilePattern(theirs + pattern.text);
  return {
    name: map.name,
    rules: map.rules.map(({ parameter, from, patterns }) => ({
      parameter: compilePattern(ours + parameter.text),
      from,
      patterns: new Map([...patterns].map(([text, pattern]) => [text, key(pattern)])),
    })),
    ignore: map.ignore.map(key),
    aliases: map.aliases.map(([other, to]) => [key(other), key(to)] as const),
    tied: new Map([...map.tied].map(([a, b]) => [theirs + a, theirs + b])),
  };
}
