/** The training itself, with what a person wants to see of it. */
import { rm } from "node:fs/promises";
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
import { optimizerFor } from "./recipe.ts";

export type Trained = { losses: [step: number, loss: number][]; resumedFrom: number | null };

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
  const losses: [number, number][] = [];
  const stop = new AbortController();
  const interrupt = (): void => stop.abort();
  process.once("SIGINT", interrupt);
  try {
    const { resumedFrom } = await train({
      model,
      optimizer: optimizerFor(model, steps),
      data: trainingData(parts.seen, parts.tokenizer, { batch, seed }),
      loss: ({ image, tokens }) => model.loss(image, tokens),
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
    return { losses, resumedFrom };
  } catch (error) {
    if (stop.signal.aborted) return null;
    throw error;
  } finally {
    process.off("SIGINT", interrupt);
    progress.end();
  }
}
