/** `npm start`: trains a CLIP on real drawings, says what it is worth, and uses it. */
import path from "node:path";
import { CLIP, type CLIPModel } from "@vlm/clip";
import { enableRelaxedSimd, useDevice } from "@vlm/core";
import type { OpenMoji } from "@vlm/image";
import { trainBpe } from "@vlm/tokenizers";
import { program } from "../lib/program.ts";
import { captionOf, loadEmoji, splitByBase } from "./emoji.ts";
import { score, scoreLines, shiftOf } from "./evaluate.ts";
import { exportInitial } from "./export.ts";
import { HELP, readOptions, type StartOptions } from "./options.ts";
import { clock, countLine } from "./progress.ts";
import { freshModel, PREPROCESSOR, VOCABULARY } from "./recipe.ts";
import { writeReport } from "./report.ts";
import { type Trained, trainModel } from "./training.ts";

const QUERIES = ["a sad face", "something to eat", "an animal that swims"];

async function main(): Promise<void> {
  const options = readOptions(process.argv.slice(2));
  if (options === null) return console.log(HELP);
  const started = performance.now();
  await enableRelaxedSimd(); // the switch is the whole process's, so a library leaves it to the program
  const device = await useDevice(options.device ?? undefined);
  console.log(`\nA small CLIP from scratch, on ${device.name}\n`);

  const emoji = await loadEmoji("color", countLine("drawing OpenMoji's emoji, once"));
  const { train: seen, heldOut } = splitByBase(emoji);
  const tokenizer = trainBpe(seen.map(captionOf), { vocabSize: VOCABULARY });
  const model = freshModel(tokenizer, options);
  console.log(`  ${seen.length} emoji to learn from, ${heldOut.length} held out, none a variant of one that is learnt`);
  console.log(`  ${(weightsOf(model) / 1e6).toFixed(2)} million weights, ${tokenizer.vocabSize} tokens\n`);

  const clip = new CLIP({ model, tokenizer, preprocessor: PREPROCESSOR });
  if (options.exportInitial) {
    const drawings = byId(await loadEmoji("black"));
    await exportInitial(options.out, clip, { train: seen, heldOut, black: heldOut.map(({ id }) => drawings.get(id)!) });
    return console.log(`  first weights and data are in ${options.out}\n`);
  }
  const trained = await trainModel(clip, { seen, heldOut, tokenizer, options });
  if (trained === null) {
    console.log(`\n  Stopped and saved. To go on: npm start -- ${resumeArguments(options)}\n`);
    process.exitCode = 130;
    return;
  }
  await report(clip, heldOut, trained, options);
  console.log(`  ${clock((performance.now() - started) / 1000)} in all\n`);
}

async function report(trained: CLIP, heldOut: OpenMoji[], { losses, resumedFrom }: Trained, options: StartOptions) {
  const folder = path.join(options.out, "model");
  await trained.save(folder);
  // From here on the model is what anyone would load.
  const clip = await CLIP.load(folder);
  const color = await score(clip, heldOut);
  console.log(`\nOn ${heldOut.length} held-out emoji in colour, as learnt, with 95 % intervals:\n${scoreLines(color)}`);
  const drawings = byId(await loadEmoji("black", countLine("drawing line art, once")));
  const black = await score(
    clip,
    heldOut.map(({ id }) => drawings.get(id)!),
  );
  const kept = Math.round(shiftOf(color, black).kept * 100);
  console.log(`\nThe same as black line art, a shift it was not trained for (${kept} % of the accuracy is left):`);
  console.log(scoreLines(black));

  const index = await clip.createIndex(
    heldOut.map(({ pixels }) => pixels),
    { items: heldOut },
  );
  const queries = [];
  console.log("\nSearching the held-out emoji:");
  for (const query of QUERIES) {
    const hits = await clip.search(index, query, { k: 8 });
    const found = hits.map(({ item }) => item);
    queries.push({ query, found });
    console.log(`  ${`"${query}"`.padEnd(26)} ${found.slice(0, 5).map(nameOf).join(", ")}`);
  }
  const details = { options, resumedFrom, weights: weightsOf(clip.model), color, black };
  const page = await writeReport(options.out, { clip, heldOut, losses, color, black, queries, details });
  console.log(`\n  ${page}   scores, pictures, attention maps`);
  console.log(`  ${folder}   CLIP.load("${folder}") opens it, and so does Hugging Face's CLIPModel`);
}

const byId = (emoji: OpenMoji[]): Map<string, OpenMoji> => new Map(emoji.map((one) => [one.id, one]));

const nameOf = ({ emoji, annotation }: OpenMoji): string => `${emoji} ${annotation}`;

const weightsOf = (model: CLIPModel): number => model.parameters().reduce((sum, { size }) => sum + size, 0);

function resumeArguments({ device, steps, batch, seed, out, loss }: StartOptions): string {
  const given = [
    device === null ? "" : `--device ${device}`,
    `--steps ${steps} --batch ${batch} --seed ${seed} --out ${out}`,
    loss === "clip" ? "" : `--loss ${loss}`,
  ];
  return [...given, "--resume"].filter((part) => part !== "").join(" ");
}

await program(main);
