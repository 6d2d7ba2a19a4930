import { l2Normalize, stack, type Tensor, VlmError } from "@vlm/core";
import { checkClasses } from "./checks.ts";

/** A sentence around a class name: a text with `{}` in the name's place, or a function. */
export type Template = string | ((name: string) => string);

const filled = (template: Template, name: string): string => {
  if (typeof template !== "string") return template(name);
  if (template.includes("{}")) return template.replaceAll("{}", () => name);
  throw new VlmError("ArgumentError", "EVAL_TEMPLATE", {
    what: `zeroShotWeights: the template ${JSON.stringify(template)} has no {} for the name`,
    hint: 'write it like "a photo of a {}."',
  });
};

/** Radford et al. 2021, section 3.1.4: the sentence that they begin with. */
export const photoTemplate = "a photo of a {}.";

/** The seven sentences that Radford et al. 2021 chose from their eighty for ImageNet (their Prompt_Engineering notebook). */
export const sevenTemplates: readonly string[] = [
  "itap of a {}.",
  "a bad photo of the {}.",
  "a origami {}.",
  "a photo of the large {}.",
  "a {} in a video game.",
  "art of the {}.",
  "a photo of the small {}.",
];

/**
 * The weights of a zero-shot classifier (Radford et al. 2021, section 3.1.4): per class the mean of the unit embeddings
 * of its name in every template, made unit length again. `images.matmul(weights.transpose())` gives cosines.
 *
 * @param encodeText gives [texts D], of any length
 * @param classes names, or for each class the sentences that stand for it
 * @returns [K D], unit length
 */
export async function zeroShotWeights(
  encodeText: (texts: string[]) => Promise<Tensor> | Tensor,
  classes: readonly string[] | ReadonlyMap<string, readonly string[]>,
  templates: readonly Template[] = [photoTemplate],
): Promise<Tensor> {
  const named = classes instanceof Map;
  const names = named ? [...classes.keys()] : [...(classes as readonly string[])];
  checkClasses("zeroShotWeights", names);
  const sentences = names.map((name) => {
    const own = named ? [...classes.get(name)!] : templates.map((template) => filled(template, name));
    if (own.length > 0) return own;
    throw new VlmError("ArgumentError", "EVAL_TEMPLATES", {
      what: `zeroShotWeights: there is no sentence for the class ${JSON.stringify(name)}`,
      hint: "give at least one template",
    });
  });
  const all = l2Normalize(await encodeText(sentences.flat())); // [S D]
  let at = 0;
  const means = sentences.map(({ length }) => {
    at += length;
    return all.slice([at - length, at]).mean(0); // [D]
  });
  return l2Normalize(stack(means)); // [K D]
}
