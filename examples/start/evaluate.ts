/** What the model is worth on emoji that it has not seen. */
import type { CLIP } from "@vlm/clip";
import type { Tensor } from "@vlm/core";
import {
  type Classification,
  classification,
  effectiveRobustness,
  type Retrieval,
  type Robustness,
  retrieval,
  zeroShotWeights,
} from "@vlm/eval";
import type { OpenMoji } from "@vlm/image";
import { captionOf, GROUP_SENTENCES, GROUPS } from "./emoji.ts";

export type Scores = { groups: Classification; retrieval: Retrieval };

/** Embeddings of texts, [N E], those beyond the context cut. */
export const encodeTexts = (clip: CLIP, texts: readonly string[]): Promise<Tensor> =>
  clip.encodeText(texts, { truncate: true, onWarning: () => {}, batch: 100 });

export async function score(clip: CLIP, emoji: readonly OpenMoji[]): Promise<Scores> {
  const pictures = emoji.map(({ pixels }) => pixels);
  const images = await clip.encodeImage(pictures, { batch: 100 }); // [N E]
  const texts = await encodeTexts(clip, emoji.map(captionOf)); // [N E]
  const weights = await zeroShotWeights((sentences) => encodeTexts(clip, sentences), GROUP_SENTENCES); // [K E]
  const labels = emoji.map(({ group }) => GROUPS.indexOf(group));
  return {
    groups: await classification(clip.model.logits(images, weights), labels, { classes: GROUPS }),
    retrieval: await retrieval(images, texts),
  };
}

/** How much of the accuracy over groups is left on line art. */
export const shiftOf = (color: Scores, black: Scores): Robustness =>
  effectiveRobustness({ inDistribution: color.groups.top1.value, shifted: black.groups.top1.value });

const percent = (share: number): string => `${(share * 100).toFixed(1).padStart(5)} %`;

/** The scores by name: value with interval, and what guessing gives. */
export function scoreRows({ groups, retrieval: { textToImage, imageToText } }: Scores) {
  const recalls = (name: string, { recall, chance }: typeof textToImage) =>
    [1, 5, 10].map((k) => ({ name: `${name} R@${k}`, estimate: recall[k]!, chance: chance[k]! }));
  return [
    { name: "group of a picture, zero-shot", estimate: groups.top1, chance: groups.chance },
    ...recalls("text to image", textToImage),
    ...recalls("image to text", imageToText),
  ];
}

/** The scores as lines of text. */
export const scoreLines = (scores: Scores): string =>
  scoreRows(scores)
    .map(({ name, estimate: { value, low, high }, chance }) => {
      const interval = `[${percent(low)}, ${percent(high)}]`;
      return `  ${name.padEnd(30)} ${percent(value)}   ${interval}   chance ${percent(chance)}`;
    })
    .join("\n");

/** The scores in one line, while training goes on. */
export function preview({ groups, retrieval: { textToImage, imageToText } }: Scores): string {
  const [t, i] = [textToImage.recall[10]!.value, imageToText.recall[10]!.value];
  return `  so far on held-out emoji: group ${percent(groups.top1.value)}, text to image R@10 ${percent(t)}, image to text R@10 ${percent(i)}`;
}
