import { VlmError } from "@vlm/core";
import type { Image } from "../image.ts";
import { builtin } from "../platform.ts";
import { encodePng } from "./png.ts";

/** Writes an image as a PNG file (Node). The folder must exist; the file appears whole or not at all. */
export async function writePng(path: string, image: Image): Promise<void> {
  const fs = builtin("node:fs/promises");
  if (fs === undefined) {
    throw new VlmError("FeatureMissingError", "IM_FILES", {
      what: "there are no files on this platform",
      where: "writePng",
      hint: "use encodePng and offer the bytes as a download",
    });
  }
  const bytes = await encodePng(image);
  const partial = `${path}.${Math.random().toString(36).slice(2)}.tmp`;
  try {
    await fs.writeFile(partial, bytes);
    await fs.rename(partial, path);
  } catch (cause) {
    await fs.rm(partial, { force: true });
    throw new VlmError("StorageError", "IM_WRITE", {
      what: `the picture cannot be written: ${(cause as Error).message}`,
      where: path,
      hint: "check that the folder exists and is writable",
      cause,
    });
  }
}
