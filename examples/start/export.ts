/** What tools/reference/start_pytorch.py needs to train the same model on the same data: first weights, pixels, words. */
import { mkdir, writeFile } from "node:fs/promises";
import path from "node:path";
import type { CLIP } from "@vlm/clip";
import { type Tensor, tensor } from "@vlm/core";
import type { OpenMoji } from "@vlm/image";
import { saveTensors } from "@vlm/weights";
import { captionOf, GROUP_SENTENCES, GROUPS, newTags } from "./emoji.ts";

export async function exportInitial(
  folder: string,
  clip: CLIP,
  parts: { train: readonly OpenMoji[]; heldOut: readonly OpenMoji[]; black: readonly OpenMoji[] },
): Promise<void> {
  await mkdir(folder, { recursive: true });
  await clip.save(path.join(folder, "initial"));
  const pixels = Object.entries(parts).map(([name, emoji]) => [name, stacked(emoji)] as const);
  await saveTensors(folder, new Map(pixels), { name: "pixels" });
  const words = Object.entries(parts).map(([name, emoji]) => [name, emoji.map(wordsOf)] as const);
  const groups = GROUPS.map((name) => ({ name, sentences: GROUP_SENTENCES.get(name) }));
  await writeFile(path.join(folder, "data.json"), JSON.stringify({ ...Object.fromEntries(words), groups }));
}

const wordsOf = (emoji: OpenMoji) => ({
  annotation: emoji.annotation,
  tags: newTags(emoji),
  caption: captionOf(emoji),
  group: GROUPS.indexOf(emoji.group),
});

/** Pixels as they were drawn, u8 [N H W 3]. */
function stacked(emoji: readonly OpenMoji[]): Tensor {
  const { width, height } = emoji[0]!.pixels;
  const data = new Uint8Array(emoji.length * width * height * 3);
  for (const [i, { pixels }] of emoji.entries()) data.set(pixels.data, i * width * height * 3);
  return tensor(data, { shape: [emoji.length, height, width, 3] });
}
