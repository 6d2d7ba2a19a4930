/** A megabyte of real text: sentences in fourteen languages, English prose, program code and emoji, from what is installed. */
import { readdirSync, readFileSync } from "node:fs";
import { createRequire } from "node:module";
import path from "node:path";
import { fileURLToPath } from "node:url";

const ROOT = fileURLToPath(new URL("../../..", import.meta.url));
const LANGUAGES = ["cs", "de", "es", "fr", "it", "ja", "ko", "pl", "pt-br", "ru", "tr", "zh-cn", "zh-tw"];
const EMOJI = ["👩‍👩‍👧‍👦", "🏳️‍🌈 👍🏽", "😀😃😄", "🇩🇪🇯🇵🇧🇷", "a photo of a 🐈‍⬛ and a 🐕‍🦺"];

const linesOf = (file: string): string[] => readFileSync(file, "utf8").split("\n").filter(Boolean);

function filesBelow(folder: string, pattern: RegExp): string[] {
  return readdirSync(path.join(ROOT, folder), { recursive: true, encoding: "utf8" })
    .filter((name) => pattern.test(name) && !/node_modules|dist|generated/.test(name))
    .sort()
    .map((name) => path.join(ROOT, folder, name));
}

/** Lines of every source in turn, until there are `bytes` of UTF-8. */
export function mixedLines(bytes: number): string[] {
  // The compiler's messages in thirteen languages: translated by people, and installed everywhere.
  const compiler = path.dirname(createRequire(import.meta.url).resolve("typescript"));
  const sources = [
    ...LANGUAGES.map((language): string[] =>
      Object.values(
        JSON.parse(readFileSync(path.join(compiler, language, "diagnosticMessages.generated.json"), "utf8")) as Record<
          string,
          string
        >,
      ),
    ),
    ...Array<string[]>(4).fill(filesBelow("docs", /\.md$/).flatMap(linesOf)),
    ...Array<string[]>(4).fill(filesBelow("packages/core/src", /\.ts$/).flatMap(linesOf)),
    EMOJI,
  ];
  const lines: string[] = [];
  // Sources that stand there several times are read on, not repeated.
  const at = new Map<string[], number>();
  for (let size = 0; size < bytes; ) {
    for (const source of sources) {
      const next = at.get(source) ?? 0;
      at.set(source, next + 1);
      const line = source[next % source.length]!;
      lines.push(line);
      size += Buffer.byteLength(line) + 1;
    }
  }
  return lines;
}

/** A WordPiece vocabulary of about the size of BERT's, from the words of the text: whole ones, endings and characters. */
export function wordPieces(lines: readonly string[], size: number): Map<string, number> {
  const counts = new Map<string, number>();
  const characters = new Set<string>();
  for (const line of lines) {
    for (const [word] of line.toLowerCase().matchAll(/[\p{L}\p{N}]+|[^\s\p{L}\p{N}]/gu)) {
      for (const character of word) characters.add(character);
      counts.set(word, (counts.get(word) ?? 0) + 8);
      for (let from = 1; from < Math.min(word.length, 12); from++) {
        const ending = `##${word.slice(from)}`;
        counts.set(ending, (counts.get(ending) ?? 0) + 1);
      }
    }
  }
  const pieces = new Set(["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]);
  for (const character of characters) pieces.add(character).add(`##${character}`);
  for (const [piece] of [...counts].sort((a, b) => b[1] - a[1])) {
    // A third of the words stays without a piece of its own, as with a vocabulary trained on other text.
    if (pieces.size < size && piece.length % 3 !== 2) pieces.add(piece);
  }
  return new Map([...pieces].map((piece, id) => [piece, id]));
}
