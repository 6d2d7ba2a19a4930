import { VlmError } from "@vlm/core";
import type { Color, Image } from "../image.ts";
import { builtin, loadSharp } from "../platform.ts";
import { baseOf } from "./openmoji-base.ts";
import { readCache, writeCache } from "./openmoji-cache.ts";

/** One emoji as a picture with words. */
export type OpenMoji = {
  /** Code points in hexadecimal, joined by "-": the file's name. */
  id: string;
  emoji: string;
  /** Its name: "grinning face". */
  annotation: string;
  tags: string[];
  group: string;
  subgroup: string;
  /** Hexcode without skin tone, gender and hair: splits by it keep near twins together. */
  base: string;
  pixels: Image;
};

/** Options of `openmoji`. */
export type OpenMojiOptions = {
  /** Width and height in pixels; default 64. */
  size?: number;
  /** Coloured, or outlines only; default "color". */
  style?: "color" | "black";
  /** Colour behind the drawing; default white. */
  background?: Color;
  /** Groups to take, such as "animals-nature"; default all. */
  groups?: readonly string[];
  /** OpenMoji's own emoji beyond Unicode (groups "extras-…"); default false. */
  extras?: boolean;
  /** Folder of the cache; default `vlm/openmoji` in the user's cache folder. */
  cache?: string;
  /** Told after each drawing, while the cache is made. */
  onProgress?: (progress: { done: number; total: number }) => void;
  signal?: AbortSignal;
};

/** What is kept of an emoji besides its pixels. */
export type OpenMojiEntry = Omit<OpenMoji, "pixels">;

/** A change here makes old caches invalid. */
const FORMAT = 1;

/**
 * The emoji of the optional peer package `openmoji` (CC BY-SA 4.0: credit OpenMoji, share alike) as RGB pictures,
 * variants of skin tone left out. Drawn once with the optional peer `sharp`, then read from one cache file. Node only.
 * @throws `FeatureMissingError` when a package is missing
 */
export async function openmoji(options: OpenMojiOptions = {}): Promise<OpenMoji[]> {
  const { size = 64, style = "color", background = [255, 255, 255], extras = false, groups, signal } = options;
  if (!Number.isInteger(size) || size < 8 || size > 1024 || (style !== "color" && style !== "black")) {
    throw new VlmError("ArgumentError", "OPENMOJI_OPTION", {
      what: `size ${size} and style "${style}"`,
      where: "openmoji",
      hint: 'size is a whole number from 8 to 1024, style "color" or "black"',
    });
  }
  const found = await findPackage();
  const path = builtin("node:path")!;
  const name = `openmoji-${found.version}-${style}-${size}-${background.join("-")}-v${FORMAT}.bin`;
  const file = path.join(options.cache ?? defaultCache(), name);
  let cached = await readCache(file, size);
  if (cached === undefined) {
    cached = await draw(found.folder, { ...options, size, style, background });
    signal?.throwIfAborted();
    await writeCache(file, cached);
  }
  const bytes = size * size * 3;
  const { entries, pixels } = cached;
  return entries
    .map(
      (entry, i): OpenMoji => ({
        ...entry,
        pixels: { width: size, height: size, channels: 3, data: pixels.subarray(i * bytes, (i + 1) * bytes) },
      }),
    )
    .filter(({ group }) => (extras || !group.startsWith("extras")) && (groups === undefined || groups.includes(group)));
}

async function draw(
  folder: string,
  { size, style, background, signal, onProgress }: OpenMojiOptions & { size: number; style: string; background: Color },
): Promise<{ entries: OpenMojiEntry[]; pixels: Uint8Array }> {
  const sharp = await loadSharp();
  if (sharp === undefined) throw missing("sharp");
  const fs = builtin("node:fs/promises")!;
  const path = builtin("node:path")!;
  const entries = await readEntries(path.join(folder, "data", "openmoji.json"));
  const bytes = size * size * 3;
  const pixels = new Uint8Array(entries.length * bytes);
  const [r, g, b] = background;
  let next = 0;
  let done = 0;
  const worker = async (): Promise<void> => {
    while (next < entries.length) {
      signal?.throwIfAborted();
      const index = next++;
      const svg = await fs.readFile(path.join(folder, style, "svg", `${entries[index]!.id}.svg`));
      // The drawings are 72 units wide: at this density a unit is size / 72 pixels.
      const drawn = await sharp(svg, { density: size })
        .resize({ width: size, height: size, fit: "fill" })
        .flatten({ background: { r, g, b } })
        .toColourspace("srgb")
        .raw()
        .toBuffer();
      pixels.set(drawn, index * bytes);
      onProgress?.({ done: ++done, total: entries.length });
    }
  };
  await Promise.all(Array.from({ length: 8 }, worker));
  return { entries, pixels };
}

type Raw = {
  emoji: string;
  hexcode: string;
  group: string;
  subgroups: string;
  annotation: string;
  tags: string;
  openmoji_tags: string;
  skintone: string;
};

async function readEntries(file: string): Promise<OpenMojiEntry[]> {
  const list = JSON.parse(await builtin("node:fs/promises")!.readFile(file, "utf8")) as Raw[];
  const bases = new Map<string, string>();
  return list
    .filter((raw) => raw.skintone === "" && raw.group !== "component")
    .map((raw) => {
      // Two drawings of one name (an extra that became Unicode later) are twins too.
      const base = bases.get(raw.annotation) ?? baseOf(raw.hexcode);
      bases.set(raw.annotation, base);
      const tags = `${raw.tags},${raw.openmoji_tags}`.split(",").map((tag) => tag.trim());
      return {
        id: raw.hexcode,
        emoji: raw.emoji,
        annotation: raw.annotation,
        tags: [...new Set(tags.filter((tag) => tag !== ""))],
        group: raw.group,
        subgroup: raw.subgroups,
        base,
      };
    });
}

/** The package, seen from this one or from the working directory. */
async function findPackage(): Promise<{ folder: string; version: string }> {
  const module = builtin("node:module");
  const path = builtin("node:path");
  if (module === undefined || path === undefined) {
    throw new VlmError("FeatureMissingError", "OPENMOJI_NODE", {
      what: "openmoji() reads files of a package, which needs Node",
      where: "openmoji",
      hint: "write the pictures to a file in Node and load that in the browser",
    });
  }
  for (const from of [import.meta.url, path.join(process.cwd(), "package.json")]) {
    try {
      const file = module.createRequire(from).resolve("openmoji/package.json");
      const { version } = JSON.parse(await builtin("node:fs/promises")!.readFile(file, "utf8")) as { version: string };
      return { folder: path.dirname(file), version };
    } catch {
      // Not here; the next place is tried.
    }
  }
  throw missing("openmoji");
}

function defaultCache(): string {
  const path = builtin("node:path")!;
  const root =
    process.env.VLM_CACHE ??
    path.join(process.env.XDG_CACHE_HOME ?? path.join(builtin("node:os")!.homedir(), ".cache"), "vlm");
  return path.join(root, "openmoji");
}

function missing(name: string): VlmError {
  return new VlmError("FeatureMissingError", "OPENMOJI_PACKAGE", {
    what: `the package ${name} is not installed`,
    where: "openmoji",
    hint: "npm i openmoji sharp",
    details: { package: name },
  });
}
