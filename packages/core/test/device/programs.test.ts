import { compile, type DType, openDevice, type Tensor, useDevice } from "@vlm/core";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { programs } from "./programs.ts";

const devices = (process.env.VLM_TEST_DEVICES ?? "wasm,webgpu").split(",") as ("wasm" | "webgpu")[];

const read = (xs: readonly Tensor[]) => Promise.all(xs.map((x) => x.data()));
const exact = new Map<string, ArrayLike<number>[]>();
/** Narrow floats are rounded where they are stored, which is not in the same places on every device. */
const TOLERANCE: Partial<Record<DType, number>> = { f16: 2e-3, bf16: 1.6e-2 };

beforeAll(async () => {
  await useDevice("js");
  for (const [name, program] of Object.entries(programs)) exact.set(name, await read(program()));
});

describe.each(devices)("%s agrees with the float64 reference", (name) => {
  beforeAll(async () => {
    await useDevice(name);
  });

  afterAll(async () => {
    await useDevice("js");
  });

  it.each(Object.keys(programs))("%s", async (key) => {
    await openDevice(name);
    const make = compile(() => programs[key]!());
    const tensors = await make();
    const got = await read(tensors);
    const again = await read(await make());
    for (const [i, want] of exact.get(key)!.entries()) {
      expect(again[i]).toEqual(got[i]);
      expect(got[i]!.length).toBe(want.length);
      const tolerance = TOLERANCE[tensors[i]!.dtype] ?? (key.startsWith("narrow") ? 2e-3 : 1e-5);
      const scale = Math.max(...Array.from(want, Math.abs), 1e-3);
      for (let k = 0; k < want.length; k++) {
        if (!(Math.abs(got[i]![k]! - want[k]!) <= tolerance * scale)) {
          expect(`output ${i} element ${k}: ${got[i]![k]}`).toBe(`${want[k]}`);
        }
      }
    }
  });
});
