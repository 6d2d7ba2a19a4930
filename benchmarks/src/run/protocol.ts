/** What the measuring process and a contender say to each other: a request and its reply, as JSON. */
import type { Work } from "../work/work.ts";

export type Request =
  | { do: "open"; contender: string; threads: number }
  /**
   * Make the work ready, run it, and hand over its results (unless `file` is ""): length and floats of each tensor.
   * `quick`: in one form, without trying which is fastest.
   */
  | { do: "prepare"; work: Work; file: string; quick: boolean }
  /** Call it again and again for this long, at least once. */
  | { do: "measure"; milliseconds: number }
  | { do: "dispose" };

export type Reply =
  | {
      ok: true;
      versions?: Record<string, string>;
      threads?: number;
      firstMs?: number;
      kernels?: number;
      /** Milliseconds of each call, by the clock; and of all the process's threads, where that can be known. */
      samples?: number[];
      cpu?: number[];
    }
  | { ok: false; error: string; offered: boolean };

/** A contender somewhere else: a process of Node or of Python, or a page in a browser. */
export type Channel = {
  /** Never rejects; whoever does not answer in time is ended. */
  ask(request: Request, limitMs?: number): Promise<Reply>;
  /** Why no more answers will come. */
  readonly ended: string | null;
  /** Bytes of memory that the process takes now and took at most; null where the system does not tell. */
  resident(): Resident | null;
  close(): Promise<void> | void;
};

export type Resident = { now: number; peak: number };
