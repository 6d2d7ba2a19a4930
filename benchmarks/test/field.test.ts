/** The measuring itself: who fails is shown with the error, others go on; memory is the process's own. */
import { spawn } from "node:child_process";
import { once } from "node:events";
import { afterAll, describe, expect, it } from "vitest";
import type { Entry } from "../src/run/entry.ts";
import { Field } from "../src/run/field.ts";
import { residentOf } from "../src/run/resident.ts";
import { difference } from "../src/run/statistics.ts";
import type { Work } from "../src/work/work.ts";

const work: Work = { kind: "matmul", mode: "forward", m: 16, k: 16, n: 16 };
const pace = { rounds: 2, window: 5 };
const vlm: Entry = { name: "vlm", contender: "vlm", packages: [], own: true };
const onnx: Entry = { name: "onnxruntime-node", contender: "onnxruntime-node", packages: ["onnxruntime-node"] };

describe("a field", () => {
  const fields: Field[] = [];
  const fieldOf = (entries: Entry[], limitMs: number): Field => {
    const field = new Field(entries, 1, limitMs);
    fields.push(field);
    return field;
  };
  afterAll(async () => {
    for (const field of fields) await field.close();
  });

  it("measures whose results agree, and shows who fails with the error", async () => {
    const broken: Entry = { name: "nobody", contender: "nobody", packages: [] };
    const field = fieldOf([vlm, broken, onnx], 60_000);
    const { rows } = await field.compare("16³", work, pace);
    expect(rows.map(({ state }) => state)).toEqual(["measured", "failed", "measured"]);
    expect(rows[1]!.error).toContain('no contender is called "nobody"');
    expect(rows[2]!.difference).toBeLessThan(1e-5);
    expect(rows[2]!.time!.best).toBeGreaterThan(0);
    expect(field.versions["onnxruntime-node"]?.["onnxruntime-node"]).toMatch(/^\d+\.\d+/);
    const gradient = await field.compare("16³, gradient", { ...work, mode: "gradient" }, pace);
    expect(gradient.rows.map(({ state }) => state)).toEqual(["measured", "failed", "not offered"]);
  });

  it("ends who takes too long", async () => {
    const { rows } = await fieldOf([vlm], 1).compare("16³", work, pace);
    expect(rows[0]).toMatchObject({ state: "failed", error: "no answer within 0.002 s" });
  });
});

it("a child's peak is not its parent's", async () => {
  const kept = new Uint8Array(400e6).fill(1);
  const child = spawn(process.execPath, ["-e", 'console.log("up"); setInterval(() => {}, 1000)']);
  await once(child.stdout, "data");
  const [own, childs] = [residentOf(process.pid), residentOf(child.pid!)];
  child.kill();
  // Only Linux tells.
  if (process.platform !== "linux") expect(own).toBeNull();
  else {
    expect(own!.peak).toBeGreaterThan(kept.length);
    expect(childs!.peak).toBeLessThan(kept.length / 2);
  }
});

it("differences are relative to the greatest value, and infinite where something is no number", () => {
  const of = (...values: number[]): Float32Array[] => [Float32Array.from(values)];
  expect(difference(of(1, 2.5), of(1, 2))).toBeCloseTo(0.25);
  expect(difference(of(1, Number.NaN), of(1, 2))).toBe(Number.POSITIVE_INFINITY);
  expect(difference(of(1), of(1, 2))).toBe(Number.POSITIVE_INFINITY);
});
