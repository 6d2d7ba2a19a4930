import { fromHost, type Tensor, VlmError } from "@vlm/core";
import type { Augment } from "../augment/augment.ts";
import type { PixelArray } from "../pixel-array.ts";
import { builtin } from "../platform.ts";
import { checkSameShape, readForModel } from "../preprocess.ts";
import { preprocessPixels } from "../preprocess-pixels.ts";
import { clipPreprocessor, type Preprocessor } from "../preprocessor.ts";
import type { ImageSource, ReadOptions } from "../read-image.ts";
import { dataError } from "./data-error.ts";
import { type DataOptions, DataSet } from "./data-set.ts";
import { type Columns, checkCaption, type ImageCaption, listFolder, readPairs, type Skip } from "./pair-sources.ts";

/** A batch of pictures and their words. */
export type ImageCaptionBatch<Tokens> = {
  /** Preprocessed pictures, f32 [B 3 H W]. */
  image: Tensor;
  caption: string[];
  /** What `tokenize` made of the captions. */
  tokens: Tokens;
  /** Names of the samples. */
  id: string[];
};

/** A picture and its words in memory; `id` is its number unless given. */
export type ImageCaptionItem = { image: ImageSource; caption: string; id?: string };

/** Options of `imageCaptions`. */
export type ImageCaptionOptions<Tokens> = DataOptions & {
  /** Default `clipPreprocessor`. */
  preprocess?: Preprocessor;
  /** A random change before preprocessing, with a key of its own for each sample and epoch. */
  augment?: Augment;
  /** Makes `batch.tokens` of the captions. */
  tokenize?: (captions: string[]) => Tokens;
  /** How pictures are read, where that is to differ from `preprocess`. */
  read?: ReadOptions;
  /** Columns of a table, where their names are not the usual ones. */
  columns?: Columns;
  /** Words of a picture by its path in the folder, instead of text files: a class by folder, for example. */
  caption?: (path: string) => string | undefined;
};

/** The data set that `imageCaptions` makes. */
export type ImageCaptionData<Tokens = undefined> = DataSet<ImageCaption, CaptionSample, ImageCaptionBatch<Tokens>>;

type CaptionSample = { id: string; pixels: PixelArray; caption: string };

/**
 * Pictures with captions as batches: from a folder (words in text files of the same name, or in `metadata.csv`,
 * `metadata.jsonl` or `captions.*`), from a CSV, TSV or JSON Lines file, or from an array.
 * @throws while iterating, a typed error that names the file; see `onError`
 */
export function imageCaptions<Tokens = undefined>(
  source: string | URL | readonly ImageCaptionItem[],
  options: ImageCaptionOptions<Tokens> = {},
): ImageCaptionData<Tokens> {
  const { preprocess: preprocessor = clipPreprocessor, augment, tokenize, read = {}, signal } = options;
  return new DataSet<ImageCaption, CaptionSample, ImageCaptionBatch<Tokens>>(
    {
      items: ({ skip }) => listPairs(source, options, skip),
      name: (item) => item.id,
      load: async (item, { key }) => {
        const image = await readForModel(item.image, { ...read, ...(signal && { signal }) });
        const pixels = preprocessPixels(augment === undefined ? image : augment(image, key), preprocessor);
        return { id: item.id, pixels, caption: item.caption };
      },
      collate: (samples) => {
        const caption = samples.map((sample) => sample.caption);
        return {
          image: stackPixels(samples.map((sample) => sample.pixels)),
          caption,
          tokens: tokenize?.(caption) as Tokens,
          id: samples.map((sample) => sample.id),
        };
      },
    },
    options,
  );
}

/** Equal-sized pixels as one tensor [B 3 H W]. */
export function stackPixels(pixels: readonly PixelArray[]): Tensor {
  const { shape, data } = pixels[0]!;
  const values = new Float32Array(pixels.length * data.length);
  for (const [i, one] of pixels.entries()) {
    checkSameShape(shape, one.shape, i);
    values.set(one.data, i * data.length);
  }
  return fromHost(values, [pixels.length, ...shape], "f32");
}

async function listPairs<Tokens>(
  source: string | URL | readonly ImageCaptionItem[],
  { columns = {}, caption, signal }: ImageCaptionOptions<Tokens>,
  skip: Skip,
): Promise<ImageCaption[]> {
  if (typeof source !== "string" && !(source instanceof URL)) return checkItems(source, skip);
  const text = source instanceof URL ? source.href : source;
  if (/\.(csv|tsv|jsonl|ndjson)$/i.test(text.replace(/[?#].*$/, ""))) return readPairs(source, columns, skip, signal);
  const remote = /^https?:/i.test(text);
  if (remote || builtin("node:fs/promises") === undefined) {
    throw new VlmError("ArgumentError", "DATA_SOURCE", {
      what: "a folder can be listed only on this machine's disk, in Node",
      where: text,
      hint: "pass the URL of a .csv or .jsonl file, or an array of { image, caption }",
    });
  }
  const folder = text.startsWith("file:") ? builtin("node:url")!.fileURLToPath(text) : text;
  return listFolder(folder, columns, skip, caption, signal);
}

function checkItems(items: readonly ImageCaptionItem[], skip: Skip): ImageCaption[] {
  const result: ImageCaption[] = [];
  const ids = new Set<string>();
  for (const [i, item] of items.entries()) {
    const id = item.id ?? String(i);
    try {
      const caption = checkCaption(item.caption, `sample ${id}`);
      if (ids.has(id)) {
        throw dataError(
          "DataError",
          "DATA_DUPLICATE_KEY",
          `the id "${id}" occurs twice`,
          `sample ${i}`,
          "ids are unique",
        );
      }
      ids.add(id);
      result.push({ id, image: item.image, caption });
    } catch (error) {
      skip(id, error as VlmError);
    }
  }
  return result;
}
