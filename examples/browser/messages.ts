/** What the page and the worker that trains say to each other. */
import type { Image } from "@vlm/image";

/** The sheet of drawings: pixels of one, and how many in a row. */
export const SIZE = 32;
export const COLUMNS = 40;

export type EmojiWords = { emoji: string; caption: string };

export type ToWorker =
  | { kind: "start"; sheet: string; words: string; device: "webgpu" | "wasm" | "best"; steps: number }
  | { kind: "pause" }
  | { kind: "resume" }
  | { kind: "search"; id: number; words: string }
  | { kind: "describe"; id: number; image: Image };

export type Found = { index: number; score: number };

export type FromWorker =
  | { kind: "ready"; device: string; emoji: number; weights: number }
  | { kind: "compiling"; ready: number; total: number }
  | { kind: "progress"; step: number; steps: number; loss: number; imagesPerSecond: number }
  | { kind: "done" }
  | { kind: "answer"; id: number; found: Found[] }
  | { kind: "problem"; message: string };
