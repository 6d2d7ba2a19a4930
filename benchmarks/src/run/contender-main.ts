/** The program of a contender's process. Answers go out by file descriptor 3, so that a library may print what it likes. */
import { writeFileSync, writeSync } from "node:fs";
import { createInterface } from "node:readline";
import type { Contender, Runnable } from "../contenders/contender.ts";
import { programOf } from "../work/work.ts";
import type { Reply, Request } from "./protocol.ts";

async function openContender(name: string, threads: number): Promise<Contender> {
  switch (name) {
    case "vlm":
      return (await import("../contenders/vlm.ts")).open(threads, { device: "wasm", relaxed: true });
    case "vlm-plain":
      return (await import("../contenders/vlm.ts")).open(threads, { device: "wasm", relaxed: false });
    case "vlm-webgpu":
      return (await import("../contenders/vlm.ts")).open(threads, { device: "webgpu", relaxed: false });
    case "onnxruntime-node":
      return (await import("../contenders/onnx.ts")).openNode(threads);
    case "onnxruntime-web":
      return (await import("../contenders/onnx.ts")).openWeb(threads);
    case "tfjs":
      return (await import("../contenders/tfjs.ts")).open(threads);
    case "jax-js":
      return (await import("../contenders/jax.ts")).open(threads);
    default:
      throw new Error(`no contender is called "${name}"`);
  }
}

/** A leak must not take the machine down. */
const MOST_MEMORY = 8e9;

let contender: Contender | undefined;
let runnable: Runnable | undefined;

async function answer(request: Request): Promise<Reply> {
  switch (request.do) {
    case "open":
      contender = await openContender(request.contender, request.threads);
      return {
        ok: true,
        versions: { ...contender.versions, node: process.versions.node },
        ...(contender.threads && { threads: contender.threads }),
      };
    case "prepare": {
      const start = performance.now();
      runnable = await contender!.prepare(programOf(request.work), request.work);
      const results = await runnable.results();
      const firstMs = performance.now() - start;
      const lengths = Uint32Array.from([results.length, ...results.map(({ length }) => length)]);
      const parts = [lengths, ...results].map(({ buffer, byteOffset, byteLength }) =>
        Buffer.from(buffer as ArrayBuffer, byteOffset, byteLength),
      );
      if (request.file) writeFileSync(request.file, Buffer.concat(parts));
      return { ok: true, firstMs, ...(runnable.kernels !== undefined && { kernels: runnable.kernels }) };
    }
    case "measure": {
      const samples: number[] = [];
      const cpu: number[] = [];
      const until = performance.now() + request.milliseconds;
      let now = performance.now();
      do {
        const used = process.cpuUsage();
        await runnable!.run();
        const { user, system } = process.cpuUsage(used);
        const end = performance.now();
        cpu.push((user + system) / 1000);
        samples.push(end - now);
        now = performance.now();
        if (process.memoryUsage.rss() > MOST_MEMORY) throw new Error("it took more than 8 GB of memory");
      } while (now < until);
      return { ok: true, samples, cpu };
    }
    case "dispose":
      await runnable?.dispose();
      runnable = undefined;
      return { ok: true };
    case "memory":
      return { ok: true, rss: process.resourceUsage().maxRSS * 1024, held: contender?.memory?.() ?? 0 };
  }
}

for await (const line of createInterface({ input: process.stdin })) {
  let reply: Reply;
  try {
    reply = await answer(JSON.parse(line) as Request);
  } catch (error) {
    const { name, message } = error instanceof Error ? error : new Error(String(error));
    reply = { ok: false, error: message.split("\n")[0] ?? message, offered: name !== "NotOffered" };
  }
  writeSync(3, `${JSON.stringify(reply)}\n`);
}
process.exit(0);
