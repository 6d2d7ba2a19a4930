/** Trains a CLIP off the main thread, and answers while it does. */
import { CLIP, createCLIP } from "@vlm/clip";
import { type Device, fromHost, onCompile, openDevice, useDevice } from "@vlm/core";
import {
  clipNormalization,
  clipPreprocessor,
  crop,
  type Image,
  imageCaptions,
  randomFlip,
  randomResizedCrop,
  readImage,
  sequence,
} from "@vlm/image";
import { AdamW, cosine, train } from "@vlm/nn";
import { trainBpe } from "@vlm/tokenizers";
import { COLUMNS, type EmojiWords, type Found, type FromWorker, SIZE, type ToWorker } from "./messages.ts";

const CONTEXT = 16;
const BATCH = 32;

const say = (message: FromWorker): void => self.postMessage(message);

/** Open while training goes on; a pause closes it, and the next batch waits. */
let gate: Promise<void> = Promise.resolve();
let open: () => void = () => {};

type Search = { clip: CLIP; images: readonly Image[]; captions: readonly string[] };
let search: Search | null = null;

async function bestDevice(wanted: "webgpu" | "wasm" | "best"): Promise<Device> {
  if (wanted !== "best") return useDevice(wanted);
  try {
    return await useDevice(await openDevice("webgpu"));
  } catch {
    return useDevice("wasm");
  }
}

async function start({ sheet, words, device, steps }: Extract<ToWorker, { kind: "start" }>): Promise<void> {
  const { name } = await bestDevice(device);
  onCompile(({ ready, total }) => say({ kind: "compiling", ready, total }));
  const emoji = (await (await fetch(words)).json()) as EmojiWords[];
  const drawings = await readImage(sheet);
  const images = emoji.map((_, i) =>
    crop(drawings, { left: (i % COLUMNS) * SIZE, top: Math.floor(i / COLUMNS) * SIZE, width: SIZE, height: SIZE }),
  );
  const captions = emoji.map(({ caption }) => caption);
  const tokenizer = trainBpe(captions, { vocabSize: 1200 });
  const model = createCLIP({
    image: { kind: "vit", imageSize: SIZE, patchSize: 8, width: 64, depth: 2, heads: 2 },
    text: {
      ...{ vocabSize: tokenizer.vocabSize, context: CONTEXT, width: 64, depth: 1, heads: 2 },
      endId: tokenizer.tokenToId("<|endoftext|>")!,
    },
    embed: 64,
  });
  const size = { resize: { kind: "shortest", size: SIZE }, crop: { width: SIZE, height: SIZE } } as const;
  const preprocessor = { ...clipPreprocessor, ...size, normalize: clipNormalization };
  search = { clip: new CLIP({ model, tokenizer, preprocessor }), images, captions };
  const weights = model.parameters().reduce((sum, parameter) => sum + parameter.size, 0);
  say({ kind: "ready", device: name, emoji: emoji.length, weights });

  const pairs = imageCaptions(
    images.map((image, i) => ({ image, caption: captions[i]! })),
    {
      batch: BATCH,
      shuffle: 1,
      dropLast: true,
      epochs: Number.POSITIVE_INFINITY,
      preprocess: preprocessor,
      augment: sequence(randomResizedCrop({ size: SIZE, scale: [0.6, 1], filter: "bilinear" }), randomFlip()),
      tokenize: (texts) => {
        const { ids, shape } = tokenizer.encodeBatch(texts, { length: CONTEXT });
        return fromHost(ids, shape, "i32");
      },
    },
  );
  async function* gated() {
    for await (const batch of pairs) {
      await gate;
      yield { image: batch.image, tokens: batch.tokens };
    }
  }
  await train({
    model,
    data: gated(),
    steps,
    optimizer: new AdamW(model, { lr: cosine(2e-3, { warmup: 20, steps: steps + 20 }), weightDecay: 0.1, clip: 1 }),
    loss: ({ image, tokens }) => model.loss(image, tokens),
    onProgress: ({ step, loss, stepsPerSecond }) =>
      say({ kind: "progress", step, steps, loss, imagesPerSecond: stepsPerSecond * BATCH }),
  });
  say({ kind: "done" });
}

/** The nearest of the emoji by words, or of the captions by a picture. */
async function answer(message: Extract<ToWorker, { kind: "search" | "describe" }>): Promise<Found[]> {
  if (search === null) return [];
  const { clip, images, captions } = search;
  const quiet = { truncate: true, onWarning: () => {} };
  const [query, items] =
    message.kind === "search"
      ? [await clip.encodeText(message.words, quiet), await clip.encodeImage(images, { batch: 128 })]
      : [await clip.encodeImage(message.image), await clip.encodeText(captions, { ...quiet, batch: 128 })];
  const scores = await query.matmul(items.transpose()).data();
  return Array.from(scores, (score, index) => ({ index, score }))
    .sort((a, b) => b.score - a.score)
    .slice(0, 12);
}

self.addEventListener("message", async ({ data }: MessageEvent<ToWorker>) => {
  try {
    if (data.kind === "start") await start(data);
    else if (data.kind === "pause") {
      gate = new Promise((resolve) => {
        open = resolve;
      });
    } else if (data.kind === "resume") open();
    else say({ kind: "answer", id: data.id, found: await answer(data) });
  } catch (error) {
    say({ kind: "problem", message: (error as Error).message });
  }
});
