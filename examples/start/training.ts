/** The training itself, with what a person wants to see of it. */
import { mkdir, readFile, rm, writeFile } from "node:fs/promises";
import path from "node:path";
import type { CLIP } from "@vlm/clip";
import type { OpenMoji } from "@vlm/image";
import { train } from "@vlm/nn";
import type { Tokenizer } from "@vlm/tokenizers";
import { checkpoints } from "@vlm/weights";
import { trainingData } from "./data.ts";
import { preview, score } from "./evaluate.ts";
import type { StartOptions } from "./options.ts";
import { Progress } from "./progress.ts";
import { lossOf, optimizerFor } from "./recipe.ts";

/** Losses of all steps, those before an interruption included. */
export type Trained = { losses: Losses; resumedFrom: number | null };

const SIGNALS = ["SIGINT", "SIGTERM"] as const;

type Losses = (readonly [step: number, loss: number])[];

/** Trains to the end; null when Ctrl-C stopped it, after saving. */
export async function trainModel(
  clip: CLIP,
  parts: { seen: OpenMoji[]; heldOut: OpenMoji[]; tokenizer: Tokenizer; options: StartOptions },
): Promise<Trained | null> {
  const { model } = clip;
  const { steps, batch, seed, out, resume } = parts.options;
  const folder = path.join(out, "checkpoints");
  if (!resume) await rm(folder, { recursive: true, force: true });
  const progress = new Progress(batch);
  const file = path.join(out, "losses.json");
  const earlier = resume ? await readLosses(file) : [];
  const losses: Losses = [];
  const all = (): Losses => [
    ...earlier.filter(([step]) => step < (losses[0]?.[0] ?? Number.POSITIVE_INFINITY)),
    ...losses,
  ];
  const stop = new AbortController();
  const interrupt = (): void => stop.abort();
  for (const signal of SIGNALS) process.once(signal, interrupt);
  try {
    const { resumedFrom } = await train({
      model,
      optimizer: optimizerFor(model, steps),
      data: trainingData(parts.seen, parts.tokenizer, { batch, seed }),
      loss: (batch) => lossOf(model, batch),
      steps,
      checkpoint: { store: checkpoints(folder, { keep: 1 }), minutes: 1 },
      signal: stop.signal,
      evaluate: {
        every: Math.ceil(steps / 4),
        run: async (step) => {
          progress.end();
          if (step < steps) console.log(preview(await score(clip, parts.heldOut)));
          return {};
        },
      },
      onProgress: (at) => {
        if (at.evaluation) return;
        losses.push([at.step, at.loss]);
        progress.show(at);
      },
    });
    return { losses: all(), resumedFrom };
  } catch (error) {
    if (stop.signal.aborted) return null;
    throw error;
  } finally {
    for (const signal of SIGNALS) process.off(signal, interrupt);
    progress.end();
    await mkdir(out, { recursive: true });
    await writeFile(file, JSON.stringify(all()));
  }
}

async function readLosses(file: string): Promise<Losses> {
  try {
    return JSON.parse(await readFile(file, "utf8")) as Losses;
  } catch {
    return []; // The run was killed before it wrote them: the curve begins where it goes on.
  }
}
