/** Batches for training: every time two other views of a picture, and another choice of its words. */
import { fromHost, type Tensor } from "@vlm/core";
import {
  type Augment,
  DataSet,
  type OpenMoji,
  type PixelArray,
  preprocessPixels,
  randomFlip,
  randomResizedCrop,
  sequence,
  stackPixels,
  views,
} from "@vlm/image";
import type { Tokenizer } from "@vlm/tokenizers";
import { IMAGE_SIZE, newTags, wordsOf } from "./emoji.ts";
import { CONTEXT, PREPROCESSOR } from "./recipe.ts";

/** First views of all pictures, then second ones; captions; how much the words of one emoji are those of another. */
export type Batch = { images: Tensor; tokens: Tensor; alike: Tensor }; // f32 [2B 3 S S], i32 [B T], f32 [B B]

type Sample = { views: PixelArray[]; caption: string; words: ReadonlySet<string> };

const augment: Augment = sequence(
  randomResizedCrop({ size: IMAGE_SIZE, scale: [0.6, 1], filter: "bilinear" }),
  randomFlip(),
);
const twoViews = views(2, augment);

/** Endless batches in an order, and with changes, that depend on the seed alone. */
export function trainingData(
  emoji: readonly OpenMoji[],
  tokenizer: Tokenizer,
  { batch, seed }: { batch: number; seed: number },
): DataSet<OpenMoji, Sample, Batch> {
  return new DataSet(
    {
      items: emoji,
      name: ({ annotation }) => annotation,
      load: (one, { key }) => ({
        views: twoViews(one.pixels, key).map((view) => preprocessPixels(view, PREPROCESSOR)),
        caption: someWords(one, draws(key)),
        words: wordsOf(one),
      }),
      collate: (samples) => ({
        images: stackPixels([0, 1].flatMap((view) => samples.map(({ views }) => views[view]!))),
        tokens: tokenIds(
          tokenizer,
          samples.map(({ caption }) => caption),
        ),
        alike: likeness(samples.map(({ words }) => words)),
      }),
    },
    { batch, shuffle: seed, dropLast: true, prefetch: 1 },
  );
}

/** Ids [B T] of captions, cut or padded to the context. */
export function tokenIds(tokenizer: Tokenizer, captions: readonly string[]): Tensor {
  const { ids, shape } = tokenizer.encodeBatch(captions, { length: CONTEXT });
  return fromHost(ids, shape, "i32");
}

/**
 * How right it is, [B B], to take caption j for picture i: 1 for its own, otherwise the share of words that the two
 * have in common, of the shorter list. To plain CLIP two faces are as wrong for each other as a face and a boat.
 */
export function likeness(words: readonly ReadonlySet<string>[]): Tensor {
  const size = words.length;
  const alike = new Float32Array(size * size).fill(1);
  for (const [i, a] of words.entries()) {
    for (const [j, b] of words.entries()) {
      if (i === j) continue;
      let common = 0;
      for (const word of a) if (b.has(word)) common++;
      alike[i * size + j] = common / Math.min(a.size, b.size);
    }
  }
  return fromHost(alike, [size, size], "f32");
}

/** Name and some of the tags in any order; now and then without the name. */
export function someWords(emoji: OpenMoji, draw: () => number): string {
  const tags = shuffled(newTags(emoji), draw);
  const some = tags.slice(0, Math.floor(draw() * (tags.length + 1)));
  const withName = draw() >= 0.3 || some.length === 0;
  return shuffled(withName ? [emoji.annotation, ...some] : some, draw).join(", ");
}

function shuffled<T>(list: readonly T[], draw: () => number): T[] {
  const result = [...list];
  for (let i = result.length - 1; i > 0; i--) {
    const j = Math.floor(draw() * (i + 1));
    [result[i], result[j]] = [result[j]!, result[i]!];
  }
  return result;
}

/** Uniform numbers from a sample's key: the finaliser of MurmurHash3 over a counter. */
function draws(key: unknown): () => number {
  const [k0, k1] = key as readonly [number, number];
  let counter = k0 ^ Math.imul(k1, 0x9e3779b9);
  return () => {
    counter = (counter + 0x9e3779b9) | 0;
    let x = Math.imul(counter ^ (counter >>> 16), 0x85ebca6b);
    x = Math.imul(x ^ (x >>> 13), 0xc2b2ae35);
    return ((x ^ (x >>> 16)) >>> 0) / 2 ** 32;
  };
}
