/**
 * Op records. A graph node holds its op's record itself, and the record carries every rule about the op: result type,
 * reference evaluation, WGSL, gradient, test domain. Nothing outside `ops/` asks which op a node is.
 */
import type { WasmKernel } from "./backends/wasm/custom.ts";
import type { WebGpuKernel } from "./backends/webgpu/custom.ts";
import type { ComputeType, DType, HostArray } from "./dtype.ts";
import type { Expr } from "./ir/expr.ts";
import type { IndexAlgebra } from "./ir/index-algebra.ts";
import type { Tensor } from "./tensor.ts";

export type Attributes = Readonly<Record<string, unknown>>;

/** Gradient of a scalar loss with respect to each input, from the gradient `dy` of each output; null where it is zero. */
export type Vjp = (context: {
  /** Gradients of the outputs, zeros where the loss does not depend on one. */
  dy: readonly Tensor[];
  inputs: readonly Tensor[];
  outputs: readonly Tensor[];
  attributes: Attributes;
}) => readonly (Tensor | null)[];

/** Where the conformance suite samples an op's arguments, and how far an f32 result may be from the float64 one. */
export type TestDomain = {
  /** Interval for each argument (the last one repeats). Default [−4, 4]. */
  domain?: readonly (readonly [number, number])[];
  /** Relative and absolute tolerance in units of 2⁻²³ (f32). Default 4. */
  ulp?: number;
  /** Absolute tolerance that `ulp` does not cover (cancellation near a root). Default 1e−6. */
  absolute?: number;
  /** Argument tuples with exact results. */
  points?: readonly (readonly number[])[];
  /** Dtypes that the op takes. Default ["f32"]. */
  dtypes?: readonly DType[];
  /** NaN and infinite arguments give bit-equal classes of results on every device. Default true. */
  nanSafe?: boolean;
  /** Finite arguments for which the accuracy holds, where that is not all of them. */
  within?: (...args: number[]) => boolean;
  /** Second argument-dependent points where the derivative does not exist are avoided by this filter. */
  smoothAt?: (...args: number[]) => boolean;
};

/** One scalar in, one scalar out, for each element. Arguments have equal shapes (broadcasting is an explicit view). */
export type ElementwiseOp = {
  readonly kind: "elementwise";
  readonly name: string;
  readonly arity: 1 | 2 | 3;
  /** Result dtype; throws a `DTypeError` for arguments it does not take. */
  dtype(args: readonly DType[], attributes: Attributes): DType;
  /** The definition, on numbers; integer results are wrapped by the caller. `types` are compute types of the arguments. */
  eval(args: readonly number[], types: readonly ComputeType[], result: ComputeType): number;
  /** A WGSL expression; arguments are atoms (names or literals) of the given compute types. */
  wgsl(args: readonly string[], types: readonly ComputeType[], result: ComputeType): string;
  /** WGSL functions that the expression calls; emitted once per shader. */
  readonly wgslHelper?: string;
  /**
   * The same value from more basic ops, for backends that have no instruction for it (WebAssembly). Ops with an
   * instruction of their own there leave it out; `ir/wasm-native.ts` lists those instructions.
   */
  decompose?(build: Decomposer, args: readonly Expr[], result: DType): Expr;
  vjp?: Vjp;
  readonly test?: TestDomain;
  /** True when the value is the argument itself: costs nothing and is left out of kernels. */
  readonly identity?: boolean;
  /** Rough cost in multiply-adds, for the scheduler's choice between computing twice and storing. Default 1. */
  readonly cost?: number;
};

/** Makes expressions inside `decompose`. */
export type Decomposer = {
  constant(value: number, dtype: DType): Expr;
  apply(op: ElementwiseOp, args: readonly Expr[], dtype?: DType): Expr;
};

/** Folds axes with an associative, commutative op. */
export type ReduceOp = {
  readonly kind: "reduce";
  readonly name: string;
  readonly combine: ElementwiseOp;
  /** The value of an empty reduction. */
  identity(dtype: DType): number;
  vjp?: Vjp;
  readonly test?: TestDomain;
};

/** The same elements under another index: no data moves. */
export type ViewOp = {
  readonly kind: "view";
  readonly name: string;
  /** True when the row-major order of elements stays: the same buffer serves under the new shape. */
  readonly keepsOrder?: boolean;
  /** Attributes of the one view that equals this one of another of the same op (`inner`); null when both do nothing. */
  joined?(inner: Attributes, attributes: Attributes): Attributes | null;
  shape(input: readonly number[], attributes: Attributes): readonly number[];
  /** Where an output index reads the input, and the conditions outside of which it reads `otherwise` instead. */
  map<I>(
    algebra: IndexAlgebra<I>,
    index: readonly I[],
    input: readonly number[],
    output: readonly number[],
    attributes: Attributes,
  ): { index: readonly I[]; conditions?: readonly { index: I; low: number; high: number }[]; otherwise?: number };
  vjp: Vjp;
};

/** A leaf: `data` (storage), `fill` (one value), `iota` (0 … n − 1 along axis 0). */
export type SourceOp = { readonly kind: "data" | "fill" | "iota"; readonly name: string };

/** [batch… M K] × [batch… K N] → [batch… M N], accumulated in f32. */
export type ContractOp = { readonly kind: "contract"; readonly name: string; vjp: Vjp };

/** Rows of a table: [V D] and integer [N] → [N D]. Indices out of range give NaN (0 for integers). */
export type TakeOp = { readonly kind: "take"; readonly name: string; vjp: Vjp };

/** An opaque kernel, with hand-written code per device where it has some. */
export type KernelOp = {
  readonly kind: "kernel";
  readonly name: string;
  outputs(inputs: readonly TensorSpec[], attributes: Attributes): readonly TensorSpec[];
  /** The definition as a composite of other ops; also the fallback of a device without own code. */
  reference?(inputs: readonly Tensor[], attributes: Attributes): readonly Tensor[];
  /** The definition in float64 on contiguous arrays, for a kernel that the reference device should not run as a composite. */
  eval?(inputs: readonly HostOperand[], attributes: Attributes): readonly HostArray64[];
  webgpu?: WebGpuKernel;
  wasm?: WasmKernel;
  /** Whether the hand-written code takes these arguments; otherwise the reference runs. */
  when?(inputs: readonly TensorSpec[], attributes: Attributes, device: DeviceLimits): boolean;
  /** Whether the hand-written code reads this argument where it lies in a larger buffer; otherwise it gets a copy. */
  readsView?(input: number, view: StridedView, device: string): boolean;
  /** Default: the gradient of the reference. */
  vjp?: Vjp;
  readonly test?: TestDomain;
};

/** What a device can bind: see `Backend`. */
export type DeviceLimits = {
  readonly name: string;
  readonly maxKernelBuffers: number;
  readonly bindingsOf?: ((dtype: DType, size: number) => number) | undefined;
};

/** Element [i j …] of a tensor is element offset + i · strides[0] + j · strides[1] + … of a buffer of `size` elements. */
export type StridedView = { readonly offset: number; readonly strides: readonly number[]; readonly size: number };

/** Output number `index` of a kernel node. */
export type PickOp = { readonly kind: "pick"; readonly name: string };

export type TensorSpec = { readonly shape: readonly number[]; readonly dtype: DType };
/** Float64Array on the reference device, whatever the dtype. */
export type HostArray64 = Float64Array | HostArray;
export type HostOperand = TensorSpec & { readonly data: HostArray64 };

export type Op = ElementwiseOp | ReduceOp | ViewOp | SourceOp | ContractOp | TakeOp | KernelOp | PickOp;
