import { spawn } from "node:child_process";
import { mkdtemp, readFile, rm, stat } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { train } from "@vlm/nn";
import { afterAll, beforeAll, expect, it } from "vitest";
import { testDevice } from "./device.ts";
import { exampleRun } from "./example-run.ts";
import { fileStore } from "./file-store.ts";

let folder: string;
beforeAll(async () => {
  await testDevice();
  folder = await mkdtemp(join(tmpdir(), "vlm-kill-"));
});
afterAll(() => rm(folder, { recursive: true }));

const STEPS = 40;

/** Trains in another process and kills it `delay` ms after its first step; true when it had finished before. */
async function trainAndKill(path: string, delay: number): Promise<boolean> {
  const child = spawn(
    process.execPath,
    [
      "--import",
      "tsx",
      "--conditions",
      "@vlm/source",
      fileURLToPath(new URL("run-child.ts", import.meta.url)),
      path,
      String(STEPS),
    ],
    { stdio: ["ignore", "pipe", "inherit"] },
  );
  const ended = new Promise<number | null>((done) => child.once("exit", done));
  child.stdout.once("data", () => setTimeout(() => child.kill("SIGKILL"), delay));
  expect((await ended) ?? 0, "exit code of the training process").toBe(0);
  return stat(`${path}.done`).then(
    () => true,
    () => false,
  );
}

it("gives the same losses and parameters however often it is killed", { timeout: 120_000 }, async () => {
  const path = join(folder, "run.json");
  let kills = 0;
  // Times that share no period with the steps: kills fall into steps and into the writing of checkpoints.
  while (!(await trainAndKill(path, 37 + 171 * kills))) {
    kills++;
    expect(kills, "the run makes progress between kills").toBeLessThan(12);
  }
  expect(kills).toBeGreaterThan(1);
  const whole = await exampleRun(STEPS);
  await train({ ...whole, checkpoint: fileStore(join(folder, "whole.json")) });
  const killed = JSON.parse(await readFile(path, "utf8"));
  expect(killed).toEqual(await fileStore(join(folder, "whole.json")).read());
  const losses = JSON.parse(await readFile(`${path}.done`, "utf8")) as (number | null)[];
  losses.forEach((loss, i) => {
    if (loss !== null) expect(loss).toBe(whole.losses[i]);
  });
});
