/**
 * Which of these labels fits an image best?
 *
 *   npx tsx examples/classify.ts --model runs/start/model --labels "cat,dog,boat" cat.png dog.png
 *
 * `--model` is a folder, a URL, or a name on the Hugging Face Hub such as openai/clip-vit-base-patch32.
 */
import { parseArgs } from "node:util";
import { CLIP } from "@vlm/clip";
import { program, UsageError } from "./lib/program.ts";

await program(async () => {
  const { values, positionals: images } = parseArgs({
    allowPositionals: true,
    options: {
      model: { type: "string", default: "runs/start/model" },
      labels: { type: "string", default: "animal,food,person,building,face" },
      template: { type: "string", multiple: true, default: ["{}"] },
    },
  });
  const labels = values.labels
    .split(",")
    .map((label) => label.trim())
    .filter((label) => label !== "");
  if (labels.length < 2) {
    throw new UsageError(`Choosing needs two labels or more, and --labels has ${labels.length}: --labels "cat,dog".`);
  }
  if (images.length === 0) throw new UsageError("Name at least one image: classify.ts --labels cat,dog cat.png.");

  const clip = await CLIP.load(values.model);
  // The labels become vectors once, whatever the number of images.
  const classifier = await clip.classifier(labels, { templates: values.template });
  for (const image of images) {
    const ranking = await classifier.classify(image);
    console.log(image);
    for (const { label, probability } of ranking.slice(0, 5)) {
      const bar = "█".repeat(Math.round(probability * 30));
      console.log(`  ${(probability * 100).toFixed(1).padStart(5)} %  ${label.padEnd(20)} ${bar}`);
    }
  }
});
