import type { Image } from "@vlm/image";
import type { Estimate } from "../bootstrap.ts";

/** What stands in a cell of a table: text, a share with its interval (shown in per cent), or a plain number. */
export type TableCell = string | number | Estimate;

/** A line of a diagram, by name and points. */
export type Line = { name: string; points: readonly (readonly [x: number, y: number])[] };

/** A picture and the words under it; `good` marks a right or a wrong answer. */
export type Picture = { image: Image; caption?: string; good?: boolean };

/** Part of a report. */
export type Section = { title: string; note?: string } & (
  | { kind: "text"; text: string }
  | { kind: "table"; columns: readonly string[]; rows: readonly (readonly TableCell[])[] }
  | { kind: "chart"; x: string; y: string; lines: readonly Line[] }
  /** counts[right][answered]. */
  | { kind: "confusion"; classes: readonly string[]; counts: readonly (readonly number[])[] }
  /** Rows of pictures, each after a heading: a query and what it found. */
  | { kind: "pictures"; rows: readonly { heading: string; pictures: readonly Picture[] }[]; size?: number }
);

/** What a model is worth, for people (`reportHtml`) and programs (`reportJson`). */
export type Report = {
  title: string;
  /** One line under the title: model, data, device, date. */
  subtitle?: string;
  sections: readonly Section[];
  /** Anything else that belongs into the JSON: the command, the seed, versions. */
  details?: Readonly<Record<string, unknown>>;
};

export const isEstimate = (cell: TableCell): cell is Estimate => typeof cell === "object";

/** The report as JSON with two spaces; of pictures only captions and marks are kept. NaN becomes null. */
export function reportJson(report: Report): string {
  const sections = report.sections.map((section) =>
    section.kind === "pictures"
      ? {
          ...section,
          rows: section.rows.map(({ heading, pictures }) => ({
            heading,
            pictures: pictures.map(({ image: _, ...rest }) => rest),
          })),
        }
      : section,
  );
  return `${JSON.stringify({ ...report, sections }, null, 2)}\n`;
}
