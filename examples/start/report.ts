/** `report.html` and `report.json` of a run. */
import { mkdir, writeFile } from "node:fs/promises";
import path from "node:path";
import type { CLIP } from "@vlm/clip";
import { type Report, reportHtml, reportJson, type Section } from "@vlm/eval";
import { type OpenMoji, overlayHeatMap } from "@vlm/image";
import { captionOf, GROUPS } from "./emoji.ts";
import { encodeTexts, type Scores, scoreRows, shiftOf } from "./evaluate.ts";

export type Run = {
  clip: CLIP;
  heldOut: readonly OpenMoji[];
  losses: readonly (readonly [step: number, loss: number])[];
  color: Scores;
  black: Scores;
  queries: readonly { query: string; found: readonly OpenMoji[] }[];
  details: Record<string, unknown>;
};

/** Writes both files into a folder; gives the path of the page. */
export async function writeReport(folder: string, run: Run): Promise<string> {
  const report: Report = {
    title: "A small CLIP, trained on emoji",
    subtitle: `${run.heldOut.length} emoji that it has not seen · drawings: OpenMoji, CC BY-SA 4.0`,
    details: run.details,
    sections: [
      scores("In colour, as learnt", run.color),
      scores("As black line art: a shift it was not trained for", run.black, shiftNote(run)),
      { kind: "chart", title: "Loss", x: "step", y: "loss", lines: lossLines(run.losses) },
      found(run),
      await described(run),
      { kind: "confusion", title: "Groups: right (rows) and answered (columns)", ...confusion(run.color) },
      await attention(run),
    ],
  };
  await mkdir(folder, { recursive: true });
  const page = path.join(folder, "report.html");
  await writeFile(page, await reportHtml(report));
  await writeFile(path.join(folder, "report.json"), reportJson(report));
  return page;
}

function scores(title: string, of: Scores, note?: string): Section {
  const rows = scoreRows(of).map(({ name, estimate, chance }) => [name, estimate, `${(chance * 100).toFixed(1)} %`]);
  const { ece } = of.groups.calibration;
  const all = [...rows, ["calibration error of the groups (ECE)", ece, ""]];
  const columns = ["held out", "share [95 % interval]", "chance"];
  return { kind: "table", title, ...(note && { note }), columns, rows: all };
}

function shiftNote({ color, black }: Run): string {
  const { drop, kept } = shiftOf(color, black);
  return `Of the accuracy over groups ${(kept * 100).toFixed(0)} % is left (${(drop * 100).toFixed(1)} points fewer).`;
}

/** Every step, and the mean of the last twenty. */
function lossLines(losses: Run["losses"]) {
  const smooth = losses.map(([step], i) => {
    const last = losses.slice(Math.max(0, i - 19), i + 1);
    return [step, last.reduce((sum, [, loss]) => sum + loss, 0) / last.length] as const;
  });
  return [
    { name: "each step", points: losses },
    { name: "mean of twenty", points: smooth },
  ];
}

const confusion = ({ groups }: Scores) => ({ classes: GROUPS, counts: groups.confusion });

function found({ queries }: Run): Section {
  const rows = queries.map(({ query, found: hits }) => ({
    heading: query,
    pictures: hits.map(({ pixels, annotation }) => ({ image: pixels, caption: annotation })),
  }));
  return {
    kind: "pictures",
    title: "Words to pictures",
    note: "Any words; the nearest held-out emoji.",
    rows,
    size: 72,
  };
}

/** Every thirtieth emoji with the captions nearest to it. */
async function described({ clip, heldOut }: Run): Promise<Section> {
  const some = heldOut.filter((_, i) => i % 30 === 0);
  const texts = await encodeTexts(clip, heldOut.map(captionOf));
  const images = await clip.encodeImage(some.map(({ pixels }) => pixels));
  const similar = (await images.matmul(texts.transpose()).array()) as number[][];
  const pictures = some.map((emoji, i) => {
    const best = similar[i]!.indexOf(Math.max(...similar[i]!));
    return { image: emoji.pixels, caption: heldOut[best]!.annotation, good: heldOut[best] === emoji };
  });
  return {
    kind: "pictures",
    title: "Pictures to words",
    note: `The nearest of ${heldOut.length} captions; ✓ where it is the picture's own.`,
    rows: [{ heading: "", pictures }],
    size: 84,
  };
}

async function attention({ clip, heldOut }: Run): Promise<Section> {
  const some = heldOut.filter((_, i) => i % 30 === 15);
  const pictures = [];
  for (const { pixels, annotation } of some) {
    pictures.push({ image: overlayHeatMap(pixels, await clip.attentionMap(pixels)), caption: annotation });
  }
  return {
    kind: "pictures",
    title: "Where it looks",
    note: "Attention rollout from the class token; bright is much.",
    rows: [{ heading: "", pictures }],
    size: 84,
  };
}
