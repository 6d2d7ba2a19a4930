/** Constructors of op records, and the one way to put an elementwise op into the graph. */
import { currentPath } from "../context.ts";
import { type ComputeType, type DType, expectDType, isFloat, promote } from "../dtype.ts";
import { printable, VlmError } from "../errors.ts";
import { Node } from "../graph/node.ts";
import type { Expr } from "../ir/expr.ts";
import type { Decomposer, ElementwiseOp, TestDomain, Vjp } from "../op.ts";
import { broadcastShapes, expectTensor, sameShape } from "../shape.ts";
import { Tensor } from "../tensor.ts";
import { fill } from "./source.ts";
import { expand } from "./view.ts";

/**
 * A tensor, or a number that stands for a scalar tensor of the other operand's dtype. Beside integers that cannot hold it,
 * a whole number counts as i32 and any other as f32.
 */
export type TensorLike = Tensor | number;

type ElementwiseSpec = {
  name: string;
  /** Which dtypes the arguments may have. */
  takes: "float" | "number" | "integer" | "any";
  /** Result dtype; default that of the (equal) arguments. */
  gives?: DType;
  eval: ElementwiseOp["eval"];
  wgsl: ElementwiseOp["wgsl"];
  wgslHelper?: string;
  decompose?: (build: Decomposer, args: readonly Expr[], result: DType) => Expr;
  vjp?: Vjp;
  test?: TestDomain;
  cost?: number;
};

function defineElementwise(arity: 1 | 2 | 3, spec: ElementwiseSpec): ElementwiseOp {
  const { takes, gives, ...rules } = spec;
  return {
    kind: "elementwise",
    arity,
    dtype(args) {
      for (const arg of args) expectDType(spec.name, arg, takes);
      return gives ?? args[args.length - 1]!;
    },
    ...rules,
  };
}

export const defineUnary = (spec: ElementwiseSpec): ElementwiseOp => defineElementwise(1, spec);
export const defineBinary = (spec: ElementwiseSpec): ElementwiseOp => defineElementwise(2, spec);
export const defineTernary = (spec: ElementwiseSpec): ElementwiseOp => defineElementwise(3, spec);

/** Common code of floats' WGSL and reference: `f` on numbers, WGSL builtin of the same name. */
export const builtin =
  (name: string) =>
  (args: readonly string[], _types: readonly ComputeType[]): string =>
    `${name}(${args.join(", ")})`;

/** Makes the node for arguments whose shapes and dtypes already agree. */
export function applyElementwise(op: ElementwiseOp, args: readonly Tensor[], attributes = {}): Tensor {
  const dtype = op.dtype(
    args.map((arg) => arg.dtype),
    attributes,
  );
  const shape = args[0]!.shape;
  return new Tensor(
    new Node(
      op,
      args.map((arg) => arg.node),
      attributes,
      { shape, dtype },
      currentPath(),
    ),
  );
}

export function unary(op: ElementwiseOp, x: Tensor): Tensor {
  return narrowed(op, [expectTensor(op.name, x)]);
}

/** Promotes both operands to one dtype, broadcasts them to one shape, applies the op. */
export function binary(op: ElementwiseOp, a: TensorLike, b: TensorLike): Tensor {
  return narrowed(op, unify(op.name, [a, b]));
}

/** u8 is computed as u32 and wrapped again: a register holds more than a byte. */
function narrowed(op: ElementwiseOp, args: readonly Tensor[]): Tensor {
  if (args[0]!.dtype !== "u8") return applyElementwise(op, args);
  const result = applyElementwise(
    op,
    args.map((x) => x.cast("u32")),
  );
  return result.dtype === "u32" ? result.cast("u8") : result;
}

/** An integer dtype, or what it becomes beside a number that it cannot hold. From 2³¹ on, numbers are bits to i32. */
function holding(dtype: DType, x: number): DType {
  if (!Number.isInteger(x) || x < -(2 ** 31) || x >= 2 ** 32) return "f32";
  const limit = { bool: 2, u8: 256 }[dtype as string] ?? 2 ** 32;
  return x >= limit || (x < 0 && dtype !== "i32") ? promote(dtype, x < 2 ** 31 ? "i32" : "u32") : dtype;
}

/** Operands as tensors of one dtype and one shape. */
export function unify(name: string, operands: readonly TensorLike[]): Tensor[] {
  const tensors = operands.filter((x): x is Tensor => x instanceof Tensor);
  const other = operands.findIndex((x) => !(x instanceof Tensor) && typeof x !== "number");
  if (other >= 0) {
    throw new VlmError("ArgumentError", "OPERAND", {
      what: `${name}: operand ${other + 1} is ${printable(String(operands[other]))}`,
      hint: "operands are tensors or numbers; a parameter or an array is made one with its value or tensor(...)",
    });
  }
  let dtype = tensors.length > 0 ? tensors.map((x) => x.dtype).reduce(promote) : "f32";
  for (const x of operands) if (typeof x === "number" && !isFloat(dtype)) dtype = holding(dtype, x);
  const shape = tensors.map((x) => x.shape).reduce((a, b) => (sameShape(a, b) ? a : broadcastShapes(name, a, b)), []);
  return operands.map((x) => (x instanceof Tensor ? expand(x.cast(dtype), shape) : fill(x, shape, dtype)));
}
