/** ONNX's operator tests on every device, and the table of what passes and what core does not have. */
import { afterAll, describe, expect, test } from "vitest";
import { realize } from "../../src/index.ts";
import { DEVICES, sampled, type TestDevice, use } from "../ops/harness.ts";
import { NotApplicable, run } from "./adapter.ts";
import { cases, DTYPES, numbersOf, type OnnxCase } from "./fixture.ts";
import { conformanceTable } from "./table.ts";

/** Case → why not, or "passed". */
const verdicts = new Map<string, string>();

/** Halves that f32 rounds up and float64 down, or the other way: a whole number may be the neighbour. */
const ROUNDED = /^test_dynamicquantizelinear/;

/** f16 and bf16 results are compared at their own precision. */
const slack = (dtype: string): number => (dtype === "bfloat16" ? 2 ** -7 : dtype === "float16" ? 2 ** -9 : 0);

async function check(each: OnnxCase, device: TestDevice): Promise<string> {
  await use(device);
  let outputs: Awaited<ReturnType<typeof run>>;
  try {
    outputs = await run(each);
  } catch (error) {
    if (error instanceof NotApplicable) return error.message;
    throw error;
  }
  await realize(...outputs);
  for (const [i, [name, stored]] of each.outputs.entries()) {
    const y = outputs[i]!;
    const [type, shape] = stored;
    expect([...y.shape], `${name}: shape`).toEqual([...shape]);
    expect(y.dtype, `${name}: dtype`).toBe(DTYPES[type]);
    const [got, want] = [await y.data(), numbersOf(stored)];
    const rtol = Math.max(each.rtol, slack(type));
    const atol = Math.max(each.atol, slack(type), type === "uint8" && ROUNDED.test(each.name) ? 1 : 1e-6);
    for (let k = 0; k < want.length; k++) {
      const [a, b] = [got[k]!, want[k]!];
      if (a === b || (Number.isNaN(a) && Number.isNaN(b))) continue;
      if (!(Math.abs(a - b) <= atol + rtol * Math.abs(b))) expect.fail(`${name}[${k}] is ${a}, not ${b}`);
    }
  }
  return "passed";
}

describe.each(DEVICES)("ONNX operator tests on %s", (device) => {
  test.each(sampled(device, cases, device === "webgpu" ? 60 : 12).map((each) => [each.name, each] as const))(
    "%s",
    async (name, each) => {
      const verdict = await check(each, device);
      if (device === "js") verdicts.set(name, verdict);
      else expect(verdict).toBe(verdicts.get(name) ?? verdict);
    },
  );
});

describe.runIf(DEVICES.includes("js"))("the table", () => {
  test("says what passes and why the others do not apply", async () => {
    const missing = cases.filter((each) => !verdicts.has(each.name));
    expect(missing).toEqual([]);
    const passed = [...verdicts.values()].filter((verdict) => verdict === "passed").length;
    expect(passed).toBeGreaterThanOrEqual(850);
    await expect(conformanceTable(verdicts)).toMatchFileSnapshot("../../../../docs/core/onnx-conformance.md");
  });
});

afterAll(() => use("js"));
