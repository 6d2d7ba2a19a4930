/**
 * An encoder of your own in CLIP: any module with `width` and `forward(x)`. Here a small convolutional network.
 *
 *   npx tsx examples/own-encoder.ts --steps 200
 */
import { parseArgs } from "node:util";
import { CLIP, createCLIP } from "@vlm/clip";
import { context, fromHost, random, type Tensor } from "@vlm/core";
import { retrieval } from "@vlm/eval";
import { clipNormalization, clipPreprocessor, imageCaptions, openmoji } from "@vlm/image";
import { AdamW, Conv2d, GroupNorm, Module, repeat, train } from "@vlm/nn";
import { trainBpe } from "@vlm/tokenizers";
import { save } from "@vlm/weights";
import { program } from "./lib/program.ts";

const SIZE = 32;
const CONTEXT = 12;

/** Convolution, norm, activation; half the height and width. */
class Stage extends Module {
  readonly conv: Conv2d;
  readonly norm: GroupNorm;

  constructor(inputs: number, outputs: number) {
    super();
    this.conv = new Conv2d(inputs, outputs, 3, { stride: 2, padding: 1 });
    this.norm = new GroupNorm(8, outputs);
  }

  /** [B C H W] → [B D H/2 W/2]. */
  forward(x: Tensor): Tensor {
    return x.pipe(this.conv).pipe(this.norm).gelu();
  }
}

class ConvEncoder extends Module {
  readonly width: number;
  readonly stages: Stage[];

  constructor(width: number, depth: number) {
    super();
    this.width = width;
    this.stages = repeat(depth, (i) => new Stage(i === 0 ? 3 : width >> (depth - i), width >> (depth - 1 - i)));
  }

  /** [B 3 H W] → [B D]. */
  forward(image: Tensor): Tensor {
    const x = this.stages.reduce((before, stage) => before.pipe(stage), image);
    return x.mean([2, 3]);
  }
}

await program(async () => {
  const { values } = parseArgs({
    options: {
      steps: { type: "string", default: "200" },
      batch: { type: "string", default: "64" },
      out: { type: "string", default: "runs/own-encoder" },
    },
  });
  const steps = Number(values.steps);
  const emoji = await openmoji({ size: SIZE, groups: ["animals-nature", "food-drink"] });
  const words = emoji.map(({ annotation }) => annotation);
  const tokenizer = trainBpe(words, { vocabSize: 700 });
  const crop = { resize: { kind: "shortest", size: SIZE }, crop: { width: SIZE, height: SIZE } } as const;
  const preprocessor = { ...clipPreprocessor, ...crop, normalize: clipNormalization };
  const data = imageCaptions(
    emoji.map(({ pixels, annotation, id }) => ({ image: pixels, caption: annotation, id })),
    {
      batch: Number(values.batch),
      shuffle: 1,
      dropLast: true,
      preprocess: preprocessor,
      tokenize: (captions) => {
        const { ids, shape } = tokenizer.encodeBatch(captions, { length: CONTEXT });
        return fromHost(ids, shape, "i32");
      },
    },
  );
  const model = context({ key: random.key(0) }, () =>
    createCLIP({
      image: new ConvEncoder(128, 4),
      text: { vocabSize: tokenizer.vocabSize, context: CONTEXT, width: 64, depth: 2, heads: 2 },
      embed: 64,
    }),
  );
  await train({
    model,
    data,
    steps,
    optimizer: new AdamW(model, { lr: 1e-3 }),
    loss: ({ image, tokens }) => model.loss(image, tokens),
    onProgress: ({ step, loss }) => {
      if (step === 1 || step % 20 === 0 || step === steps) console.log(`step ${step}   loss ${loss.toFixed(4)}`);
    },
  });
  const clip = new CLIP({ model, tokenizer, preprocessor });
  const { textToImage } = await retrieval(
    await clip.encodeImage(emoji.map(({ pixels }) => pixels)),
    await clip.encodeText(words, { truncate: true, onWarning: () => {} }),
  );
  console.log(
    `learnt by heart: ${(textToImage.recall[10]!.value * 100).toFixed(0)} % of ${words.length} in the first ten`,
  );
  // config.json cannot describe your own code: save the weights, and load them into the same code.
  await save(model, values.out);
});
