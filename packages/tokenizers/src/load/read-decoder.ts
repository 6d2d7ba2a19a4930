import {
  bpeDecoder,
  byteFallbackDecoder,
  byteLevelDecoder,
  ctcDecoder,
  type Decoder,
  fuseDecoder,
  metaspaceDecoder,
  replaceDecoder,
  stripDecoder,
  wordPieceDecoder,
} from "../decoders/decoder.ts";
import type { Json } from "./json.ts";
import { dispatch, readPattern } from "./read-normalizer.ts";
import { prependScheme } from "./read-pre-tokenizer.ts";

const READERS: Record<string, (json: Json) => Decoder> = {
  Sequence: (json) => {
    const steps = json.get("decoders").array().map(readDecoder);
    return (tokens) => steps.reduce((t, step) => step(t), tokens);
  },
  ByteLevel: () => byteLevelDecoder,
  ByteFallback: () => byteFallbackDecoder,
  Fuse: () => fuseDecoder,
  Strip: (json) => stripDecoder(json.get("content").character(), json.get("start").count(), json.get("stop").count()),
  Replace: (json) => replaceDecoder(readPattern(json.get("pattern")), json.get("content").string()),
  Metaspace: (json) => metaspaceDecoder(json.get("replacement").character("▁"), prependScheme(json) !== "never"),
  BPEDecoder: (json) => bpeDecoder(json.get("suffix").string("</w>")),
  WordPiece: (json) => wordPieceDecoder(json.get("prefix").string("##"), json.get("cleanup").boolean(true)),
  CTC: (json) =>
    ctcDecoder(
      json.get("pad_token").string("<pad>"),
      json.get("word_delimiter_token").string("|"),
      json.get("cleanup").boolean(true),
    ),
};

export function readDecoder(json: Json): Decoder {
  return dispatch(json, READERS, "decoder")(json);
}
