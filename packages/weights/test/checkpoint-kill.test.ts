import { type ChildProcess, fork } from "node:child_process";
import { once } from "node:events";
import { expect, it } from "vitest";
import { readLatestCheckpoint } from "../src/checkpoint/read-checkpoint.ts";
import { bundled } from "./support/bundle.ts";
import { temporaryFolder } from "./support/temporary.ts";

const KILLS = 200;
const WRITERS = 4;
/** So many writers of a folder may be killed before one of them has written anything. */
const UNWRITTEN = 10;

/**
 * Starts a writer, waits until it says so (it has taken up the folder, or written a step), kills it at a random moment,
 * and gives the last step that it had reported as written.
 */
async function killOnce(
  child: ChildProcess,
  awaited: "start " | "done ",
  delay: number,
): Promise<{ started: number; done: number; output: string }> {
  let output = "";
  const ready = new Promise<void>((resolve, reject) => {
    child.stdout!.on("data", (chunk) => {
      output += chunk;
      if (output.includes(awaited)) resolve();
    });
    child.stderr!.on("data", (chunk) => (output += chunk));
    child.once("exit", () => reject(new Error(`the writer ended: ${output}`)));
  });
  await ready;
  await new Promise((resolve) => setTimeout(resolve, delay));
  child.removeAllListeners("exit");
  const ended = once(child, "close");
  child.kill("SIGKILL");
  await ended;
  const last = [...output.matchAll(/^done (\d+)$/gm)].at(-1)?.[1];
  return { started: Number(/start (\d+)/.exec(output)![1]), done: Number(last ?? 0), output };
}

it(`R7: ${KILLS} writers killed at random moments leave a checkpoint to resume from`, {
  timeout: 120_000,
}, async () => {
  // One plain file starts within a tenth of a second; two hundred starts through a loader would take minutes.
  const bundle = await bundled("./checkpoint-writer.ts");
  let resumed = 0;
  await Promise.all(
    Array.from({ length: WRITERS }, async () => {
      const folder = await temporaryFolder();
      const start = () => fork(bundle, [folder], { silent: true, execArgv: [] });
      let written = 0;
      for (let kill = 0; kill < KILLS / WRITERS; kill++) {
        const { started, done, output } = await killOnce(
          start(),
          written === 0 && kill >= UNWRITTEN ? "done " : "start ",
          Math.random() * 100,
        );
        expect(output).not.toContain("damaged");
        // What was reported as written is never lost, nor taken up from before.
        expect(started).toBeGreaterThan(written);
        const latest = await readLatestCheckpoint(folder);
        if (!latest) {
          expect(Math.max(done, written)).toBe(0);
          continue;
        }
        resumed++;
        expect(latest.step).toBeGreaterThanOrEqual(Math.max(done, written));
        expect(latest.skipped).toEqual([]);
        expect(await latest.json("state.json")).toEqual({ step: latest.step, position: latest.step * 10 });
        for (const [file, name] of [
          ["model.safetensors", "weight"],
          ["optimizer.safetensors", "moment"],
        ] as const) {
          const store = await latest.tensors(file);
          const [bytes] = await store.read([name]);
          expect(new Float32Array(bytes!.buffer).every((value) => value === latest.step)).toBe(true);
          await store.close();
        }
        written = latest.step;
      }
    }),
  );
  expect(resumed).toBeGreaterThanOrEqual(KILLS - WRITERS * UNWRITTEN);
});
