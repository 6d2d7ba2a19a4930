import * as vlm from "../../../src/index.ts";
import { type DType, type Tensor, type TensorLike, tensor, where } from "../../../src/index.ts";
import { type Call, NotApplicable, type Operators } from "../adapter.ts";

type Unary = (x: Tensor) => Tensor;
const unary =
  (f: Unary) =>
  (call: Call): Tensor =>
    f(call.x());
const binary =
  (f: (a: Tensor, b: Tensor) => Tensor) =>
  (call: Call): Tensor =>
    f(call.x(0), call.x(1));
/** A chain over any number of inputs. */
const variadic =
  (f: (a: Tensor, b: Tensor) => Tensor) =>
  (call: Call): Tensor =>
    call.inputs.map((_, i) => call.x(i)).reduce(f);

/** ONNX's numbers of element types. */
const ELEMENT_TYPES: Readonly<Record<number, DType>> = {
  1: "f32",
  2: "u8",
  6: "i32",
  7: "i32",
  9: "bool",
  10: "f16",
  12: "u32",
  13: "u32",
  16: "bf16",
};

export function elementType(code: number): DType {
  const found = ELEMENT_TYPES[code];
  if (!found) throw new NotApplicable(`element type number ${code}`);
  return found;
}

/** ONNX converts floats to unsigned types by way of wrapping where NumPy does; in range they agree. */
const cast = (x: Tensor, dtype: DType): Tensor => x.cast(dtype);

const inFloat =
  (f: Unary): Unary =>
  (x) =>
    f(x.cast("f32")).cast(x.dtype);

const SELU = { alpha: 1.6732632423543772, gamma: 1.0507009873554805 };

const isFloat = (x: Tensor): boolean => ["f32", "f16", "bf16"].includes(x.dtype);

