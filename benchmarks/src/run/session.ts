/** The side of the contender, in Node and in pages alike: opens a library, prepares works, calls them. */
import type { Contender, Runnable } from "../contenders/contender.ts";
import { programOf } from "../work/work.ts";
import type { Reply, Request } from "./protocol.ts";

export type Host = {
  openers: Record<string, (threads: number) => Promise<Contender>>;
  /** Hands results over: the count of tensors, their lengths, then their floats. */
  deliver(file: string, parts: readonly (Uint32Array | Float32Array)[]): Promise<void> | void;
  /** Milliseconds of processor time that all threads have used, where that can be known. */
  processorTime?(): number;
};

/** Answers one request after the other; what fails is an answer, too. */
export function answering(host: Host): (request: Request) => Promise<Reply> {
  let contender: Contender | undefined;
  let runnable: Runnable | undefined;

  const answer = async (request: Request): Promise<Reply> => {
    switch (request.do) {
      case "open": {
        const opener = host.openers[request.contender];
        if (!opener) throw new Error(`no contender is called "${request.contender}"`);
        contender = await opener(request.threads);
        return { ok: true, ...(contender.threads && { threads: contender.threads }) };
      }
      case "prepare": {
        const start = performance.now();
        runnable = await contender!.prepare(programOf(request.work), request.work, { quick: request.quick });
        const results = await runnable.results();
        const firstMs = performance.now() - start;
        const head = Uint32Array.from([results.length, ...results.map(({ length }) => length)]);
        if (request.file) await host.deliver(request.file, [head, ...results]);
        return { ok: true, firstMs, ...(runnable.kernels !== undefined && { kernels: runnable.kernels }) };
      }
      case "measure": {
        const samples: number[] = [];
        const cpu: number[] = [];
        const until = performance.now() + request.milliseconds;
        let now = performance.now();
        do {
          const used = host.processorTime?.() ?? 0;
          await runnable!.run();
          cpu.push((host.processorTime?.() ?? 0) - used);
          const end = performance.now();
          samples.push(end - now);
          now = performance.now();
        } while (now < until);
        return { ok: true, samples, ...(host.processorTime && { cpu }) };
      }
      case "dispose":
        await runnable?.dispose();
        runnable = undefined;
        return { ok: true };
    }
  };

  return async (request) => {
    try {
      return await answer(request);
    } catch (error) {
      const { name, message } = error instanceof Error ? error : new Error(String(error));
      return { ok: false, error: message.split("\n")[0] || name, offered: name !== "NotOffered" };
    }
  };
}
