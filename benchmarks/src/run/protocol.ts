/** What the measuring process and a contender's process say to each other: one line of JSON each way. */
import type { Work } from "../work/work.ts";

export type Request =
  | { do: "open"; contender: string; threads: number }
  /** Make the work ready, run it, and write its results into a file (unless ""): length and floats of each tensor. */
  | { do: "prepare"; work: Work; file: string }
  /** Call it again and again for this long, at least once. */
  | { do: "measure"; milliseconds: number }
  | { do: "dispose" }
  | { do: "memory" };

export type Reply =
  | {
      ok: true;
      versions?: Record<string, string>;
      threads?: number;
      firstMs?: number;
      kernels?: number;
      /** Milliseconds of each call, by the clock and of all the process's threads. */
      samples?: number[];
      cpu?: number[];
      rss?: number;
      held?: number;
    }
  | { ok: false; error: string; offered: boolean };
