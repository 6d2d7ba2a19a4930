/**
 * A SigLIP from scratch: every pair of a batch is a yes-or-no question, so batches may be small.
 *
 *   npx tsx examples/train-siglip.ts --steps 300
 *
 * Zhai et al. 2023, arXiv:2303.15343: attention pooling, no causal mask, sigmoid loss with a learned bias.
 */
import { parseArgs } from "node:util";
import { CLIP, createCLIP } from "@vlm/clip";
import { siglipLoss } from "@vlm/contrastive";
import { context, fromHost, random, type Tensor } from "@vlm/core";
import { imageCaptions, openmoji, randomFlip, randomResizedCrop, sequence, siglipPreprocessor } from "@vlm/image";
import { AdamW, cosine, train } from "@vlm/nn";
import { trainBpe } from "@vlm/tokenizers";
import { program } from "./lib/program.ts";

const SIZE = 32;
const CONTEXT = 12;

await program(async () => {
  const { values } = parseArgs({
    options: {
      steps: { type: "string", default: "300" },
      batch: { type: "string", default: "64" },
      out: { type: "string", default: "runs/siglip" },
    },
  });
  const steps = Number(values.steps);

  const emoji = await openmoji({ size: SIZE, groups: ["animals-nature", "food-drink"] });
  const tokenizer = trainBpe(
    emoji.map(({ annotation }) => annotation),
    { vocabSize: 700 },
  );
  const tokenize = (captions: readonly string[]): Tensor => {
    const { ids, shape } = tokenizer.encodeBatch(captions, { length: CONTEXT });
    return fromHost(ids, shape, "i32");
  };
  const preprocessor = { ...siglipPreprocessor, resize: { kind: "exact", height: SIZE, width: SIZE } } as const;
  const data = imageCaptions(
    emoji.map(({ pixels, annotation, id }) => ({ image: pixels, caption: annotation, id })),
    {
      batch: Number(values.batch),
      shuffle: 1,
      dropLast: true,
      preprocess: preprocessor,
      augment: sequence(randomResizedCrop({ size: SIZE, scale: [0.6, 1] }), randomFlip()),
      tokenize,
    },
  );

  const model = context({ key: random.key(0) }, () =>
    createCLIP({
      image: {
        kind: "vit",
        ...{ imageSize: SIZE, patchSize: 8, width: 64, depth: 2, heads: 2 },
        ...{ pool: "map", preNorm: false, finalNorm: "tokens", patchBias: true },
      },
      text: {
        vocabSize: tokenizer.vocabSize,
        context: CONTEXT,
        width: 64,
        depth: 2,
        heads: 2,
        causal: false,
        pool: "last",
      },
      embed: 64,
      ...{ imageProjection: "none", textProjection: "biased" },
      ...{ logitScale: Math.log(10), logitBias: -10 },
    }),
  );
  await train({
    model,
    data,
    steps,
    optimizer: new AdamW(model, { lr: cosine(1e-3, { warmup: 1, steps: steps + 1 }), weightDecay: 0.1 }),
    loss: ({ image, tokens }) =>
      siglipLoss(model.imageFeatures(image), model.textFeatures(tokens), model.logitScale, model.logitBias!),
    onProgress: ({ step, loss }) => {
      if (step === 1 || step % 25 === 0 || step === steps) console.log(`step ${step}   loss ${loss.toFixed(4)}`);
    },
  });

  const clip = new CLIP({ model, tokenizer, preprocessor });
  await clip.save(values.out);
  const index = await clip.createIndex(
    emoji.map(({ pixels }) => pixels),
    { items: emoji },
  );
  const hits = await clip.search(index, "red apple", { k: 5 });
  console.log(`red apple: ${hits.map(({ item }) => `${item.emoji} ${item.annotation}`).join(", ")}`);
});
