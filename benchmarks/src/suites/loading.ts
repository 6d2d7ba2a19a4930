/** A 600 MB safetensors file, from disk to tensors, with the file in the system's cache and without. */
import { spawnSync } from "node:child_process";
import { mkdtempSync, rmSync, statSync } from "node:fs";
import { readFile } from "node:fs/promises";
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
      const readOnly = async (): Promise<number> => {
        const start = performance.now();
        await readFile(file);
        return performance.now() - start;
      };
      const other = (): number => {
        const { stdout, status } = spawnSync(python!, ["-c", PYTHON, file], { encoding: "utf8" });
        return status === 0 ? Number(stdout) : Number.NaN;
      };
      const readers: { name: string; once(): Promise<number> | number }[] = [
        { name: "vlm, to the wasm device", once },
        { name: "Node's fs.readFile, nothing else", once: readOnly },
        ...(python ? [{ name: "safetensors for PyTorch", once: other }] : []),
      ];
      const states = forget(file) ? (["cold", "warm"] as const) : (["warm"] as const);
      const samples = new Map<string, number[]>();
      for (let round = 0; round < Math.max(2, pace.rounds); round++) {
        for (const { name, once: read } of readers) {
          for (const state of states) {
            if (state === "cold") forget(file);
            const key = `${name}|${state}`;
            samples.set(key, [...(samples.get(key) ?? []), await read()]);
          }
        }
      }
      const rows = [...samples].map(([key, times]) => {
        const { best, median } = summaryOf(times);
        log(`loading, ${key}: ${best.toFixed(0)} ms`);
        return [...key.split("|"), best, median, bytes / best / 1e6];
      });
      return {
        tables: [
          {
            title: `${(bytes / 1e6).toFixed(0)} MB of f32 in ${COUNT} tensors, from the file to tensors that have been summed`,
            note: "PyTorch maps the file; its sum of every tensor reads the pages, as ours does. Reading the file into one buffer is the floor for Node. Cold: the file is taken out of the system's cache before.",
            columns: ["library", "file", "best ms", "median", "GB/s"],
            rows,
            bars: { value: 2, unit: "ms" },
          },
        ],
      };
    } finally {
      rmSync(folder, { recursive: true, force: true });
    }
  },
};
