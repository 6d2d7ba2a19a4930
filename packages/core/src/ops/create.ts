/** Tensors from numbers on the host. */
import { checkDType, type DType, type HostArray, type HostData, hostArray } from "../dtype.ts";
import { VlmError } from "../errors.ts";
import { floatsToBits } from "../float-bits.ts";
import { Node } from "../graph/node.ts";
import { checkShape, listOf, type Shape, shapeError, shown, sizeOf } from "../shape.ts";
import { Tensor } from "../tensor.ts";
import { dataOp } from "./source.ts";

/** Numbers nested as deep as the tensor's rank. */
export type NestedArray = number | boolean | readonly NestedArray[];

/** Shape and dtype, where the values do not say them. */
export type TensorOptions = { shape?: Shape; dtype?: DType };

/**
 * A tensor from numbers: a scalar, nested arrays, or a typed array with a shape.
 * Default dtype: f32 for numbers, bool for booleans, the matching one for typed arrays. Typed arrays are copied.
 * Throws `ShapeError` for ragged nesting and for data that do not fill the shape.
 */
export function tensor(data: NestedArray | HostArray | Float64Array, options: TensorOptions = {}): Tensor {
  if (data instanceof Tensor) {
    throw new VlmError("ArgumentError", "TENSOR_OF_TENSOR", {
      what: "tensor: got a tensor",
      hint: "use it as it is, or stack",
    });
  }
  const flat = ArrayBuffer.isView(data) ? flatTyped(data) : flatNested(data);
  const dtype = checkDType("tensor", options.dtype ?? flat.dtype);
  const shape = checkShape("tensor", options.shape ?? flat.shape);
  if (sizeOf(shape) !== flat.values.length) {
    throw shapeError(
      "TENSOR_SIZE",
      `tensor: ${flat.values.length} numbers do not fill ${shown(shape)}`,
      `the shape holds ${sizeOf(shape)} elements`,
    );
  }
  const host = hostArray(dtype, flat.values.length);
  if (dtype === "bool") for (let i = 0; i < host.length; i++) host[i] = flat.values[i] ? 1 : 0;
  else host.set(flat.values);
  return fromHost(host, shape, dtype);
}

/**
 * A tensor over a host array that the caller gives away (no copy). A Uint16Array is the stored bits of f16 or bf16;
 * numbers for these dtypes are rounded. Throws `DTypeError TENSOR_ARRAY` for bits of another dtype.
 */
export function fromHost(data: HostData, shape: Shape, dtype: DType): Tensor {
  if (dtype === "f16" || dtype === "bf16") {
    if (data instanceof Float32Array) data = floatsToBits(data, dtype);
  } else if (data instanceof Uint16Array) {
    throw new VlmError("DTypeError", "TENSOR_ARRAY", {
      what: `fromHost: a Uint16Array holds the bits of f16 or bf16, not ${dtype}`,
      hint: "pass a Uint32Array for integers",
    });
  }
  const kind = data instanceof Uint16Array ? Uint16Array : hostArray(checkDType("fromHost", dtype), 0).constructor;
  if (data.constructor !== kind || data.length !== sizeOf(listOf("fromHost", shape))) {
    throw shapeError(
      "TENSOR_SIZE",
      `fromHost: ${data.length} elements of ${data.constructor.name} for ${dtype} ${shown(shape)}`,
      `a ${kind.name} of ${sizeOf(shape)} is needed; tensor(...) converts`,
    );
  }
  return new Tensor(new Node(dataOp, [], { host: data }, { shape, dtype }, null));
}

type Flat = { values: ArrayLike<number>; shape: number[]; dtype: DType };

function flatTyped(data: ArrayBufferView): Flat {
  let dtype: DType = "f32";
  if (data instanceof Int32Array || data instanceof Int16Array || data instanceof Int8Array) dtype = "i32";
  else if (data instanceof Uint32Array || data instanceof Uint16Array) dtype = "u32";
  else if (data instanceof Uint8Array || data instanceof Uint8ClampedArray) dtype = "u8";
  else if (!(data instanceof Float32Array || data instanceof Float64Array)) {
    throw new VlmError("DTypeError", "TENSOR_ARRAY", {
      what: `tensor: elements of ${data.constructor.name} fit no dtype`,
      hint: "pass a Float32Array, Int32Array, Uint32Array or Uint8Array",
    });
  }
  const values = data as unknown as ArrayLike<number>;
  return { values, shape: [values.length], dtype };
}

/** Axes of nested arrays. */
const DEEPEST = 64;

function flatNested(data: NestedArray): Flat {
  const shape: number[] = [];
  for (let level: NestedArray = data; Array.isArray(level); level = (level as readonly NestedArray[])[0] ?? 0) {
    shape.push(level.length);
    if (level.length === 0) break;
    if (shape.length > DEEPEST) {
      throw shapeError("TENSOR_DEPTH", `tensor: arrays are nested more than ${DEEPEST} deep`, "is one inside itself?");
    }
  }
  const values: number[] = [];
  let booleans = true;
  /** Indices of the part that is visited now. */
  const path: number[] = [];
  const place = (): string => path.map((i) => `[${i}]`).join("");
  const visit = (part: NestedArray, axis: number): void => {
    if (Array.isArray(part) !== axis < shape.length || (Array.isArray(part) && part.length !== shape[axis])) {
      const found = Array.isArray(part) ? `${part.length} elements` : "no array";
      const wanted = axis < shape.length ? `${shape[axis]} elements` : "one";
      throw shapeError(
        "TENSOR_RAGGED",
        `tensor: nested arrays differ in length: ${place()} is ${found}, the first there is ${wanted}`,
        "make every row equally long",
      );
    }
    if (Array.isArray(part)) {
      // (By index: the holes of an array are elements too.)
      for (let i = 0; i < part.length; i++) {
        path.push(i);
        visit(part[i], axis + 1);
        path.pop();
      }
    } else {
      if (typeof part !== "boolean") booleans = false;
      if (typeof part !== "number" && typeof part !== "boolean") {
        throw new VlmError("ArgumentError", "TENSOR_ELEMENT", {
          what: `tensor: ${place() || "the value"} is ${part === undefined ? "missing" : `a ${typeof part}`}`,
          hint: "elements are numbers or booleans",
        });
      }
      values.push(Number(part));
    }
  };
  visit(data, 0);
  return { values, shape, dtype: booleans && values.length > 0 ? "bool" : "f32" };
}
