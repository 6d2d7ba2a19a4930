import type { AddedToken } from "../added-tokens.ts";
import { sentencePieceDecoder } from "../decoders/sentencepiece.ts";
import { formatError, quote } from "../errors.ts";
import { SentencePieceBpe } from "../models/sentencepiece-bpe.ts";
import { Unigram } from "../models/unigram.ts";
import { Charsmap } from "../normalizers/precompiled.ts";
import { sentencePieceNormalizer } from "../normalizers/sentencepiece.ts";
import type { TokenizerParts } from "../parts.ts";
import { templateProcessor } from "../post-processors/post-processor.ts";
import { decodeUtf8Strict } from "../text/utf8.ts";
import { Json } from "./json.ts";
import { type LegacyConfig, templateJson } from "./legacy.ts";
import { type ProtoField, protoFields } from "./protobuf.ts";
import { BYTE, CONTROL, NORMAL, type SentencePieceModel, UNKNOWN, USER_DEFINED } from "./sentencepiece-model.ts";

/** Reads the fields that matter for encoding and decoding; defaults are those of sentencepiece_model.proto. */
export function parseSentencePiece(bytes: Uint8Array, where: string): SentencePieceModel {
  const model: SentencePieceModel = {
    pieces: [],
    modelType: 1,
    byteFallback: false,
    whitespaceSuffix: false,
    unkSurface: " \u2047 ",
    bos: 1,
    eos: 2,
    pad: -1,
    charsmap: new Uint8Array(0),
    addDummyPrefix: true,
    removeExtraWhitespaces: true,
    escapeWhitespaces: true,
  };
  for (const field of protoFields(bytes, where)) {
    if (field.number === 1) model.pieces.push(readPiece(message(field, where), where));
    else if (field.number === 2) readTrainer(model, message(field, where), where);
    else if (field.number === 3) readNormalizerSpec(model, message(field, where), where);
  }
  return model;
}

function message(field: ProtoField, where: string): Uint8Array {
  if (typeof field.value === "number")
    throw formatError("TK_PROTOBUF", where, `field ${field.number} is a number where a message should be`);
  return field.value;
}

function number(field: ProtoField): number {
  // int32 fields hold negative numbers as 64-bit two's complement.
  return typeof field.value === "number" ? (field.value > 2 ** 31 ? field.value - 2 ** 64 : field.value) : 0;
}

function text(field: ProtoField, where: string): string {
  const decoded = decodeUtf8Strict(message(field, where));
  if (decoded === undefined) throw formatError("TK_PROTOBUF", where, `field ${field.number} is not UTF-8`);
  return decoded;
}

function readPiece(bytes: Uint8Array, where: string): SentencePieceModel["pieces"][number] {
  const piece = { piece: "", score: 0, type: NORMAL };
  for (const field of protoFields(bytes, where)) {
    if (field.number === 1) piece.piece = text(field, where);
    else if (field.number === 2) piece.score = number(field);
    else if (field.number === 3) piece.type = number(field);
  }
  return piece;
}

function readTrainer(model: SentencePieceModel, bytes: Uint8Array, where: string): void {
  for (const field of protoFields(bytes, where)) {
    const value = field.number === 44 ? 0 : number(field);
    if (field.number === 3) model.modelType = value;
    else if (field.number === 24) model.whitespaceSuffix = value !== 0;
    else if (field.number === 35) model.byteFallback = value !== 0;
    else if (field.number === 41) model.bos = Math.round(value);
    else if (field.number === 42) model.eos = Math.round(value);
    else if (field.number === 43) model.pad = Math.round(value);
    else if (field.number === 44) model.unkSurface = text(field, where);
  }
}

function readNormalizerSpec(model: SentencePieceModel, bytes: Uint8Array, where: string): void {
  for (const field of protoFields(bytes, where)) {
    if (field.number === 2) model.charsmap = message(field, where);
    else if (field.number === 3) model.addDummyPrefix = number(field) !== 0;
    else if (field.number === 4) model.removeExtraWhitespaces = number(field) !== 0;
    else if (field.number === 5) model.escapeWhitespaces = number(field) !== 0;
  }
}

/**
 * A SentencePiece model that encodes and decodes as Google's library does, which is not quite what Hugging Face's conversion
 * of the same file does. `config` tells which tokens surround the text.
 */
