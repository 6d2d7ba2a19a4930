/**
 * How good are a CLIP's features for classes of your own? A linear probe and nearest neighbours on frozen features.
 *
 *   npx tsx examples/linear-probe.ts pictures/ --model runs/start/model
 *
 * The folder has one folder per class: pictures/cat/1.png, pictures/dog/1.png. Every fourth picture is for testing.
 */
import { readdir } from "node:fs/promises";
import path from "node:path";
import { parseArgs } from "node:util";
import { CLIP } from "@vlm/clip";
import { type Estimate, knn, linearProbe } from "@vlm/eval";
import { program, UsageError } from "./lib/program.ts";

await program(async () => {
  const { values, positionals } = parseArgs({
    allowPositionals: true,
    options: { model: { type: "string", default: "runs/start/model" } },
  });
  const [folder] = positionals;
  if (folder === undefined) throw new UsageError("Name a folder with one folder per class: linear-probe.ts pictures/.");
  const { classes, files } = await listClasses(folder);

  const clip = await CLIP.load(values.model);
  const features = async (part: typeof files) => ({
    features: await clip.encodeImage(part.map(({ file }) => file)), // [N E]
    labels: part.map(({ label }) => label),
  });
  const train = await features(files.filter((_, i) => i % 4 !== 3));
  const test = await features(files.filter((_, i) => i % 4 === 3));
  const probe = await linearProbe(train, test, { classes });
  const neighbours = await knn(train, test, { classes, k: 10 });

  console.log(
    `${train.labels.length} pictures to learn from, ${test.labels.length} to test, ${classes.length} classes`,
  );
  console.log(`  linear probe   ${share(probe.test.top1)}`);
  console.log(`  10 neighbours  ${share(neighbours.top1)}`);
  console.log(`  commonest class ${(probe.test.majority * 100).toFixed(1)} %`);
  for (const { name, correct, count } of probe.test.perClass) console.log(`    ${name}: ${correct} of ${count}`);
});

function share({ value, low, high }: Estimate): string {
  return `${(value * 100).toFixed(1)} %  [${(low * 100).toFixed(1)}, ${(high * 100).toFixed(1)}]`;
}

async function listClasses(folder: string): Promise<{ classes: string[]; files: { file: string; label: number }[] }> {
  const entries = await readdir(folder, { withFileTypes: true }).catch((error: NodeJS.ErrnoException) => {
    throw new UsageError(`The folder ${folder} cannot be read (${error.code}).`);
  });
  const classes = entries
    .filter((entry) => entry.isDirectory())
    .map(({ name }) => name)
    .sort();
  if (classes.length < 2)
    throw new UsageError(`${folder} holds ${classes.length} folders; a class each, two at least.`);
  const files: { file: string; label: number }[] = [];
  for (const [label, name] of classes.entries()) {
    for (const file of (await readdir(path.join(folder, name))).sort()) {
      if (/\.(png|jpe?g|gif|bmp|webp|avif)$/i.test(file)) files.push({ file: path.join(folder, name, file), label });
    }
  }
  if (files.length < 8) throw new UsageError(`${folder} holds ${files.length} pictures; a probe needs eight at least.`);
  return { classes, files };
}
