import { execFile } from "node:child_process";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { afterEach, expect, test } from "vitest";
import { createWasmBackend } from "../../src/backends/wasm/index.ts";
import { threadCount } from "../../src/backends/wasm/threads.ts";
import { expected, inputsOf, runOn } from "./compare.ts";
import { randomContract } from "./random-schedules.ts";

const before = process.env.VLM_THREADS;

afterEach(() => {
  if (before === undefined) delete process.env.VLM_THREADS;
  else process.env.VLM_THREADS = before;
});

test("the number of threads: asked for, else VLM_THREADS, else the machine's", () => {
  process.env.VLM_THREADS = "3";
  expect(threadCount(undefined)).toBe(3);
  expect(threadCount(2)).toBe(2);
  expect(threadCount(1000)).toBe(16);
  process.env.VLM_THREADS = "many";
  expect(() => threadCount(undefined)).toThrow(/VLM_THREADS=many/);
  delete process.env.VLM_THREADS;
  expect(threadCount(undefined)).toBeGreaterThanOrEqual(1);
});

test("a process with idle workers exits by itself", async () => {
  const source = fileURLToPath(new URL("../../src/backends/wasm/index.ts", import.meta.url));
  const code = `const { createWasmBackend } = await import(${JSON.stringify(source)});
    await createWasmBackend({ threads: 3 }); console.log("opened");`;
  const args = ["--import", "tsx", "--input-type=module", "-e", code];
  const { stdout } = await promisify(execFile)(process.execPath, args, { timeout: 30_000 });
  expect(stdout.trim()).toBe("opened");
});

test("a closed device's threads are gone, and its plans still run on one", async () => {
  const backend = await createWasmBackend({ threads: 2 });
  const { schedule } = randomContract(5, 60);
  const inputs = inputsOf(schedule, 5);
  const first = await runOn(backend, schedule, inputs, 3);
  await backend.dispose();
  expect(await runOn(backend, schedule, inputs, 3)).toEqual(first);
  expect(expected(schedule, inputs)).toHaveLength(first.length);
});
