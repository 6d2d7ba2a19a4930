/** The worker: a CLIP that finds the pictures that fit some words. */
import { CLIP } from "@vlm/clip";

export type Question = { id: number; model: string; words: string; files: File[] };
export type Answer = { id: number } & ({ best: { name: string; score: number }[] } | { problem: string });

let clip: Promise<CLIP> | undefined;

async function search({ id, model, words, files }: Question): Promise<Answer> {
  try {
    clip ??= CLIP.load(model);
    const pipeline = await clip;
    const index = await pipeline.createIndex(files, { items: files });
    const hits = await pipeline.search(index, words, { k: 5 });
    return { id, best: hits.map(({ item, score }) => ({ name: item.name, score })) };
  } catch (error) {
    return { id, problem: (error as Error).message };
  }
}

self.addEventListener("message", async ({ data }: MessageEvent<Question>) => self.postMessage(await search(data)));
