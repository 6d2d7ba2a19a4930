/** What a result must say about where it was measured; nothing that names the machine. */
import { spawnSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import os from "node:os";
import path from "node:path";
import { fileURLToPath } from "node:url";
import { relaxedPeak } from "./peak.ts";

export type Machine = {
  /** A person's words, from VLM_BENCH_MACHINE. */
  description: string;
  processor: string;
  cores: number;
  memoryGiB: number;
  platform: string;
  node: string;
  v8: string;
  date: string;
  /** Of this repository; with "+" where files have changed since. */
  commit: string | null;
  /** Load average over one minute when the run began. */
  load: number;
  /** 128-bit fused multiply-add, registers only, one thread: GFLOP/s in WebAssembly, and in C where there is a compiler. */
  peakWasm: number | null;
  peakC: number | null;
};

const C_PROBE = String.raw`
#include <immintrin.h>
#include <stdio.h>
#include <time.h>
int main(void) {
  __m128 a[12]; const __m128 x = _mm_set1_ps(1.0000001f), y = _mm_set1_ps(1e-9f);
  for (int i = 0; i < 12; i++) a[i] = _mm_set1_ps((float)i);
  double best = 0;
  for (int round = 0; round < 400; round++) {
    struct timespec s, e; clock_gettime(CLOCK_MONOTONIC, &s);
    for (int i = 0; i < 100000; i++) for (int j = 0; j < 12; j++) a[j] = _mm_fmadd_ps(a[j], x, y);
    clock_gettime(CLOCK_MONOTONIC, &e);
    double rate = 100000.0 * 12 * 8 / ((e.tv_sec - s.tv_sec) * 1e9 + (e.tv_nsec - s.tv_nsec));
    if (rate > best) best = rate;
  }
  float sum = 0, out[4]; for (int i = 0; i < 12; i++) { _mm_storeu_ps(out, a[i]); sum += out[0]; }
  printf("%f %f\n", best, sum); return 0;
}`;

/** The same loop in C, with 128-bit registers; null without a compiler or an x86 processor. */
function compiledPeak(): number | null {
  const folder = mkdtempSync(path.join(os.tmpdir(), "vlm-peak-"));
  try {
    writeFileSync(path.join(folder, "peak.c"), C_PROBE);
    const built = spawnSync("cc", ["-O3", "-mfma", "-funroll-loops", "peak.c", "-o", "peak"], { cwd: folder });
    if (built.status !== 0) return null;
    const { stdout, status } = spawnSync(path.join(folder, "peak"), { encoding: "utf8" });
    return status === 0 ? Number(stdout.split(" ")[0]) : null;
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

const here = fileURLToPath(new URL("../..", import.meta.url));

/** Versions of npm packages, as installed for the benchmarks; ours have the commit instead. */
export function versionsOf(packages: readonly string[]): Record<string, string> {
  return Object.fromEntries(
    packages.map((name) => {
      const manifest = readFileSync(path.join(here, "node_modules", name, "package.json"), "utf8");
      return [name, (JSON.parse(manifest) as { version: string }).version];
    }),
  );
}

function commit(): string | null {
  const git = (...args: string[]): string => {
    const { stdout, status } = spawnSync("git", args, { cwd: here, encoding: "utf8" });
    return status === 0 ? stdout.trim() : "";
  };
  const id = git("rev-parse", "--short", "HEAD");
  const changed = git("status", "--porcelain", "--untracked-files=no", "--", "..", ":!../benchmarks", ":!../docs");
  return id ? `${id}${changed ? "+" : ""}` : null;
}

export async function describeMachine(): Promise<Machine> {
  return {
    description: process.env.VLM_BENCH_MACHINE ?? `${os.availableParallelism()} cores`,
    processor: os.cpus()[0]?.model.trim() ?? os.arch(),
    cores: os.availableParallelism(),
    memoryGiB: Math.round(os.totalmem() / 2 ** 30),
    platform: `${os.platform()} ${os.arch()}`,
    node: process.versions.node,
    v8: process.versions.v8,
    date: new Date().toISOString().slice(0, 10),
    commit: commit(),
    load: Number(os.loadavg()[0]!.toFixed(1)),
    peakWasm: await relaxedPeak(),
    peakC: compiledPeak(),
  };
}
