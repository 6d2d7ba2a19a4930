/**
 * The schedule: what every device but `js` runs. Kernels in order, over numbered buffers.
 * A backend renders these few structures and knows no op by name.
 */
import type { DType } from "../dtype.ts";
import type { Attributes, KernelOp, ReduceOp, StridedView } from "../op.ts";
import type { Expr } from "./expr.ts";
import type { Linear } from "./linear.ts";

/** Writes `value` to element `index` of `buffer`, rounding to the buffer's dtype. */
export type Store = { buffer: number; index: Linear; value: Expr };

/**
 * for outer: for each stage in order: a reduction over inner gives one value per outer index (an `Expr` of kind
 * "stage" reads it); a store writes once per outer index, or once per outer × inner index.
 * A plain elementwise map has `inner: []`; a sum is one reduction and one outer store; a softmax is two reductions and
 * one inner store. Loop variables: axis 0 … outer.length − 1, then the inner ones. No store aliases a loaded buffer,
 * except that an outer-level or inner-level store may overwrite exactly the elements its own iteration loads.
 */
export type LoopKernel = {
  kind: "loop";
  name: string;
  outer: readonly number[];
  inner: readonly number[];
  stages: readonly Stage[];
};

export type Stage =
  | { kind: "reduce"; op: ReduceOp; value: Expr; dtype: DType }
  | ({ kind: "store"; level: "outer" | "inner" } & Store);

/**
 * acc[batch, row, column] = Σ_sum a · b, then the stores, whose values read acc as stage 0.
 * Loop variables: axis 0 batch, 1 row (M), 2 column (N), 3 sum (K). `a` depends on 0, 1, 3 and `b` on 0, 3, 2; both are
 * loads, possibly guarded (padding) and with quotients in their index (a convolution's windows: implicit GEMM).
 */
export type ContractKernel = {
  kind: "contract";
  name: string;
  batch: number;
  rows: number;
  columns: number;
  sum: number;
  a: Expr;
  b: Expr;
  dtype: DType;
  stores: readonly Store[];
};

/** A kernel with hand-written code in its op record, on contiguous buffers and on views that the record says it reads. */
export type CustomKernel = {
  kind: "custom";
  name: string;
  op: KernelOp;
  attributes: Attributes;
  inputs: readonly Operand[];
  outputs: readonly Operand[];
};

/** `view`: where its elements lie in the buffer, unless it is just the buffer. */
export type Operand = { buffer: number; shape: readonly number[]; dtype: DType; view?: StridedView };

export type Kernel = LoopKernel | ContractKernel | CustomKernel;

/** Role says who owns the memory: the caller (inputs and outputs, by position) or the plan (temporaries). */
export type BufferSpec = {
  dtype: DType;
  size: number;
  role: "input" | "output" | "temporary";
  /** Position among the inputs or among the outputs; −1 for temporaries. */
  position: number;
};

export type Schedule = { buffers: readonly BufferSpec[]; kernels: readonly Kernel[] };
