import { currentPath } from "../context.ts";
import type { DType } from "../dtype.ts";
import { checkDType, isFloat } from "../dtype.ts";
import { Node } from "../graph/node.ts";
import type { ElementwiseOp } from "../op.ts";
import { Tensor } from "../tensor.ts";
import { minimumOp } from "./arithmetic.ts";
import { andOp } from "./bits.ts";
import { applyElementwise } from "./define.ts";
import { fill } from "./source.ts";

/** To another dtype: floats to integers truncate and saturate, NaN becomes 0; any number but 0 is true. */
export const castOp: ElementwiseOp = {
  kind: "elementwise",
  name: "cast",
  arity: 1,
  dtype: (_args, { dtype }) => dtype as DType,
  eval([x], [from], result) {
    if (result === "bool") return x !== 0 ? 1 : 0;
    if (from !== "f32" || result === "f32") return x!;
    if (Number.isNaN(x)) return 0;
    const [low, high] = result === "i32" ? [-(2 ** 31), 2 ** 31 - 1] : [0, 2 ** 32 - 1];
    return Math.min(Math.max(Math.trunc(x!), low), high);
  },
  wgsl([x], [from], result) {
    if (from === result) return x!;
    if (from === "f32" && (result === "i32" || result === "u32")) return `op_to_${result}(${x})`;
    return `${result}(${x})`;
  },
  // NaN is told by its bits, since WGSL may assume that there is none. The greatest f32 below 2³¹ is 2147483520, and
  // below 2³² 4294967040: what lies above saturates by hand.
  wgslHelper: `fn op_to_i32(x: f32) -> i32 {
  if ((bitcast<u32>(x) & 0x7fffffffu) > 0x7f800000u) { return 0; }
  return select(i32(clamp(x, -2147483648.0, 2147483520.0)), 2147483647, x >= 2147483648.0);
}
fn op_to_u32(x: f32) -> u32 {
  if ((bitcast<u32>(x) & 0x7fffffffu) > 0x7f800000u) { return 0u; }
  return select(u32(clamp(x, 0.0, 4294967040.0)), 4294967295u, x >= 4294967296.0);
}`,
  vjp: ({ dy: [dy], inputs: [x] }) => [isFloat(x!.dtype) ? dy!.cast(x!.dtype) : null],
  test: { domain: [[0, 200]], ulp: 0, dtypes: ["f32", "i32", "u32", "bool"] },
};

/** x with elements of another dtype; x itself when it has that dtype. Floats saturate (u8 too), integers wrap. */
export function cast(x: Tensor, dtype: DType): Tensor {
  if (x.dtype === dtype) return x;
  checkDType("cast", dtype);
  if (dtype !== "u8" || x.dtype === "bool") return convert(x, dtype);
  // A register holds more than a byte: what does not fit is removed before.
  const wide = convert(x, "u32");
  const limit = fill(255, x.shape, "u32");
  return convert(applyElementwise(isFloat(x.dtype) ? minimumOp : andOp, [wide, limit]), "u8");
}

function convert(x: Tensor, dtype: DType): Tensor {
  if (x.dtype === dtype) return x;
  return new Tensor(new Node(castOp, [x.node], { dtype }, { shape: x.shape, dtype }, currentPath()));
}
