/** From the import of a library to the first embedding of ViT-S/16, in a fresh process. */
import { spawnSync } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import path from "node:path";
import { fileURLToPath } from "node:url";
import { build } from "esbuild";
import type { Suite } from "../report/report.ts";
import { summaryOf } from "../run/statistics.ts";
import type { Work } from "../work/work.ts";
import { VIT_S16 } from "./models.ts";

const here = fileURLToPath(new URL("../..", import.meta.url));

export const startup: Suite = {
  about: "time from import to the first embedding",
  async run({ pace, otherNode, without, limitMs, log }) {
    // Bundled, as an app would be: reading a hundred source files through a transpiler is no user's start.
    const folder = mkdtempSync(path.join(here, "node_modules", ".startup-"));
    const file = path.join(folder, "startup.mjs");
    try {
      await build({
        entryPoints: [path.join(here, "src/run/startup-main.ts")],
        absWorkingDir: here,
        bundle: true,
        splitting: true,
        format: "esm",
        platform: "node",
        target: "node20",
        outdir: folder,
        entryNames: "startup",
        outExtension: { ".js": ".mjs" },
        conditions: ["@vlm/source"],
        external: ["onnxruntime-node", "onnxruntime-web", "@tensorflow/*", "@jax-js/jax", "webgpu"],
        logLevel: "silent",
      });
      const work: Work = { kind: "vit", mode: "forward", model: VIT_S16, batch: 1 };
      const names = ["vlm", "onnxruntime-node", "onnxruntime-web", "tfjs", "jax-js"].filter(
        (name, i) => i === 0 || !without.some((start) => name.startsWith(start)),
      );
      const samples = new Map(names.map((name) => [name, [] as { open: number; first: number }[]]));
      const errors = new Map<string, string>();
      for (let round = 0; round < Math.min(3, pace.rounds); round++) {
        for (const name of names) {
          if (errors.has(name)) continue;
          const node = name === "jax-js" && otherNode ? otherNode : process.execPath;
          const { stdout, stderr, status, error } = spawnSync(node, [file, JSON.stringify([name, work])], {
            encoding: "utf8",
            cwd: here,
            timeout: 2 * limitMs,
          });
          if (status === 0) samples.get(name)!.push(JSON.parse(stdout.trim().split("\n").at(-1)!));
          else
            errors.set(
              name,
              error?.message ?? stderr.split("\n").find((line) => line.includes("Error")) ?? `exit ${status}`,
            );
        }
      }
      const rows = names.map((name) => {
        const times = samples.get(name)!;
        if (errors.has(name)) return [name, `failed: ${errors.get(name)}`, null, null];
        const first = summaryOf(times.map((time) => time.first));
        log(`startup, ${name}: ${first.best.toFixed(0)} ms`);
        return [name, first.best, first.median, summaryOf(times.map((time) => time.open)).best];
      });
      return {
        tables: [
          {
            title: "Import to first embedding of ViT-S/16, milliseconds",
            note: "A fresh process, code bundled, one thread, weights already in memory as typed arrays (for ONNX the time to write the model's bytes counts). The last column is how long import and opening take.",
            columns: ["library", "best", "median", "of that: import and open"],
            rows,
            bars: { value: 1, unit: "ms" },
          },
        ],
      };
    } finally {
      rmSync(folder, { recursive: true, force: true });
    }
  },
};
