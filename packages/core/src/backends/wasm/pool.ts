/** Worker threads that run plans together with the caller's thread: no message and no promise for a run. */
import { VlmError } from "../../errors.ts";
import { CONTROL } from "./barrier.ts";
import type { Library } from "./library.ts";
import { mainMustSpin, startWorker, type ThreadWorker } from "./threads.ts";

export class ThreadPool {
  readonly threads: number;
  /** Why there are no workers any more. */
  private broken: string | null = null;
  private readonly words: Int32Array;
  private readonly workers: ThreadWorker[];

  constructor(threads: number, memory: WebAssembly.Memory, library: Library, create?: () => Worker) {
    this.threads = threads;
    this.words = new Int32Array(memory.buffer);
    this.words[CONTROL.mainAwake / 4] = mainMustSpin() ? 1 : 0;
    this.workers = Array.from({ length: threads - 1 }, () => startWorker((reason) => this.fail(reason), create));
    this.workers.forEach((worker, at) => {
      worker.postMessage({ memory, library: library.module, thread: at + 1, threads });
    });
    this.ring(CONTROL.mail);
  }

  /** Gives a plan to every worker; the result tells `has` which message it was. */
  install(id: number, module: WebAssembly.Module): number {
    return this.post({ id, module });
  }

  forget(id: number): void {
    this.post({ id });
  }

  private post(message: unknown): number {
    if (this.broken) return 0;
    for (const worker of this.workers) worker.postMessage(message);
    this.ring(CONTROL.mail);
    return Atomics.load(this.words, CONTROL.mail / 4);
  }

  private ring(word: number): void {
    Atomics.add(this.words, word / 4, 1);
    Atomics.add(this.words, CONTROL.bell / 4, 1);
    if (Atomics.load(this.words, CONTROL.resting / 4) > 0) Atomics.notify(this.words, CONTROL.bell / 4);
  }

  /** Whether every worker has read its messages up to number `mail`, and none is lost. */
  has(mail: number): boolean {
    if (this.broken) return false;
    return this.workers.every((_, at) => Atomics.load(this.words, (CONTROL.received + 64 * (at + 1)) / 4) >= mail);
  }

  /** Whether workers sleep: waking them takes some 40 µs. */
  get resting(): boolean {
    return Atomics.load(this.words, CONTROL.resting / 4) > 0;
  }

  /** Number of runs on all threads so far. */
  get launches(): number {
    return Atomics.load(this.words, CONTROL.launches / 4);
  }

  /** Runs a plan on all threads; returns when all are done. Throws `WorkerError` when one fails. */
  run(id: number, main: (thread: number, threads: number) => void): void {
    Atomics.store(this.words, CONTROL.job / 4, id);
    this.ring(CONTROL.launches);
    try {
      main(0, this.threads);
    } catch (cause) {
      Atomics.store(this.words, CONTROL.failed / 4, 1);
      this.fail(String(cause));
      throw new VlmError("WorkerError", "WASM_THREAD_FAILED", {
        what: `wasm: a thread failed while a plan ran: ${cause}`,
        hint: "the results of this run are void; later runs use one thread",
        recoverable: true,
        cause,
      });
    }
  }

  private fail(reason: string): void {
    if (this.broken) return;
    this.broken = reason;
    this.dispose();
  }

  dispose(): Promise<unknown> {
    this.broken ??= "the device was closed";
    return Promise.all(this.workers.map((worker) => worker.terminate()));
  }
}
