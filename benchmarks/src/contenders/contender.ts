/** A library under measurement. Each runs in a process of its own. */
import type { Program } from "../work/ops.ts";
import type { Work } from "../work/work.ts";

export type Runnable = {
  /** One call, from the request to the result's numbers in JavaScript (for gradients and steps: one small result). */
  run(): Promise<unknown>;
  /** One more call, and all of its results in order, to be compared with the others'. */
  results(): Promise<Float32Array[]>;
  /** Kernels that a call launches, where the library tells. */
  kernels?: number;
  dispose(): Promise<void> | void;
};

export type Contender = {
  /** Threads it really uses, where that can be fewer than asked for. */
  threads?: number;
  /** `quick`: do not try several forms to find the fastest. */
  prepare(program: Program, work: Work, options?: { quick?: boolean }): Promise<Runnable>;
};

/** What does not exist in a library is not a failure of it; the report says "not offered". */
export class NotOffered extends Error {
  override name = "NotOffered";
}
