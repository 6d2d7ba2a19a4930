/** A 600 MB safetensors file, from disk to tensors, with the file in the system's cache and without. */
import { spawnSync } from "node:child_process";
import { mkdtempSync, rmSync, statSync } from "node:fs";
import os from "node:os";
import path from "node:path";
import { realize, tensor, useDevice } from "@vlm/core";
import { readTensors, saveTensors } from "@vlm/weights";
import type { Suite } from "../report/report.ts";
import { summaryOf } from "../run/statistics.ts";

/** 36 tensors of 16 MiB: 604 MB. */
const COUNT = 36;
const SIZE = 2 ** 22;

/** Takes the file out of the system's cache; false where that is not possible. */
const forget = (file: string): boolean =>
  spawnSync("dd", [`of=${file}`, "oflag=nocache", "conv=notrunc,fdatasync", "count=0"]).status === 0;

const PYTHON = `
import sys, time
from safetensors.torch import load_file
start = time.perf_counter()
tensors = load_file(sys.argv[1])
total = sum(float(t.flatten()[0]) + float(t.flatten()[-1]) for t in tensors.values())
checksum = sum(float(t.sum()) for t in tensors.values())
print((time.perf_counter() - start) * 1e3)
`;

export const loading: Suite = {
  about: "a 600 MB safetensors file to the device, cold and warm",
  async run({ pace, python, log }) {
    const folder = mkdtempSync(path.join(os.tmpdir(), "vlm-loading-"));
    const file = path.join(folder, "model.safetensors");
    try {
      const values = new Float32Array(SIZE).map((_, i) => (i % 1000) / 1000);
      const one = tensor(values, { shape: [2048, 2048] });
      const named = new Map(Array.from({ length: COUNT }, (_, i) => [`layer.${i}.weight`, one] as const));
      await useDevice("wasm", { threads: 1 });
      await saveTensors(folder, named);
      const bytes = statSync(file).size;
      const once = async (): Promise<number> => {
        const start = performance.now();
        const tensors = await readTensors(file);
        // Every byte arrives on the device: each tensor takes part in a sum there.
        const sums = [...tensors.values()].map((t) => t.sum());
        await realize(...sums);
        return performance.now() - start;
      };
      const other = (): number => {
        const { stdout, status } = spawnSync(python!, ["-c", PYTHON, file], { encoding: "utf8" });
        return status === 0 ? Number(stdout) : Number.NaN;
      };
      const rows: (string | number | null)[][] = [];
      const record = (name: string, state: string, samples: number[]): void => {
        const { best, median } = summaryOf(samples);
        rows.push([name, state, best, median, bytes / best / 1e6]);
        log(`loading, ${name}, ${state}: ${best.toFixed(0)} ms`);
      };
      const rounds = Math.max(2, pace.rounds);
      const times = {
        cold: [] as number[],
        warm: [] as number[],
        otherCold: [] as number[],
        otherWarm: [] as number[],
      };
      const canForget = forget(file);
      for (let round = 0; round < rounds; round++) {
        if (canForget) {
          forget(file);
          times.cold.push(await once());
        }
        times.warm.push(await once());
        if (!python) continue;
        if (canForget) {
          forget(file);
          times.otherCold.push(other());
        }
        times.otherWarm.push(other());
      }
      if (canForget) record("vlm, to the wasm device", "cold", times.cold);
      record("vlm, to the wasm device", "warm", times.warm);
      if (python) {
        if (canForget) record("safetensors for PyTorch", "cold", times.otherCold);
        record("safetensors for PyTorch", "warm", times.otherWarm);
      }
      return {
        tables: [
          {
            title: `${(bytes / 1e6).toFixed(0)} MB of f32 in ${COUNT} tensors, from the file to tensors that have been summed`,
            note: "PyTorch maps the file; its sum of every tensor reads the pages, as ours does.",
            columns: ["library", "file", "best ms", "median", "GB/s"],
            rows,
          },
        ],
      };
    } finally {
      rmSync(folder, { recursive: true, force: true });
    }
  },
};
