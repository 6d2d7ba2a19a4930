/** Cases for the conformance suite from the elementwise op records: dtypes, shapes and layouts. */
import type { DType } from "../../src/dtype.ts";
import type { Tensor } from "../../src/index.ts";
import type { ElementwiseOp } from "../../src/op.ts";
import { bitcast } from "../../src/ops/bits.ts";
import { applyElementwise } from "../../src/ops/define.ts";
import { FULL, LAYOUTS, type Layout, laidOut, numbers, seedOf, sequence } from "./samples.ts";

const SHAPES = [[], [1], [0], [7], [5, 13], [3, 4, 33], [2, 0, 3]] as const;

export type RecordCase = {
  name: string;
  dtype: DType;
  target: DType | null;
  shape: readonly number[];
  layouts: Layout[];
};

/** Result dtypes to try for ops that are told theirs. */
export function targets(op: ElementwiseOp, dtype: DType): (DType | null)[] {
  if (op.name === "cast")
    return ["f32", "f16", "bf16", "i32", "u32", "u8", "bool"].filter((t) => t !== dtype) as DType[];
  if (op.name === "bitcast") return (["f32", "i32", "u32"] as const).filter((t) => t !== dtype);
  return [null];
}

export function casesOf(op: ElementwiseOp): RecordCase[] {
  const found: RecordCase[] = [];
  let turn = seedOf(op.name);
  for (const dtype of op.test?.dtypes ?? (["f32"] as const)) {
    for (const target of targets(op, dtype)) {
      const shapes = FULL || target === null ? SHAPES : [SHAPES[4]];
      for (const shape of shapes) {
        for (const layout of LAYOUTS) {
          turn++;
          // In turn: each shape with one layout, another one for every dtype; f32 sees all.
          if (!FULL && (dtype !== "f32" || target !== null) && turn % LAYOUTS.length !== 0) continue;
          const others = [layout, LAYOUTS[turn % 5]!, LAYOUTS[(turn * 3) % 5]!];
          const layouts = shape.length === 0 ? others.map(() => "contiguous" as const) : others;
          found.push({
            name: `${op.name} ${dtype}${target ? `→${target}` : ""} [${shape}] ${layouts.join(",")}`,
            dtype,
            target,
            shape,
            layouts,
          });
        }
      }
    }
  }
  return found;
}

function argumentOf(op: ElementwiseOp, at: number, each: RecordCase): Tensor {
  const dtype = op.name === "where" && at === 0 ? "bool" : each.dtype;
  const [low, high] = op.test?.domain?.[at] ?? op.test?.domain?.at(-1) ?? [-4, 4];
  const next = sequence(seedOf(`${each.name} ${at}`));
  return laidOut(each.layouts[at]!, each.shape, dtype, (n) => numbers(next, dtype, n, low, high));
}

/** The op as the library applies it: u8 by way of u32. */
export function applied(op: ElementwiseOp, args: readonly Tensor[], target: DType | null): Tensor {
  if (op.name === "cast") return args[0]!.cast(target!);
  if (op.name === "bitcast") return bitcast(args[0]!, target!);
  if (args.at(-1)!.dtype !== "u8" || op.name === "where") return applyElementwise(op, args);
  const result = applyElementwise(
    op,
    args.map((x) => x.cast("u32")),
  );
  return result.dtype === "u32" ? result.cast("u8") : result;
}

export const argumentsOf = (op: ElementwiseOp, each: RecordCase): Tensor[] =>
  Array.from({ length: op.arity }, (_, at) => argumentOf(op, at, each));

export const tolerance = (op: { test?: { ulp?: number; absolute?: number } }): { ulp: number; absolute: number } => ({
  ulp: op.test?.ulp ?? 4,
  absolute: op.test?.absolute ?? 1e-6,
});
