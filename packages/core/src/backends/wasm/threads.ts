/** How many threads to use, and how to start one, in Node and in pages. */
import { VlmError } from "../../errors.ts";

/** What both kinds of worker have in common. */
export type ThreadWorker = {
  postMessage(message: unknown): void;
  terminate(): unknown;
};

/** Built-in modules without an import that a bundler would follow; undefined outside Node. */
function builtin<T>(name: string): T | undefined {
  if (typeof process === "undefined" || !process.versions?.node) return undefined;
  return process.getBuiltinModule?.(name) as T | undefined;
}

const MOST = 16;

/** Processors that a container's quota leaves to this process (cgroup v2, then v1). */
function quota(): number {
  const files = builtin<typeof import("node:fs")>("node:fs");
  if (!files) return MOST;
  const read = (path: string): string[] => {
    try {
      return files.readFileSync(path, "utf8").trim().split(/\s+/);
    } catch {
      return [];
    }
  };
  let [limit, period] = read("/sys/fs/cgroup/cpu.max");
  if (limit === undefined) {
    [limit] = read("/sys/fs/cgroup/cpu/cpu.cfs_quota_us");
    [period] = read("/sys/fs/cgroup/cpu/cpu.cfs_period_us");
  }
  const share = Number(limit) / Number(period);
  return share > 0 ? Math.max(1, Math.floor(share)) : MOST;
}

let warned = false;

/** Why this environment has no threads, or null. */
function threadless(): string | null {
  if (builtin("node:worker_threads")) return null;
  if (typeof SharedArrayBuffer === "undefined" || globalThis.crossOriginIsolated === false) {
    return "the page is not cross-origin isolated (Cross-Origin-Opener-Policy: same-origin and Cross-Origin-Embedder-Policy: require-corp)";
  }
  return typeof Worker === "undefined" ? "there are no workers" : null;
}

/** The number of threads: as asked, else `VLM_THREADS`, else the processors this process may use; at most 16. */
export function threadCount(asked: number | undefined): number {
  const text = typeof process === "undefined" ? undefined : process.env?.VLM_THREADS;
  const wanted = asked ?? (text ? Number(text) : undefined);
  if (wanted !== undefined && !(Number.isInteger(wanted) && wanted >= 1)) {
    throw new VlmError("ArgumentError", "WASM_THREADS", {
      what: `wasm: ${asked === undefined ? `VLM_THREADS=${text}` : `threads ${asked}`} is no number of threads`,
      hint: "give a whole number from 1",
    });
  }
  if (wanted === 1) return 1;
  const why = threadless();
  if (why) {
    if (!warned) console.warn(`@vlm/core: the wasm device runs on one thread: ${why}`);
    warned = true;
    return 1;
  }
  if (wanted !== undefined) return Math.min(MOST, wanted);
  const system = builtin<typeof import("node:os")>("node:os");
  if (system) return Math.min(MOST, quota(), system.availableParallelism());
  // Beyond four, processors of a page's machine are mostly second halves of the same cores.
  const logical = navigator.hardwareConcurrency;
  return Math.min(MOST, logical <= 4 ? logical : Math.max(4, logical >> 1));
}

/**
 * Starts a worker from this package's `worker.js`, or by `create` (a bundler's way to make a page's worker of that
 * file). In Node it does not keep the process alive. Throws where a page may not start that file.
 */
export function startWorker(onError: (reason: string) => void, create?: () => Worker): ThreadWorker {
  const node = builtin<typeof import("node:worker_threads")>("node:worker_threads");
  if (node && !create) {
    const worker = new node.Worker(new URL("./worker.js", import.meta.url), { execArgv: [] });
    worker.on("error", (error) => onError(String(error)));
    worker.on("message", ({ error }) => onError(error));
    worker.unref();
    return worker;
  }
  if (!create && new URL(import.meta.url).origin !== globalThis.origin) {
    throw new Error("its worker.js is of another origin than the page");
  }
  const worker = create?.() ?? new Worker(new URL("./worker.js", import.meta.url), { type: "module" });
  worker.onerror = ({ message }) => onError(message);
  worker.onmessage = ({ data }) => onError(data.error);
  return worker;
}

/** True where the thread that opens the device must never sleep: a page's main thread. */
export const mainMustSpin = (): boolean => typeof document !== "undefined" && !builtin("node:worker_threads");
