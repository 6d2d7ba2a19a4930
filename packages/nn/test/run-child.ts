/** Trains in a process of its own, for a test that kills it: arguments are the checkpoint's file and the steps. */
import { writeFile } from "node:fs/promises";
import { train } from "@vlm/nn";
import { testDevice } from "./device.ts";
import { exampleRun } from "./example-run.ts";
import { fileStore } from "./file-store.ts";

const [path, steps] = process.argv.slice(2) as [string, string];
await testDevice();
const run = await exampleRun(Number(steps));
const report = run.onProgress!;
await train({
  ...run,
  checkpoint: { store: fileStore(path, { slow: true }), steps: 1 },
  onProgress(progress) {
    report(progress);
    process.stdout.write("step\n");
  },
});
await writeFile(`${path}.done`, JSON.stringify(run.losses));