export const elementwise: Operators = {
  Abs: unary(vlm.abs),
  Acos: unary(vlm.acos),
  Acosh: unary(vlm.acosh),
  Asin: unary(vlm.asin),
  Asinh: unary(vlm.asinh),
  Atan: unary(vlm.atan),
  Atanh: unary(vlm.atanh),
  Ceil: unary(vlm.ceil),
  Cos: unary(vlm.cos),
  Cosh: unary(vlm.cosh),
  Erf: unary(vlm.erf),
  Exp: unary(vlm.exp),
  Floor: unary(vlm.floor),
  Identity: unary((x) => x),
  IsNaN: unary(vlm.isNaN),
  Log: unary(vlm.log),
  Neg: unary(vlm.neg),
  Not: unary(vlm.logicalNot),
  Reciprocal: unary(vlm.reciprocal),
  Relu: unary(vlm.relu),
  Round: unary(vlm.round),
  Sigmoid: unary(vlm.sigmoid),
  Sign: unary(vlm.sign),
  Sin: unary(vlm.sin),
  Sinh: unary(vlm.sinh),
  Softplus: unary(vlm.softplus),
  Softsign: unary((x) => x.div(x.abs().add(1))),
  Sqrt: unary(vlm.sqrt),
  Tan: unary(vlm.tan),
  Tanh: unary(vlm.tanh),
  Mish: unary((x) => x.mul(x.softplus().tanh())),
  HardSwish: unary((x) => x.mul(x.div(6).add(0.5).clamp(0, 1))),
  BitwiseNot: unary(vlm.bitNot),
  Elu: (call) => vlm.elu(call.x(), call.number("alpha", 1)),
  Celu(call) {
    const alpha = call.number("alpha", 1);
    const x = call.x();
    return vlm.elu(x.div(alpha), 1).mul(alpha);
  },
  Selu(call) {
    return vlm.elu(call.x(), call.number("alpha", SELU.alpha)).mul(call.number("gamma", SELU.gamma));
  },
  Gelu: (call) => vlm.gelu(call.x(), call.text("approximate", "none") === "tanh" ? "tanh" : "erf"),
  HardSigmoid: (call) => call.x().mul(call.number("alpha", 0.2)).add(call.number("beta", 0.5)).clamp(0, 1),
  LeakyRelu: (call) => vlm.leakyRelu(call.x(), call.number("alpha", 0.01)),
  ThresholdedRelu: (call) => call.x().gt(call.number("alpha", 1)).where(call.x(), 0),
  Swish: (call) => call.x().mul(call.x().mul(call.number("alpha", 1)).sigmoid()),
  Shrink(call) {
    const [x, bias, limit] = [call.x(), call.number("bias", 0), call.number("lambd", 0.5)];
    return x.lt(-limit).where(x.add(bias), x.gt(limit).where(x.sub(bias), 0));
  },
  IsInf(call) {
    const x = call.x();
    const infinite = vlm.isInfinite(x);
    const up = call.number("detect_positive", 1) ? x.gt(0) : x.lt(0);
    const down = call.number("detect_negative", 1) ? x.lt(0) : x.gt(0);
    return vlm.logicalAnd(infinite, vlm.logicalOr(up, down).cast("bool")).cast("bool");
  },
  Add: binary(vlm.add),
  Sub: binary(vlm.sub),
  Mul: binary(vlm.mul),
  Div: binary(vlm.div),
  Pow: binary((a, b) => (isFloat(a) ? a.pow(b.cast(a.dtype)) : a.cast("f32").pow(b.cast("f32")).round().cast(a.dtype))),
  Mod: (call) => (call.number("fmod", 0) ? vlm.remainder(call.x(0), call.x(1)) : vlm.mod(call.x(0), call.x(1))),
  Max: variadic(vlm.maximum),
  Min: variadic(vlm.minimum),
  Sum: variadic(vlm.add),
  Mean: (call) => variadic(vlm.add)(call).mul(1 / call.inputs.length),
  And: binary(vlm.logicalAnd),
  Or: binary(vlm.logicalOr),
  Xor: binary(vlm.logicalXor),
  Equal: binary(vlm.eq),
  Less: binary(vlm.lt),
  LessOrEqual: binary(vlm.le),
  Greater: binary(vlm.gt),
  GreaterOrEqual: binary(vlm.ge),
  BitwiseAnd: binary(vlm.bitAnd),
  BitwiseOr: binary(vlm.bitOr),
  BitwiseXor: binary(vlm.bitXor),
  async BitShift(call) {
    if ((await call.host(1))!.some((by) => by < 0 || by > 31))
      throw new NotApplicable("shifts by 32 bits and more, or below 0");
    return (call.text("direction", "LEFT") === "LEFT" ? vlm.shiftLeft : vlm.shiftRight)(call.x(0), call.x(1));
  },
  PRelu: binary((x, slope) => x.lt(0).where(x.mul(slope), x)),
  Where: (call) => where(call.x(0), call.x(1), call.x(2)),
  SwiGLU: (call) => swiglu(call),
  Clip: (call) => clip(call),
  Cast: (call) => cast(call.x(), elementType(call.number("to", 0))),
  CastLike: (call) => cast(call.x(0), call.x(1).dtype),
  BitCast(call) {
    const dtype = elementType(call.number("to", 0));
    if (call.x().dtype === dtype) return call.x();
    if ([call.x().dtype, dtype].some((type) => !["f32", "i32", "u32"].includes(type))) {
      throw new NotApplicable("bit patterns of other than 32 bits");
    }
    return vlm.bitcast(call.x(), dtype);
  },
  Dropout(call) {
    return dropout(call);
  },
  Hardmax(call) {
    const axis = call.number("axis", call.opset >= 13 ? -1 : 1);
    return inFloat((x) => {
      const hot = vlm.oneHot(x.argmax(axis), x.shape.at(axis)!);
      const order = hot.shape.map((_, i) => i).slice(0, -1);
      order.splice(axis < 0 ? axis + hot.rank : axis, 0, hot.rank - 1);
      return hot.permute(order);
    })(call.x());
  },
};

/** x·σ(x) of one half times the other. */
function swiglu(call: Call): Tensor {
  const axis = call.number("axis", -1);
  const [a, b] = call.optional(1) ? [call.x(0), call.x(1)] : vlm.chunk(call.x(), 2, axis);
  return a!.mul(a!.mul(call.number("alpha", 1)).sigmoid()).mul(b!);
}

function clip(call: Call): Tensor {
  const bound = (i: number, name: string): TensorLike | null =>
    call.optional(i) ?? (call.has(name) ? call.number(name, 0) : null);
  const [low, high] = [bound(1, "min"), bound(2, "max")];
  const x = call.x();
  const raised = low === null ? x : vlm.maximum(x, low);
  return high === null ? raised : vlm.minimum(raised, high);
}

async function dropout(call: Call): Promise<Tensor[]> {
  const training = (await call.host(2))?.[0] === 1;
  const ratio = (await call.host(1))?.[0] ?? call.number("ratio", 0.5);
  if (training && ratio !== 0) throw new NotApplicable("random numbers of another generator");
  return [call.x(), vlm.fill(1, call.x().shape, "bool")];
}

/** A scalar of the same dtype. */
export const scalarLike = (value: number, x: Tensor): Tensor => tensor(value, { dtype: x.dtype });
