import { l2Normalize, type Tensor, VlmError } from "@vlm/core";

/** A label and how probable it is. */
export type Classification = { readonly label: string; readonly probability: number };
/** All labels, most probable first. */
export type Ranking = readonly [Classification, ...Classification[]];

/** A sentence for a label: a text with `{}` in the label's place, or a function. */
export type Template = string | ((label: string) => string);

/** How labels become sentences. */
export type PromptOptions = {
  /** Sentences whose embeddings are averaged for each label (Radford et al. 2021, section 3.1.4). Default `["{}"]`. */
  templates?: readonly Template[];
};

/**
 * Every label in every template, label by label. Throws `ArgumentError` `LABELS_EMPTY`, `LABEL_EMPTY`,
 * `LABEL_DUPLICATE`, `TEMPLATES_EMPTY` or `TEMPLATE`.
 */
export function prompts(labels: readonly string[], templates: readonly Template[] = ["{}"]): string[] {
  const fail = (code: string, what: string, hint: string): never => {
    throw new VlmError("ArgumentError", code, { what: `classify: ${what}`, hint });
  };
  if (labels.length === 0) fail("LABELS_EMPTY", "there are no labels", "give at least one");
  if (templates.length === 0)
    fail("TEMPLATES_EMPTY", "there are no templates", 'leave them out, or give ["a photo of a {}."]');
  const seen = new Map<string, number>();
  for (const [i, label] of labels.entries()) {
    if (label.trim() === "") fail("LABEL_EMPTY", `label ${i} is empty`, "every label is a text");
    const before = seen.get(label);
    if (before !== undefined) {
      fail(
        "LABEL_DUPLICATE",
        `labels ${before} and ${i} are the same text`,
        "they would share their probability: leave one out",
      );
    }
    seen.set(label, i);
  }
  for (const [i, template] of templates.entries()) {
    if (typeof template === "string" && !template.includes("{}")) {
      fail("TEMPLATE", `template ${i} has no {} for the label`, 'write it like "a photo of a {}."');
    }
  }
  const filled = (template: Template, label: string): string =>
    typeof template === "string" ? template.replaceAll("{}", () => label) : template(label);
  return labels.flatMap((label) => templates.map((template) => filled(template, label)));
}

/** One unit vector per label: the mean of its prompts' unit vectors, made a unit vector again: [K·P E] → [K E]. */
export function ensemble(embeddings: Tensor, labels: number): Tensor {
  const [total, E] = embeddings.dims(2);
  return l2Normalize(embeddings.reshape([labels, total / labels, E]).mean(1));
}

/** Labels with their probabilities, most probable first; equal ones in the order given. */
export function rank(labels: readonly string[], probabilities: ArrayLike<number>): Ranking {
  const all = labels.map((label, i) => ({ label, probability: probabilities[i]! }));
  return all.sort((a, b) => b.probability - a.probability) as unknown as Ranking;
}
