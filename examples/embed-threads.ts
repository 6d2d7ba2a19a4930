/**
 * Embeds many images on worker threads, each with a model of its own, and writes them to a safetensors file.
 *
 *   npx tsx examples/embed-threads.ts photos/ --model runs/start/model --threads 4 --out runs/photos
 */
import { readdir } from "node:fs/promises";
import os from "node:os";
import path from "node:path";
import { parseArgs } from "node:util";
import { isMainThread, parentPort, Worker } from "node:worker_threads";
import { CLIP } from "@vlm/clip";
import { concat, type Tensor, tensor, useDevice } from "@vlm/core";
import { saveTensors } from "@vlm/weights";
import { program, sentenceOf, UsageError } from "./lib/program.ts";

type Work = { model: string; files: string[] };
type Answer = { embeddings: Float32Array; width: number } | { problem: string };

if (isMainThread) await program(main);
else parentPort!.on("message", async (work: Work) => parentPort!.postMessage(await embed(work)));

async function main(): Promise<void> {
  const { values, positionals } = parseArgs({
    allowPositionals: true,
    options: {
      model: { type: "string", default: "runs/start/model" },
      threads: { type: "string", default: String(os.availableParallelism()) },
      out: { type: "string", default: "runs/embeddings" },
    },
  });
  const [folder] = positionals;
  if (folder === undefined) throw new UsageError("Name a folder of pictures: embed-threads.ts photos/.");
  const names = await readdir(folder).catch((error: NodeJS.ErrnoException) => {
    throw new UsageError(`The folder ${folder} cannot be read (${error.code}).`);
  });
  const files = names.filter((name) => /\.(png|jpe?g|gif|bmp|webp|avif)$/i.test(name)).sort();
  if (files.length === 0) throw new UsageError(`There is no picture in ${folder}.`);

  const begun = performance.now();
  const count = Math.min(Number(values.threads), files.length);
  const share = Math.ceil(files.length / count);
  const parts = await Promise.all(
    Array.from({ length: count }, (_, i) => {
      const own = files.slice(i * share, (i + 1) * share).map((name) => path.join(folder, name));
      return own.length === 0 ? null : onThread({ model: values.model, files: own });
    }),
  );
  const all = concat(parts.filter((part) => part !== null)); // [N E]
  await saveTensors(values.out, new Map([["embeddings", all]]), {
    name: "embeddings",
    metadata: { files: JSON.stringify(files) },
  });
  const rate = (files.length / (performance.now() - begun)) * 1000;
  console.log(`${files.length} images on ${count} threads, ${rate.toFixed(1)} a second: ${values.out}`);
}

/** Runs this very file on a thread, which has to be told of TypeScript first; compiled to .js: `new Worker(file)`. */
async function onThread(work: Work): Promise<Tensor> {
  const file = JSON.stringify(import.meta.url);
  const start = `import("tsx/esm/api").then(({ register }) => { register(); return import(${file}); })`;
  const worker = new Worker(start, { eval: true });
  try {
    const answer = await new Promise<Answer>((resolve, reject) => {
      worker.once("message", resolve).once("error", reject).postMessage(work);
    });
    if ("problem" in answer) throw new UsageError(answer.problem);
    return tensor(answer.embeddings, { shape: [work.files.length, answer.width] });
  } finally {
    await worker.terminate();
  }
}

async function embed({ model, files }: Work): Promise<Answer> {
  try {
    // The threads are the parallelism; inside each, one is enough.
    await useDevice("wasm", { threads: 1 });
    const clip = await CLIP.load(model);
    const embeddings = await clip.encodeImage(files);
    return { embeddings: (await embeddings.data()) as Float32Array, width: embeddings.shape[1]! };
  } catch (error) {
    const problem = sentenceOf(error);
    if (problem === null) throw error;
    return { problem };
  }
}
