/** The random schedules of the wasm tests, with the library's own WGSL for their ops. */
import type { DType } from "../../src/dtype.ts";
import type { ElementwiseOp } from "../../src/op.ts";
import { addOp, divOp, maximumOp, minimumOp, mulOp, negOp, subOp } from "../../src/ops/arithmetic.ts";
import { castOp } from "../../src/ops/cast.ts";
import { eqOp, ltOp, whereOp } from "../../src/ops/compare.ts";
import { floorOp } from "../../src/ops/rounding.ts";
import { type Case, randomContract as contract, randomLoop as loop, ops } from "../wasm/random-schedules.ts";

const records: Partial<Record<keyof typeof ops, ElementwiseOp["wgsl"]>> = {
  add: addOp.wgsl,
  sub: subOp.wgsl,
  mul: mulOp.wgsl,
  div: divOp.wgsl,
  neg: negOp.wgsl,
  abs: ([x]) => `abs(${x})`,
  sqrt: ([x]) => `sqrt(${x})`,
  floor: floorOp.wgsl,
  maximum: maximumOp.wgsl,
  minimum: minimumOp.wgsl,
  lt: ltOp.wgsl,
  eq: eqOp.wgsl,
  where: whereOp.wgsl,
  twice: ([x]) => `(2.0 * ${x})`,
};

let installed = false;

/** On first use rather than on import: a bundler drops modules that only act by being imported. */
function install(): void {
  if (installed) return;
  installed = true;
  for (const [name, wgsl] of Object.entries(records)) Object.assign(ops[name as keyof typeof ops], { wgsl });
  const { cast } = ops;
  Object.assign(ops, {
    cast: (to: DType): ElementwiseOp => ({ ...cast(to), wgsl: castOp.wgsl, wgslHelper: castOp.wgslHelper! }),
  });
}

export function randomLoop(seed: number): Case {
  install();
  return loop(seed);
}

export function randomContract(seed: number): Case {
  install();
  return contract(seed);
}
