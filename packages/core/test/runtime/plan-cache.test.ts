import { expect, test } from "vitest";
import type { Program } from "../../src/graph/program.ts";
import type { Device, Prepared } from "../../src/runtime/device.ts";
import { PlanCache } from "../../src/runtime/plan-cache.ts";

const program = (key: string): Program => ({ nodes: [], outputs: [], key });

function countingDevice(): { device: Device; prepared: string[]; disposed: string[] } {
  const prepared: string[] = [];
  const disposed: string[] = [];
  const prepare = async ({ key }: Program): Promise<Prepared> => {
    prepared.push(key);
    if (key === "bad") throw new Error("cannot be compiled");
    return { kernels: 0, dispose: () => disposed.push(key) };
  };
  return { device: { prepare } as unknown as Device, prepared, disposed };
}

test("a plan is prepared once, and the one not used for longest goes when there are too many", async () => {
  const { device, prepared, disposed } = countingDevice();
  const cache = new PlanCache(2);
  for (const key of ["a", "b", "a", "c", "a", "b"]) await cache.get(device, program(key));
  expect(prepared).toEqual(["a", "b", "c", "b"]);
  expect(disposed).toEqual(["b", "c"]);
});

test("each device has plans of its own", async () => {
  const [one, other] = [countingDevice(), countingDevice()];
  const cache = new PlanCache(1);
  for (const { device } of [one, other, one, other]) await cache.get(device, program("a"));
  expect([one.prepared, other.prepared]).toEqual([["a"], ["a"]]);
});

test("what could not be prepared is tried again", async () => {
  const { device, prepared } = countingDevice();
  const cache = new PlanCache(2);
  await expect(cache.get(device, program("bad"))).rejects.toThrow("cannot be compiled");
  await expect(cache.get(device, program("bad"))).rejects.toThrow("cannot be compiled");
  expect(prepared).toEqual(["bad", "bad"]);
});
