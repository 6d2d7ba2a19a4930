import { type DType, nearest, printable, VlmError } from "@vlm/core";
import type { TensorEntry } from "../safetensors/header.ts";
import { isReadable, memoryDType, type StoredDType } from "../safetensors/stored-dtype.ts";
import { type Expression, shown } from "./expression.ts";
import type { KeyMap } from "./key-map.ts";

/** What a plan needs to know of a parameter. */
export type ParameterSpec = { readonly shape: readonly number[]; readonly dtype: DType };

/** How one parameter is filled: `keyOf` gives the file's key for each pattern of the expression. */
export type Assignment = {
  readonly path: string;
  readonly from: Expression;
  readonly keyOf: ReadonlyMap<string, string>;
};

export type LoadPlan = {
  readonly assignments: readonly Assignment[];
  /** Tensors of the file that the map names as not needed. */
  readonly ignored: readonly string[];
  /** Keys that were absent and taken from the tensor they are tied to. */
  readonly tied: readonly string[];
};

type Problems = {
  unmapped: string[];
  missing: { parameter: string; key: string; near: string[] }[];
  unused: string[];
  shapes: { parameter: string; key: string; what: string }[];
  dtypes: { parameter: string; key: string; stored: string; dtype: string }[];
  collisions: string[];
};

const SHOWN = 20;

/**
 * Pairs every parameter with the file's tensors before anything is read. Total: each parameter is filled once, each
 * tensor used, ignored by name, or an error. Throws one `WeightMismatchError` that lists everything that is wrong
 * (`DTypeError` when only dtypes are).
 */
export function planLoad(
  parameters: ReadonlyMap<string, ParameterSpec>,
  tensors: ReadonlyMap<string, TensorEntry>,
  map: KeyMap,
  file: string,
): LoadPlan {
  const problems: Problems = { unmapped: [], missing: [], unused: [], shapes: [], dtypes: [], collisions: [] };
  const byKey = renamed(tensors, map, problems);
  const used = new Set<string>();
  const assignments: Assignment[] = [];
  const tied: string[] = [];
  for (const [path, parameter] of parameters) {
    const found = rowFor(path, map);
    if (!found) {
      problems.unmapped.push(path);
      continue;
    }
    const { from, patterns, bindings } = found;
    const keyOf = new Map<string, string>();
    for (const [text, pattern] of patterns) {
      const key = pattern.fill(bindings);
      const other = map.tied.get(key);
      const present = byKey.has(key) ? key : other !== undefined && byKey.has(other) ? other : undefined;
      if (present === undefined) problems.missing.push({ parameter: path, key, near: [] });
      else {
        if (present !== key) tied.push(key);
        used.add(present);
        keyOf.set(text, byKey.get(present)!.name);
      }
    }
    if (keyOf.size < patterns.size) continue;
    check(path, parameter, from, (text) => tensors.get(keyOf.get(text)!)!, problems);
    assignments.push({ path, from, keyOf });
  }
  const ignored: string[] = [];
  for (const [key, entry] of byKey) {
    if (used.has(key)) continue;
    if (map.ignore.some((pattern) => pattern.match(key))) ignored.push(entry.name);
    else problems.unused.push(entry.name);
  }
  report(problems, map, file);
  return { assignments, ignored, tied };
}

/** The first row that fits a path. */
export function rowFor(path: string, map: KeyMap) {
  for (const rule of map.rules) {
    const bindings = rule.parameter.match(path);
    if (bindings) return { ...rule, bindings };
  }
  return undefined;
}

/** The file's tensors under the map's spelling. */
function renamed(tensors: ReadonlyMap<string, TensorEntry>, map: KeyMap, problems: Problems): Map<string, TensorEntry> {
  const out = new Map<string, TensorEntry>();
  for (const entry of tensors.values()) {
    let key = entry.name;
    for (const [other, to] of map.aliases) {
      const bindings = other.match(key);
      if (bindings) key = to.fill(bindings);
    }
    const before = out.get(key);
    if (before)
      problems.collisions.push(
        `"${printable(before.name)}" and "${printable(entry.name)}" are both "${printable(key)}"`,
      );
    out.set(key, entry);
  }
  return out;
}

function check(
  path: string,
  parameter: ParameterSpec,
  from: Expression,
  entryOf: (key: string) => TensorEntry,
  problems: Problems,
): void {
  const key = entryOf(from.keys[0]!).name;
  for (const entry of from.keys.map(entryOf)) {
    if (!fits(entry.dtype, parameter.dtype)) {
      problems.dtypes.push({ parameter: path, key: entry.name, stored: entry.dtype, dtype: parameter.dtype });
    }
  }
  try {
    const shape = from.shape((text) => entryOf(text).shape, parameter.shape);
    if (shape.join() === parameter.shape.join()) return;
    problems.shapes.push({
      parameter: path,
      key,
      what: `${shown(parameter.shape)} expected, ${shown(shape)} in the file`,
    });
  } catch (error) {
    problems.shapes.push({
      parameter: path,
      key,
      what: `${shown(parameter.shape)} expected, ${(error as Error).message}`,
    });
  }
}

/** Floats load into floats of any width, integers into integers, bool into bool: nothing is cast silently. */
function fits(stored: StoredDType, dtype: DType): boolean {
  if (!isReadable(stored)) return false;
  const kind = (d: DType): string =>
    d === "bool" ? "bool" : d === "f32" || d === "f16" || d === "bf16" ? "float" : "integer";
  const inMemory = memoryDType(stored, "", "");
  return kind(inMemory) === kind(dtype) && (kind(dtype) !== "integer" || inMemory === dtype);
}

function report(problems: Problems, map: KeyMap, file: string): void {
  const { unmapped, missing, unused, shapes, dtypes, collisions } = problems;
  for (const entry of missing.slice(0, SHOWN)) entry.near = nearest(entry.key, unused.slice(0, 2000), 2);
  const name = (text: string): string => `"${printable(text)}"`;
  const lists: [string, string[]][] = [
    ["parameters without a row in the map", unmapped.map(name)],
    [
      "missing from the file",
      missing.map(({ parameter, key, near }) => {
        const hint = near.length > 0 ? `; similar and unused: ${near.map(name).join(", ")}` : "";
        return `${name(key)} for ${parameter}${hint}`;
      }),
    ],
    ["in the file but not used", unused.map(name)],
    ["of another shape", shapes.map(({ parameter, key, what }) => `${parameter} from ${name(key)}: ${what}`)],
    [
      "of another dtype",
      dtypes.map(
        ({ parameter, key, stored, dtype }) => `${parameter} is ${dtype}, ${name(key)} is stored as ${stored}`,
      ),
    ],
    ["twice under one name", collisions],
  ];
  const wrong = lists.filter(([, entries]) => entries.length > 0);
  if (wrong.length === 0) return;
  const onlyDTypes = wrong.length === 1 && dtypes.length > 0;
  const sections = wrong.map(([title, entries]) => {
    const more = entries.length > SHOWN ? `\n      … and ${entries.length - SHOWN} more` : "";
    return `\n    ${entries.length} ${title}:${entries
      .slice(0, SHOWN)
      .map((entry) => `\n      ${entry}`)
      .join("")}${more}`;
  });
  throw new VlmError(onlyDTypes ? "DTypeError" : "WeightMismatchError", onlyDTypes ? "WM_DTYPE" : "WM_MISMATCH", {
    what: `the file does not fit the model by the map "${map.name}":${sections.join("")}`,
    where: file,
    hint: "check that the model's configuration is the checkpoint's and that the map is of its family",
    details: { unmapped, missing, unused, shapes, dtypes, collisions },
  });
}
