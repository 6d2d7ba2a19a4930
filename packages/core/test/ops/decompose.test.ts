import { expect, test } from "vitest";
import type { DType } from "../../src/dtype.ts";
import { hasInstruction } from "../../src/ir/wasm-native.ts";
import type { ElementwiseOp } from "../../src/op.ts";
import { reluOp, sigmoidOp, softplusOp } from "../../src/ops/activation.ts";
import { erfinvOp, erfOp } from "../../src/ops/error-function.ts";
import { expm1Op, expOp, log1pOp, logOp } from "../../src/ops/exponential.ts";
import { tanhOp } from "../../src/ops/hyperbolic.ts";
import { powOp, rsqrtOp } from "../../src/ops/power.ts";
import { ELEMENTWISE } from "../../src/ops/records.ts";
import { remOp } from "../../src/ops/remainder.ts";
import { signOp } from "../../src/ops/sign.ts";
import { atanOp, cosOp, sinOp } from "../../src/ops/trigonometric.ts";
import { decomposedScalar, ulpsApart } from "./scalar.ts";

const { NaN: nan, POSITIVE_INFINITY: inf } = Number;
const SPECIAL = [
  0,
  -0,
  1,
  -1,
  0.5,
  inf,
  -inf,
  nan,
  1e-45,
  -1e-40,
  1.1754944e-38,
  3.4e38,
  -3.4e38,
  1e-20,
  88.7,
  -87.4,
  -103,
];

/** Evenly spaced f32 values. */
const spaced = (low: number, high: number, count = 6_000): number[] =>
  Array.from({ length: count }, (_, i) => Math.fround(low + ((high - low) * (i + 0.37)) / count));

/** Every so-many-th f32 bit pattern, of both signs. */
function patterns(count = 6_000): number[] {
  const view = new DataView(new ArrayBuffer(4));
  return Array.from({ length: count }, (_, i) => {
    view.setUint32(0, Math.floor((i * 2 ** 32) / count));
    return view.getFloat32(0);
  });
}

const cases: [ElementwiseOp, number[], number][] = [
  [expOp, [...spaced(-104, 89), ...patterns(), ...SPECIAL], 2],
  [expm1Op, [...spaced(-2, 2), ...patterns(), ...SPECIAL], 4],
  [logOp, [...spaced(0.5, 2), ...patterns(), ...SPECIAL], 2],
  [log1pOp, [...spaced(-1, 2), ...patterns(), ...SPECIAL], 5],
  [sinOp, [...spaced(-40, 40), ...SPECIAL.filter((x) => Math.abs(x) < 1e5)], 2.5],
  [cosOp, [...spaced(-40, 40), ...SPECIAL.filter((x) => Math.abs(x) < 1e5)], 2.5],
  [atanOp, [...spaced(-6, 6), ...patterns(), ...SPECIAL], 3],
  [tanhOp, [...spaced(-10, 10), ...patterns(), ...SPECIAL], 3],
  [erfOp, [...spaced(-5, 5), ...patterns(), ...SPECIAL], 3],
  [sigmoidOp, [...spaced(-87, 87), ...SPECIAL], 4],
  [softplusOp, [...spaced(-40, 40), ...SPECIAL], 4],
  [rsqrtOp, [...patterns(), ...SPECIAL], 2],
  [reluOp, [...patterns(), ...SPECIAL], 0],
  [signOp, [...patterns(), ...SPECIAL], 0],
  [erfinvOp, [...spaced(-0.999, 0.999), 0, 1, -1, nan, 2], 12],
];

test.each(cases.map((c) => [c[0].name, ...c] as const))(
  "%s in f32 stays near its definition",
  (_, op, points, limit) => {
    const f = decomposedScalar(op, ["f32"], "f32");
    let worst = { x: 0, ulps: 0 };
    for (const x of points) {
      const single = Math.fround(x);
      const ulps = ulpsApart(f(single), op.eval([single], ["f32"], "f32"));
      if (!(ulps <= worst.ulps)) worst = { x: single, ulps };
    }
    expect(
      worst.ulps,
      `worst at ${worst.x}: ${f(worst.x)}, not ${op.eval([worst.x], ["f32"], "f32")}`,
    ).toBeLessThanOrEqual(limit);
  },
);

test("pow in f32 stays near its definition, special cases exact", () => {
  const f = decomposedScalar(powOp, ["f32", "f32"], "f32");
  let worst = { a: 0, b: 0, ulps: 0 };
  for (const a of spaced(0.01, 20, 300)) {
    for (const b of spaced(-4, 4, 60)) {
      const ulps = ulpsApart(f(a, b), a ** b);
      if (!(ulps <= worst.ulps)) worst = { a, b, ulps };
    }
  }
  expect(worst.ulps, `at ${worst.a}, ${worst.b}`).toBeLessThan(32);
  for (const a of [0, 1, -1, 2, -2, 0.5, -0.5, inf, -inf, nan]) {
    for (const b of [0, 1, -1, 2, -2, 3, -3, 0.5, -0.5, inf, -inf, nan]) {
      const want = powOp.eval([a, b], ["f32", "f32"], "f32");
      expect(ulpsApart(f(a, b), want), `${a} ** ${b}: ${f(a, b)}, not ${want}`).toBeLessThan(8);
    }
  }
});

test("rem in f32 is exact for quotients that f32 can tell apart", () => {
  const f = decomposedScalar(remOp, ["f32", "f32"], "f32");
  for (const a of [...spaced(-30, 30, 200), 0, 6, -6, 7, 1e6]) {
    for (const b of [...spaced(-7, 7, 50), 1, 2, 3, Math.fround(0.1)]) {
      expect(Math.abs(f(a, b) - (a % b)), `${a} % ${b}`).toBeLessThanOrEqual(2 ** -22 * Math.abs(a));
    }
  }
});

test("every record has an instruction or a decomposition for the types it is tested with", () => {
  const compute = (dtype: DType) => (dtype === "u8" ? "u32" : dtype === "f16" || dtype === "bf16" ? "f32" : dtype);
  for (const op of ELEMENTWISE) {
    for (const dtype of op.test?.dtypes ?? ["f32"]) {
      const first = op.name === "where" ? "bool" : compute(dtype);
      expect(hasInstruction(op.name, first) || op.decompose !== undefined, `${op.name} of ${dtype}`).toBe(true);
    }
  }
});
