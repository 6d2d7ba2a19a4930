import { Cell, type Tensor, VlmError } from "@vlm/core";

/** A learned scalar: a parameter, or a tensor that stands for one. */
export type Scalar = Tensor | Cell;

/** The tensor of a learned scalar, as a scalar []. */
export const scalarOf = (x: Scalar): Tensor => (x instanceof Cell ? x.value : x).reshape([]);

/** x / ‖x‖₂ along the last axis, in f32: [… D] → [… D]. Rows of zeros stay zeros. */
export function normalize(embeddings: Tensor): Tensor {
  const x = embeddings.cast("f32");
  const length = x.square().sum(-1, { keepDims: true });
  return x.mul(length.maximum(1e-24).rsqrt());
}

/**
 * Checks that two sides are embeddings of one space: [B D] and [C D], not empty, of one floating-point dtype. Throws
 * `ShapeError` `EMBED_RANK`, `EMBED_UNEQUAL` or `BATCH_EMPTY`, `DTypeError EMBED_DTYPE`.
 */
export function checkSides(loss: string, a: Tensor, b: Tensor): void {
  const shapes = `[${a.shape.join(" ")}] and [${b.shape.join(" ")}]`;
  if (a.rank !== 2 || b.rank !== 2) {
    throw new VlmError("ShapeError", "EMBED_RANK", {
      what: `${loss}: embeddings are [batch width], got ${shapes}`,
      hint: "pool tokens to one vector per item first",
      details: { a: a.shape, b: b.shape },
    });
  }
  if (a.shape[1] !== b.shape[1]) {
    throw new VlmError("ShapeError", "EMBED_UNEQUAL", {
      what: `${loss}: embeddings differ in width, ${a.shape[1]} ≠ ${b.shape[1]}: ${shapes}`,
      hint: "project both sides to one width (`embed` in the model's config)",
      details: { a: a.shape, b: b.shape },
    });
  }
  if (a.size === 0 || b.size === 0) {
    throw new VlmError("ShapeError", "BATCH_EMPTY", {
      what: `${loss}: the batch is empty: ${shapes}`,
      hint: "skip empty batches in the data source",
    });
  }
  if (a.dtype === b.dtype && ["f32", "f16", "bf16"].includes(a.dtype)) return;
  throw new VlmError("DTypeError", "EMBED_DTYPE", {
    what: `${loss}: embeddings are ${a.dtype} and ${b.dtype}, both sides have one floating-point dtype`,
    hint: 'cast one of them: x.cast("f32"); ids are embedded by the text encoder first',
    details: { a: a.dtype, b: b.dtype },
  });
}

/** Checks that both sides of a batch of pairs are embeddings, with as many rows. Throws also `ShapeError BATCH_UNEQUAL`. */
export function checkPairs(loss: string, a: Tensor, b: Tensor): void {
  checkSides(loss, a, b);
  const shapes = `[${a.shape.join(" ")}] and [${b.shape.join(" ")}]`;
  if (a.shape[0] !== b.shape[0]) {
    throw new VlmError("ShapeError", "BATCH_UNEQUAL", {
      what: `${loss}: row i of one side is paired with row i of the other, but there are ${a.shape[0]} and ${b.shape[0]} rows: ${shapes}`,
      hint: "give both encoders the same batch",
      details: { a: a.shape, b: b.shape },
    });
  }
}

/** Checks a temperature that is given as a plain number. */
export function checkTemperature(loss: string, temperature: number): void {
  if (temperature > 0 && Number.isFinite(temperature)) return;
  throw new VlmError("ArgumentError", "TEMPERATURE", {
    what: `${loss}: a temperature is a number above 0, got ${temperature}`,
    hint: "CLIP starts at 0.07, SimCLR uses 0.1 to 0.5",
  });
}

/** Checks how many rows of logits are held at a time. */
export function checkChunk(loss: string, chunk: number | undefined): void {
  if (chunk === undefined || (Number.isInteger(chunk) && chunk >= 1)) return;
  throw new VlmError("ArgumentError", "CHUNK", {
    what: `${loss}: chunk is ${chunk}`,
    hint: "it is a whole number of rows, at least 1; leave it out to hold all",
  });
}