export function sentencePieceParts(bytes: Uint8Array, where: string, config: LegacyConfig): TokenizerParts {
  const spec = parseSentencePiece(bytes, where);
  checkSpec(spec, where);
  const json = new Json(spec, where);
  const map = spec.charsmap.length ? new Charsmap(spec.charsmap, json) : undefined;
  const userDefined = spec.pieces.flatMap((p) => (p.type === USER_DEFINED ? [p.piece] : []));
  const unknown = spec.pieces.findIndex((p) => p.type === UNKNOWN);
  const model = spec.modelType === 2 ? new SentencePieceBpe(spec) : unigram(spec, unknown);
  const control = spec.pieces.flatMap((p, id) => (p.type === CONTROL ? [special(p.piece, id)] : []));
  const isT5 = /^(T5|MT5|UMT5)/.test(config.className);
  const extra = Array.from({ length: config.extraIds ?? (isT5 ? 100 : 0) }, (_, i) => i);
  const count = extra.length;
  const added = [...control, ...extra.map((i) => special(`<extra_id_${count - 1 - i}>`, spec.pieces.length + i))];
  const piece = (id: number): [string, number] | undefined =>
    spec.pieces[id] ? [spec.pieces[id].piece, id] : undefined;
  const addBos = config.addBos ?? /^(Llama|Gemma|CodeLlama)/.test(config.className);
  const addEos = config.addEos ?? (isT5 || /^Siglip/.test(config.className));
  const bos = addBos ? piece(spec.bos) : undefined;
  const eos = addEos ? piece(spec.eos) : undefined;
  const around = (sequence: 0 | 1, typeId: number) => [
    ...(bos ? [{ ids: [bos[1]], typeId }] : []),
    { sequence, typeId },
    ...(eos ? [{ ids: [eos[1]], typeId }] : []),
  ];
  const roles: Record<string, number> = {};
  for (const [role, id] of [
    ["bos", spec.bos],
    ["eos", spec.eos],
    ["pad", spec.pad],
    ["unk", unknown],
  ] as const) {
    if (piece(id)) roles[role] = id;
  }
  if (roles.pad === undefined && config.pad !== undefined) {
    const id = spec.pieces.findIndex((p) => p.piece === config.pad);
    if (id >= 0) roles.pad = id;
  }
  return {
    model,
    added,
    normalizer: sentencePieceNormalizer({ ...spec, map, userDefined }),
    decoder: sentencePieceDecoder(spec),
    postProcessor: bos || eos ? templateProcessor(around(0, 0), [...around(0, 0), ...around(1, 1)]) : undefined,
    roles,
    json: huggingFaceJson(spec, templateJson(bos, eos)),
    warnings: [],
  };
}

function special(content: string, id: number): AddedToken {
  return { id, content, singleWord: false, lstrip: false, rstrip: false, normalized: false, special: true };
}

function checkSpec(spec: SentencePieceModel, where: string): void {
  if (spec.pieces.length === 0)
    throw formatError("TK_EMPTY_VOCAB", where, "the model has no pieces", "this is not a SentencePiece model");
  if (spec.modelType !== 1 && spec.modelType !== 2) {
    const name = { 3: "word", 4: "char" }[spec.modelType] ?? String(spec.modelType);
    throw formatError(
      "TK_TYPE",
      `${where}.trainer_spec.model_type`,
      `the model type ${name} is not supported`,
      "supported: unigram, bpe",
    );
  }
  const seen = new Set<string>();
  for (const [id, { piece, score }] of spec.pieces.entries()) {
    if (piece === "") throw formatError("TK_UNIGRAM", `${where}.pieces[${id}]`, "an empty piece");
    if (seen.has(piece))
      throw formatError("TK_DUPLICATE_KEY", `${where}.pieces[${id}]`, `the piece ${quote(piece)} occurs twice`);
    if (!Number.isFinite(score))
      throw formatError("TK_UNIGRAM", `${where}.pieces[${id}]`, `the score of ${quote(piece)} is ${score}`);
    seen.add(piece);
  }
  if (!spec.pieces.some((p) => p.type === UNKNOWN))
    throw formatError("TK_UNK", where, "no piece is of the type unknown");
  if (spec.byteFallback && spec.pieces.filter((p) => p.type === BYTE).length !== 256) {
    throw formatError("TK_PARAM", where, "byte_fallback needs 256 byte pieces");
  }
}

function unigram(spec: SentencePieceModel, unknown: number): Unigram {
  const normal = spec.pieces.filter((p) => p.type === NORMAL).map((p) => p.score);
  const max = Math.max(...chunked(normal, Math.max));
  const override = new Map<number, number>();
  for (const [id, { piece, type }] of spec.pieces.entries()) {
    // User defined pieces get a bonus, so that they always win; the others are not found in text at all.
    if (type === USER_DEFINED) override.set(id, new TextEncoder().encode(piece).length * max - 0.1);
    else if (type !== NORMAL) override.set(id, Number.NaN);
  }
  return new Unigram({
    pieces: spec.pieces.map((p) => [p.piece, p.score]),
    unknown,
    byteFallback: spec.byteFallback,
    single: true,
    override,
    minScore: Math.min(...chunked(normal, Math.min)),
  });
}

/** Extremes of parts, as a vocabulary is too long for one argument list. */
function chunked(values: number[], extreme: (...values: number[]) => number): number[] {
  const out = values.length ? [] : [0];
  for (let i = 0; i < values.length; i += 10_000) out.push(extreme(...values.slice(i, i + 10_000)));
  return out;
}

/** The nearest tokenizer.json, as transformers converts such models. */
function huggingFaceJson(spec: SentencePieceModel, template: unknown): TokenizerParts["json"] {
  const charsmap = spec.charsmap.length
    ? [
        {
          type: "Precompiled",
          precompiled_charsmap: btoa(Array.from(spec.charsmap, (b) => String.fromCharCode(b)).join("")),
        },
      ]
    : [];
  const spaces = spec.removeExtraWhitespaces
    ? [
        { type: "Strip", strip_left: true, strip_right: true },
        { type: "Replace", pattern: { Regex: " {2,}" }, content: " " },
      ]
    : [];
  const metaspace = {
    type: "Metaspace",
    replacement: "▁",
    prepend_scheme: spec.addDummyPrefix ? "always" : "never",
    split: spec.modelType === 1,
  };
  const fallback = [
    { type: "Replace", pattern: { String: "▁" }, content: " " },
    { type: "ByteFallback" },
    { type: "Fuse" },
    { type: "Strip", content: " ", start: spec.addDummyPrefix ? 1 : 0, stop: 0 },
  ];
  const normalizers = [...charsmap, ...spaces];
  return {
    normalizer: normalizers.length ? { type: "Sequence", normalizers } : null,
    pre_tokenizer: metaspace,
    post_processor: template,
    decoder: spec.byteFallback ? { type: "Sequence", decoders: fallback } : metaspace,
  };
}
