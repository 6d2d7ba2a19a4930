/** What a SentencePiece file says, before anything is built from it. */

/** Piece types of sentencepiece_model.proto. */
export const NORMAL = 1;
export const UNKNOWN = 2;
export const CONTROL = 3;
export const USER_DEFINED = 4;
export const UNUSED = 5;
export const BYTE = 6;

export type SentencePieceModel = {
  pieces: { piece: string; score: number; type: number }[];
  modelType: number;
  byteFallback: boolean;
  whitespaceSuffix: boolean;
  unkSurface: string;
  bos: number;
  eos: number;
  pad: number;
  charsmap: Uint8Array;
  addDummyPrefix: boolean;
  removeExtraWhitespaces: boolean;
  escapeWhitespaces: boolean;
};
