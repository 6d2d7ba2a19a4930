import type { VlmError } from "@vlm/core";
import { dataError } from "./data-error.ts";

/** Where a data set stands, as plain JSON: saved in a checkpoint, it continues with the sample that comes next. */
export type DataState = {
  version: 1;
  /** Passes completed. */
  epoch: number;
  /** Samples of this pass that were handed out or skipped. */
  position: number;
  /** Words of the shuffle key, null when the order is the source's. */
  shuffle: [number, number] | null;
  /** Number of samples, 0 before the source was listed. */
  size: number;
};

/** Throws unless `state` is a position in a data set that now stands at `own`. */
export function checkState(state: DataState, own: DataState): void {
  const at = [state?.epoch, state?.position, state?.size];
  if (state?.version !== 1 || !at.every((n) => Number.isSafeInteger(n) && n >= 0)) {
    throw dataError(
      "CheckpointError",
      "DATA_STATE",
      "this is no saved position of a data set",
      "data.restore",
      "pass what data.state() returned",
    );
  }
  if (own.size !== 0 && state.size !== 0 && own.size !== state.size) throw sizeChanged(state.size, own.size);
  if (String(state.shuffle) !== String(own.shuffle)) {
    throw dataError(
      "CheckpointError",
      "DATA_STATE_ORDER",
      "the position was saved with another shuffle key",
      "data.restore",
      "use the same shuffle option as in the run that is to continue",
    );
  }
}

/** A position that was saved with another number of samples. */
export function sizeChanged(saved: number, found: number): VlmError {
  return dataError(
    "CheckpointError",
    "DATA_STATE_SIZE",
    `the position was saved with ${saved} samples, now there are ${found}`,
    "data.restore",
    "the data have changed: start anew, or bring them back",
  );
}
