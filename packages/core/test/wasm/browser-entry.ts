import { createWasmBackend } from "../../src/backends/wasm/index.ts";
import { difference, expected, inputsOf, runOn } from "./compare.ts";
import { randomContract, randomLoop } from "./random-schedules.ts";

/** Runs random kernels in the page; the first difference from the interpreter, the number of shared runs, memory left. */
export async function check(threads: number): Promise<{ difference: string | null; launches: number; bytes: number }> {
  const backend = await createWasmBackend({ threads });
  let wrong: string | null = null;
  // Workers load their script meanwhile.
  if (threads > 1) await new Promise((resolve) => setTimeout(resolve, 500));
  for (let seed = 1; seed <= 10; seed++) {
    const { schedule } = seed % 4 === 0 ? randomLoop(seed) : randomContract(seed, 250);
    const inputs = inputsOf(schedule, seed);
    const got = await runOn(backend, schedule, inputs, 5);
    wrong ??= difference(schedule, got, expected(schedule, inputs));
  }
  const { bytes } = backend.memory();
  const launches = (backend as unknown as { pool: { launches: number } | null }).pool?.launches ?? 0;
  await backend.dispose();
  return { difference: wrong, launches, bytes };
}
