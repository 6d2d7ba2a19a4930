import { spawn } from "node:child_process";
import { mkdtemp, readFile, rm, stat } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { type DeviceName, useDevice } from "@vlm/core";
import { train } from "@vlm/nn";
import { afterAll, beforeAll, expect, it } from "vitest";
import { exampleRun } from "./example-run.ts";
import { fileStore } from "./file-store.ts";

let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "vlm-kill-"));
});
afterAll(() => rm(folder, { recursive: true }));

const STEPS = 40;

/** Trains in another process and kills it `delay` ms after its first step; true when it had finished before. */
async function trainAndKill(device: DeviceName, path: string, delay: number): Promise<boolean> {
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
    { stdio: ["ignore", "pipe", "inherit"], env: { ...process.env, VLM_DEVICE: device } },
  );
  const ended = new Promise<number | null>((done) => child.once("exit", done));
  child.stdout.once("data", () => setTimeout(() => child.kill("SIGKILL"), delay));
  expect((await ended) ?? 0, "exit code of the training process").toBe(0);
  return stat(`${path}.done`).then(
    () => true,
    () => false,
  );
}

it.each(["js", "webgpu"] as const)(
  "gives the same losses and parameters however often it is killed, on %s",
  { timeout: 240_000 },
  async (device) => {
    await useDevice(device);
    const path = join(folder, `${device}.json`);
    let kills = 0;
    // Times that share no period with the steps: kills fall into steps and into the writing of checkpoints.
    while (!(await trainAndKill(device, path, 37 + 171 * kills))) {
      kills++;
      expect(kills, "the run makes progress between kills").toBeLessThan(12);
    }
    expect(kills).toBeGreaterThan(1);
    const whole = await exampleRun(STEPS);
    await train({ ...whole, checkpoint: fileStore(join(folder, `${device}-whole.json`)) });
    const killed = JSON.parse(await readFile(path, "utf8"));
    expect(killed).toEqual(await fileStore(join(folder, `${device}-whole.json`)).read());
    const losses = JSON.parse(await readFile(`${path}.done`, "utf8")) as (number | null)[];
    losses.forEach((loss, i) => {
      if (loss !== null) expect(loss).toBe(whole.losses[i]);
    });
  },
);
