/**
 * Trains a CLIP further on a folder of pictures with words.
 *
 *   npx tsx examples/fine-tune.ts photos/ --model runs/start/model --out runs/mine
 *
 * The words of `dog.jpg` are in `dog.txt`; a table `metadata.csv` with file_name and caption does too.
 */
import { parseArgs } from "node:util";
import { CLIP } from "@vlm/clip";
import { fromHost } from "@vlm/core";
import { imageCaptions } from "@vlm/image";
import { AdamW, cosine, train } from "@vlm/nn";
import { program, UsageError } from "./lib/program.ts";

await program(async () => {
  const { values, positionals } = parseArgs({
    allowPositionals: true,
    options: {
      model: { type: "string", default: "runs/start/model" },
      out: { type: "string", default: "runs/fine-tuned" },
      steps: { type: "string", default: "200" },
      batch: { type: "string", default: "32" },
      lr: { type: "string", default: "1e-4" },
    },
  });
  const [folder] = positionals;
  if (folder === undefined) throw new UsageError("Name a folder of pictures with words: fine-tune.ts photos/.");
  const [steps, batch] = [Number(values.steps), Number(values.batch)];

  const clip = await CLIP.load(values.model);
  const { model, tokenizer, preprocessor } = clip;
  const { text } = model.config;
  if (tokenizer === null || !("context" in text)) throw new UsageError(`${values.model} has no tokenizer.`);

  const data = imageCaptions(folder, {
    batch,
    shuffle: 1,
    dropLast: true,
    onError: "skip",
    preprocess: preprocessor,
    tokenize: (captions) => {
      const { ids, shape } = tokenizer.encodeBatch(captions, { length: text.context });
      return fromHost(ids, shape, "i32");
    },
  });
  // Low layers know edges and colours already; only the upper half of the picture's blocks changes.
  model.freeze(/^image\.(patch|position|classToken|preNorm|blocks\.[01]\.)/);
  await train({
    model,
    data,
    steps,
    optimizer: new AdamW(model, { lr: cosine(Number(values.lr), { warmup: 1, steps: steps + 1 }), weightDecay: 0.1 }),
    loss: ({ image, tokens }) => model.loss(image, tokens),
    onProgress: ({ step, loss }) => {
      if (step === 1 || step % 20 === 0 || step === steps) console.log(`step ${step}   loss ${loss.toFixed(4)}`);
    },
  });
  if (data.skipped.count > 0) console.warn(`${data.skipped.count} samples could not be read.`);
  await clip.save(values.out);
  console.log(`saved in ${values.out}`);
});
