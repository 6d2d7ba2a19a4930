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
      const until = performance.now() + request.milliseconds;
      let now = performance.now();
      do {
        await runnable!.run();
        const end = performance.now();
        samples.push(end - now);
        now = performance.now();
      } while (now < until);
      return { ok: true, samples };
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
