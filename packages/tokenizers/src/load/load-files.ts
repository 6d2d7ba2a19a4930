import { formatError, TokenizerError } from "../errors.ts";
import type { TokenizerParts } from "../parts.ts";
import { decodeUtf8Strict } from "../text/utf8.ts";
import { recordFiles, type TokenizerFiles, urlFiles } from "./files.ts";
import { Json } from "./json.ts";
import { type LoadOptions, overrides, readJsonParts, type TokenizerSource } from "./load.ts";
import { parseJson } from "./parse-json.ts";
import { loadRare } from "./rare.ts";

const SENTENCEPIECE = ["tokenizer.model", "spiece.model", "sentencepiece.bpe.model"];
const OPENCLIP = ["bpe_simple_vocab_16e6.txt", "bpe_simple_vocab_16e6.txt.gz"];
const TIKTOKEN = ["tokenizer", "qwen", "vocab", "r50k_base", "p50k_base", "cl100k_base", "o200k_base"].map(
  (name) => `${name}.tiktoken`,
);

/** Reads whatever files there are, in the order of how much they say. */
export async function loadFiles(source: TokenizerSource, options: LoadOptions): Promise<TokenizerParts> {
  const { files, only } = await openSource(source, options);
  const read = async (name: string): Promise<Uint8Array | undefined> => {
    const data = await files.read(name);
    return typeof data === "string" ? new TextEncoder().encode(data) : data;
  };
  const readText = async (name: string): Promise<string | undefined> => {
    const data = await read(name);
    if (!data) return undefined;
    const text = decodeUtf8Strict(data);
    if (text === undefined) throw formatError("TK_ENCODING", name, "the file is not UTF-8 text");
    return text;
  };
  const readJson = async (name: string): Promise<Json | undefined> => {
    const text = await readText(name);
    return text === undefined ? undefined : parseJson(text, name);
  };
  const configs = async () => {
    const found = await Promise.all([readJson("tokenizer_config.json"), readJson("special_tokens_map.json")]);
    return [...overrides(options), ...found.filter((c) => c !== undefined)];
  };
  const wanted = (names: readonly string[], ending: RegExp): readonly string[] =>
    only === undefined ? names : ending.test(only) ? [only] : [];
  if (only === undefined || (/\.json$/.test(only) && only !== "vocab.json")) {
    const name = only ?? "tokenizer.json";
    const json = await readJson(name);
    if (json) return readJsonParts(json, await configs());
  }
  for (const name of wanted(SENTENCEPIECE, /\.(model|spm)$/)) {
    const data = await read(name);
    if (data) {
      const [{ sentencePieceParts }, { readConfig }] = await Promise.all([
        import("./sentencepiece.ts"),
        import("./legacy.ts"),
      ]);
      return sentencePieceParts(data, name, readConfig(await configs()));
    }
  }
  if (only === undefined || only === "vocab.json") {
    const vocab = await readJson("vocab.json");
    const merges = vocab && (await readText("merges.txt"));
    if (vocab && merges === undefined)
      throw formatError("TK_MERGE", files.where, "vocab.json has no merges.txt beside it");
    if (vocab) {
      const { readConfig, vocabMergesJson } = await import("./legacy.ts");
      const found = await configs();
      const json = vocabMergesJson(vocab, merges!, readConfig(found));
      return readJsonParts(new Json(json, "vocab.json + merges.txt"), found);
    }
  }
  for (const name of wanted(OPENCLIP, /bpe_simple_vocab.*\.txt(\.gz)?$/)) {
    const data = await read(name);
    if (!data) continue;
    const { openClipJson } = await import("./legacy.ts");
    return readJsonParts(new Json(openClipJson(await inflate(data, name)), name), await configs());
  }
  if (only === undefined || /\.txt$/.test(only)) {
    const text = await readText(only ?? "vocab.txt");
    if (text !== undefined) {
      const { bertJson, readConfig } = await import("./legacy.ts");
      const found = await configs();
      return readJsonParts(new Json(bertJson(text, readConfig(found)), only ?? "vocab.txt"), found);
    }
  }
  for (const name of wanted(TIKTOKEN, /\.tiktoken$/)) {
    const text = await readText(name);
    if (text !== undefined) {
      const { tiktokenParts } = await import("./tiktoken.ts");
      await loadRare("regex");
      return tiktokenParts(text, name, options.tiktoken ?? {});
    }
  }
  throw new TokenizerError("TokenizerFormatError", "TK_NO_FILES", {
    what: "found no tokenizer file that is understood",
    where: files.where,
    hint: `looked for tokenizer.json, ${SENTENCEPIECE.join(", ")}, vocab.json + merges.txt, vocab.txt, ${OPENCLIP[0]}, ${TIKTOKEN.join(", ")}`,
  });
}

type Opened = { files: TokenizerFiles; only: string | undefined };

async function openSource(source: TokenizerSource, options: LoadOptions): Promise<Opened> {
  if (source instanceof URL) return openSource(source.href, options);
  if (typeof source === "string") {
    if (/^(https?|blob|data):/i.test(source)) return urlFiles(source, options);
    if (/^file:/i.test(source))
      return (await import("./disk.ts")).diskFiles(decodeURIComponent(new URL(source).pathname));
    return (await import("./disk.ts")).diskFiles(source);
  }
  if (typeof source === "object" && source !== null) {
    if (typeof source.read === "function") return { files: source as TokenizerFiles, only: undefined };
    return { files: recordFiles(source as Record<string, string | Uint8Array>), only: undefined };
  }
  throw new TokenizerError("ArgumentError", "TK_SOURCE", {
    what: `cannot load a tokenizer from ${source === null ? "null" : typeof source}`,
    hint: "pass a folder, a URL, a parsed tokenizer.json or files by name",
  });
}

/** Text of a file that may be compressed with gzip. */
async function inflate(data: Uint8Array, where: string): Promise<string> {
  let bytes = data;
  if (data[0] === 0x1f && data[1] === 0x8b) {
    try {
      const stream = new Blob([data as Uint8Array<ArrayBuffer>]).stream().pipeThrough(new DecompressionStream("gzip"));
      bytes = new Uint8Array(await new Response(stream).arrayBuffer());
    } catch {
      throw formatError("TK_GZIP", where, "the file is not valid gzip", "download it again");
    }
  }
  const text = decodeUtf8Strict(bytes);
  if (text === undefined) throw formatError("TK_ENCODING", where, "the file is not UTF-8 text");
  return text;
}
