import { createHash } from "node:crypto";
import { readFileSync } from "node:fs";
import { gunzipSync } from "node:zlib";
import { Tokenizer } from "../src/index.ts";

const folder = new URL("../fixtures/", import.meta.url);

export function fixture(name: string): Uint8Array {
  return new Uint8Array(gunzipSync(readFileSync(new URL(`${name}.gz`, folder))));
}

export function fixtureText(name: string): string {
  return new TextDecoder().decode(fixture(name));
}

export type Hashes = Record<string, { count: number; blocks: [ids: string, offsets: string, decoded: string][] }>;

export const hashes = JSON.parse(readFileSync(new URL("hashes.json", folder), "utf8")) as Hashes;
export const BLOCK = 200;
export const SEED = 20231117;

export function digest(rows: readonly string[]): string {
  return createHash("sha256").update(rows.join("\n")).digest("hex").slice(0, 12);
}

/** The tokenizer of a family, from the file that the fixture script has written. */
export async function family(name: string): Promise<Tokenizer> {
  if (name === "clip") {
    const compressed = new Uint8Array(readFileSync(new URL("bpe_simple_vocab_16e6.txt.gz", folder)));
    return Tokenizer.load({ "bpe_simple_vocab_16e6.txt.gz": compressed });
  }
  if (name.startsWith("sp-")) return Tokenizer.load({ "tokenizer.model": fixture(`${name}.model`) });
  if (name.startsWith("zoo-")) {
    const zoo = JSON.parse(fixtureText("zoo.json")) as Record<string, Record<string, unknown>>;
    return Tokenizer.load(zoo[name.slice("zoo-".length)]!);
  }
  if (name !== "siglip") return Tokenizer.load({ "tokenizer.json": fixtureText(`${name}.json`) });
  // The vocabulary and the character map are those of t5, stored once.
  const t5 = JSON.parse(fixtureText("t5.json")) as { model: unknown; normalizer: { precompiled_charsmap: string } };
  const shell = fixtureText("siglip.json").replace("@t5", t5.normalizer.precompiled_charsmap);
  return Tokenizer.load({ ...(JSON.parse(shell) as Record<string, unknown>), model: t5.model });
}
