import { cpSync, mkdtempSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { createImage, type Image } from "@vlm/image";

const root = new URL("../../../../", import.meta.url).pathname;

export const fixture = (name: string): string => path.join(root, "packages/clip/test/fixtures", name);
export const temporary = (): string => mkdtempSync(path.join(tmpdir(), "vlm-clip-"));
export const cat = path.join(root, "tools/testing/pictures/cat.jpg");

/** A tiny CLIP with the tokenizer of 50 words and preprocessing, as on the Hub. */
export function tinyCLIP(): string {
  const folder = temporary();
  cpSync(fixture("hf-clip"), folder, { recursive: true });
  cpSync(path.join(root, "tools/testing/hub/clip"), folder, { recursive: true });
  return folder;
}

/** A picture of one colour with a little texture. */
export function picture(red: number, green: number, blue: number): Image {
  const [width, height] = [40, 36];
  const data = new Uint8Array(width * height * 3);
  for (let i = 0; i < width * height; i++) data.set([red, green, (blue + 3 * (i % 17)) % 256], 3 * i);
  return createImage(data, { width, height, channels: 3 });
}
