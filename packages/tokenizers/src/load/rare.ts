import { TokenizerError } from "../errors.ts";
import { knownScanner } from "../regex/scanners.ts";

/** Code that few tokenizers need: it comes in files of its own, loaded before a tokenizer that names it is read. */
const imports = {
  regex: () => import("../regex/engine.ts"),
  scripts: () => import("../pre-tokenizers/unicode-scripts.ts"),
  charsmap: () => import("../normalizers/precompiled.ts"),
};

type Imports = typeof imports;
type Rare = { [Name in keyof Imports]: Awaited<ReturnType<Imports[Name]>> };

const loaded: Partial<Rare> = {};

/** Loads one of them. */
export async function loadRare<Name extends keyof Rare>(name: Name): Promise<void> {
  loaded[name] ??= (await imports[name]()) as Rare[Name];
}

/** What {@link loadRare} has loaded. */
export function rare<Name extends keyof Rare>(name: Name, where: string): Rare[Name] {
  const found: Rare[Name] | undefined = loaded[name];
  if (found) return found;
  throw new TokenizerError("FeatureMissingError", "TK_NOT_LOADED", {
    what: `the code for ${name} is not loaded`,
    where,
    hint: "load the tokenizer with Tokenizer.load",
  });
}

/** Loads all that a component of tokenizer.json, however deep, calls for. */
export async function loadRareFor(component: unknown): Promise<void> {
  if (typeof component !== "object" || component === null) return;
  for (const [key, member] of Object.entries(component)) {
    if (typeof member !== "string") await loadRareFor(member);
    else if (key === "Regex" && knownScanner(member) === undefined) await loadRare("regex");
    else if (member === "UnicodeScripts") await loadRare("scripts");
    else if (member === "Precompiled") await loadRare("charsmap");
  }
}
