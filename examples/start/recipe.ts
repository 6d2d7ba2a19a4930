/** The model and how it is trained. `docs/guides/first-clip.md` says what each choice brought. */
import { type CLIPConfig, type CLIPModel, createCLIP } from "@vlm/clip";
import { multiPositiveLoss, siglipLoss } from "@vlm/contrastive";
import { chunk, context, random, type Tensor } from "@vlm/core";
import { clipNormalization, type Preprocessor } from "@vlm/image";
import { cosine, Muon } from "@vlm/nn";
import type { Tokenizer } from "@vlm/tokenizers";
import type { Batch } from "./data.ts";
import { IMAGE_SIZE } from "./emoji.ts";

/** Tokens of a caption, start and end among them; longer ones are cut. */
export const CONTEXT = 24;
/** Words that occur often are one token, others are made of pieces. */
export const VOCABULARY = 2048;

export const PREPROCESSOR: Preprocessor = {
  resize: { kind: "shortest", size: IMAGE_SIZE },
  filter: "bicubic",
  crop: { height: IMAGE_SIZE, width: IMAGE_SIZE },
  rescale: 1 / 255,
  normalize: clipNormalization,
};

export function modelConfig(tokenizer: Tokenizer, loss: "clip" | "siglip"): CLIPConfig {
  return {
    image: { kind: "vit", imageSize: IMAGE_SIZE, patchSize: 4, width: 128, depth: 2, heads: 4 },
    text: {
      vocabSize: tokenizer.vocabSize,
      context: CONTEXT,
      width: 128,
      depth: 1,
      heads: 4,
      endId: tokenizer.tokenToId("<|endoftext|>")!,
    },
    embed: 128,
    ...(loss === "siglip" && { logitScale: Math.log(10), logitBias: -10 }),
  };
}

/** A model whose first weights follow from the seed. */
export function freshModel(tokenizer: Tokenizer, { loss, seed }: { loss: "clip" | "siglip"; seed: number }): CLIPModel {
  return context({ key: random.key(seed) }, () => createCLIP(modelConfig(tokenizer, loss)));
}

/**
 * Both views of a picture find its caption, by CLIP's loss with several right answers, by degrees (`likeness`), or by
 * SigLIP's, which asks of each pair by itself; and, as in SLIP (Mu et al. 2021), they find each other.
 */
export function lossOf(model: CLIPModel, { images, tokens, alike }: Batch): Tensor {
  const { logitScale, logitBias } = model;
  const [first, second] = chunk(model.imageFeatures(images), 2) as [Tensor, Tensor];
  const text = model.textFeatures(tokens);
  const toText = (view: Tensor): Tensor =>
    logitBias ? siglipLoss(view, text, logitScale, logitBias) : multiPositiveLoss(view, text, alike, logitScale);
  const between = multiPositiveLoss(first, second, alike, logitScale);
  return toText(first).add(toText(second)).div(2).add(between);
}

/** Muon moves the matrices of the blocks, AdamW the rest; the matrices bear a higher rate. */
export function optimizerFor(model: CLIPModel, steps: number): Muon {
  const hidden = /blocks.*(qkv|out|up|down)\.weight/;
  return new Muon(model, {
    hidden,
    lr: cosine(2e-3, { warmup: Math.min(50, Math.ceil(steps / 10)), steps: steps + 1 }),
    groups: [{ parameters: hidden, lrScale: 4 }],
    betas: [0.9, 0.98],
    weightDecay: 0.1,
    clip: 1,
  });
}
