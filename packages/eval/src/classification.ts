import type { Tensor } from "@vlm/core";
import { type BootstrapOptions, bootstrap, type Estimate } from "./bootstrap.ts";
import { type Calibration, calibration } from "./calibration.ts";
import { checkClasses, checkLabels, readRows } from "./checks.ts";

/** The answers on one class. */
export type ClassReport = {
  name: string;
  count: number;
  correct: number /** NaN without examples. */;
  accuracy: number;
};

/** What a classifier's answers are worth, with intervals. */
export type Classification = {
  classes: readonly string[];
  top1: Estimate;
  /** Right class among the five highest; with fewer than five classes, always 1. */
  top5: Estimate;
  /** Top-1 of guessing, 1 / K. */
  chance: number;
  /** Top-1 of always answering the commonest class. */
  majority: number;
  /** Mean of the classes' accuracies, over those that have examples. */
  meanPerClass: number;
  perClass: ClassReport[];
  /** confusion[right][answered], counts. */
  confusion: number[][];
  /** Of the softmax of the logits. */
  calibration: Calibration;
  /** Highest class of each row. */
  answers: number[];
};

/** Names of the classes, and how intervals and calibration are computed. */
export type ClassificationOptions = {
  classes: readonly string[];
  bootstrap?: BootstrapOptions;
  /** Bins of the calibration. Default 15. */
  bins?: number;
};

/**
 * Accuracy of logits against labels. Equal logits count against the answer: a model that says the same of everything
 * is not right by luck.
 *
 * @param logits [N K]; scale cosines by the model's logit scale, or calibration means nothing
 * @param labels N positions in `classes`
 */
export async function classification(
  logits: Tensor,
  labels: readonly number[],
  options: ClassificationOptions,
): Promise<Classification> {
  const { classes, bins = 15 } = options;
  checkClasses("classification", classes);
  const { data, rows, columns } = await readRows("classification", "logits", logits);
  checkLabels("classification", labels, rows, Math.min(columns, classes.length));
  checkLabels("classification", [columns - 1], 1, classes.length);
  const confusion = classes.map(() => classes.map(() => 0));
  const answers: number[] = [];
  const confidences: number[] = [];
  const [top1, top5]: [number[], number[]] = [[], []];
  for (let i = 0; i < rows; i++) {
    const row = data.subarray(i * columns, (i + 1) * columns);
    const label = labels[i]!;
    const rank = rankOf(row, label);
    const answer = rank === 0 ? label : highestBut(row, label);
    top1.push(rank < 1 ? 1 : 0);
    top5.push(rank < 5 || columns <= 5 ? 1 : 0);
    answers.push(answer);
    confidences.push(confidenceOf(row, answer));
    confusion[label]![answer]!++;
  }
  const perClass = classes.map((name, k) => {
    const count = confusion[k]!.reduce((sum, n) => sum + n, 0);
    return { name, count, correct: confusion[k]![k]!, accuracy: confusion[k]![k]! / count };
  });
  const seen = perClass.filter(({ count }) => count > 0);
  return {
    classes,
    top1: bootstrap(top1, options.bootstrap),
    top5: bootstrap(top5, options.bootstrap),
    chance: 1 / classes.length,
    majority: Math.max(...perClass.map(({ count }) => count)) / rows,
    meanPerClass: seen.reduce((sum, { accuracy }) => sum + accuracy, 0) / seen.length,
    perClass,
    confusion,
    calibration: calibration(confidences, top1, bins),
    answers,
  };
}

/** How many others are at least as high as element `at`. */
export function rankOf(row: Float32Array, at: number): number {
  const own = row[at]!;
  let rank = -1; // counts itself
  for (const value of row) if (value >= own) rank++;
  return rank;
}

function highestBut(row: Float32Array, left: number): number {
  let best = left === 0 ? 1 : 0;
  for (let k = 0; k < row.length; k++) if (k !== left && row[k]! > row[best]!) best = k;
  return best;
}

function confidenceOf(row: Float32Array, answer: number): number {
  const top = row.reduce((a, b) => Math.max(a, b), Number.NEGATIVE_INFINITY);
  return Math.exp(row[answer]! - top) / row.reduce((sum, value) => sum + Math.exp(value - top), 0);
}
