/** The conformance suite in a page: a sample of the op records and of the composites, webgpu against the reference. */
import { isFloat } from "../../src/dtype.ts";
import { grad, type Tensor, useDevice } from "../../src/index.ts";
import { ELEMENTWISE, REDUCTIONS } from "../../src/ops/records.ts";
import { reduce } from "../../src/ops/reduce.ts";
import { CASES } from "../ops/cases.ts";
import { inputsOf, outputsOf } from "../ops/composite-inputs.ts";
import { applied, argumentsOf, casesOf, tolerance } from "../ops/record-cases.ts";
import { firstOff, LAYOUTS, laidOut, numbers, onDevice, seedOf, sequence } from "../ops/samples.ts";

type Check = {
  name: string;
  build: () => readonly Tensor[];
  tolerance: { ulp: number; absolute: number };
  /** Largest result counts for the absolute tolerance: sums cancel. */
  scaled: boolean;
};

/** Every elementwise record, its dtypes, shapes and layouts in turn. */
function elementwise(): Check[] {
  return ELEMENTWISE.flatMap((op, turn) => {
    const cases = casesOf(op).filter((_, i) => (i + turn) % 11 === 0);
    return cases.map((each): Check => {
      const build = () => [applied(op, argumentsOf(op, each), each.target)];
      return { name: each.name, build, tolerance: tolerance(op), scaled: false };
    });
  });
}

function reductions(): Check[] {
  const shapes = [
    { shape: [5, 13], axes: [1] },
    { shape: [3, 4, 33], axes: [0, 2] },
    { shape: [1, 257], axes: [1] },
  ];
  return REDUCTIONS.flatMap((op) =>
    shapes.map(({ shape, axes }, i): Check => {
      const [low, high] = op.test?.domain?.[0] ?? [-4, 4];
      const layout = LAYOUTS[(i * 2) % LAYOUTS.length]!;
      const name = `${op.name} [${shape}] over ${axes} ${layout}`;
      const draw = (n: number): number[] => numbers(sequence(seedOf(name)), "f32", n, low, high);
      const build = () => [reduce(op, laidOut(layout, shape, "f32", draw), axes)];
      return { name, build, tolerance: { ulp: 64, absolute: 2e-5 }, scaled: true };
    }),
  );
}

/** Composites and kernels: results of one in `every`, and gradients where they have some. */
function composites(every: number): Check[] {
  return CASES.filter((_, i) => i % every === 0).map((each): Check => {
    const build = (): readonly Tensor[] => {
      const inputs = inputsOf(each);
      const outputs = outputsOf(each, inputs);
      const floats = inputs.filter(({ dtype }) => isFloat(dtype));
      const smooth = outputs.filter(({ dtype }) => isFloat(dtype));
      if (each.orders === 0 || floats.length === 0 || smooth.length === 0) return outputs;
      const loss = smooth.map((y) => y.square().mean()).reduce((a, b) => a.add(b));
      return [...outputs, ...grad(loss, floats)];
    };
    const { ulp = 8, absolute = 1e-6 } = each;
    return { name: each.name, build, tolerance: { ulp: Math.max(64, ulp), absolute: absolute * 4 }, scaled: true };
  });
}

/** What differs, and how many results were compared. */
export async function conformance(part: "elementwise" | "reductions" | "composites"): Promise<{
  compared: number;
  wrong: string[];
}> {
  const checks = part === "elementwise" ? elementwise() : part === "reductions" ? reductions() : composites(4);
  const wrong: string[] = [];
  let compared = 0;
  await useDevice("js");
  const specs = checks.map(({ build }) => build().map(({ dtype }) => dtype));
  const want = await onDevice("js", () => checks.flatMap(({ build }) => build()));
  const got = await onDevice("webgpu", () => checks.flatMap(({ build }) => build()));
  let at = 0;
  checks.forEach(({ name, tolerance: { ulp, absolute }, scaled }, i) => {
    specs[i]!.forEach((dtype, output) => {
      const values = want[at]!;
      const narrow = dtype === "f16" || dtype === "bf16";
      const largest = scaled ? Math.max(1, ...Array.from(values, (x) => (Number.isFinite(x) ? Math.abs(x) : 0))) : 1;
      const off = firstOff(got[at]!, values, dtype, {
        ulp: narrow ? 2 : ulp,
        absolute: narrow ? 1e-5 * largest : absolute * largest,
      });
      if (off) wrong.push(`${name}, output ${output}: ${off}`);
      compared++;
      at++;
    });
  });
  return { compared, wrong };
}
