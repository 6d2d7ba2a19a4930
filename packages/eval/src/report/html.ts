import { VlmError } from "@vlm/core";
import { encodePng, type Image } from "@vlm/image";
import { chartSvg } from "./chart.ts";
import { escapeHtml } from "./escape.ts";
import { isEstimate, type Picture, type Report, type Section, type TableCell } from "./report.ts";
import { STYLE } from "./style.ts";

/**
 * One static HTML page with everything inside: no script, nothing fetched, light and dark. Text is escaped, so captions
 * and names may come from anywhere.
 */
export async function reportHtml(report: Report): Promise<string> {
  const sections = await Promise.all(report.sections.map(sectionHtml));
  const subtitle = report.subtitle ? `<p class="subtitle">${escapeHtml(report.subtitle)}</p>` : "";
  return `<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; img-src data:; style-src 'unsafe-inline'">
<title>${escapeHtml(report.title)}</title>
<style>${STYLE}</style>
<main>
<h1>${escapeHtml(report.title)}</h1>
${subtitle}
${sections.join("\n")}
</main>
</html>
`;
}

async function sectionHtml(section: Section): Promise<string> {
  const note = section.note ? `<p class="note">${escapeHtml(section.note)}</p>` : "";
  return `<section>\n<h2>${escapeHtml(section.title)}</h2>\n${note}\n${await bodyHtml(section)}\n</section>`;
}

async function bodyHtml(section: Section): Promise<string> {
  switch (section.kind) {
    case "text":
      return `<p>${escapeHtml(section.text)}</p>`;
    case "table":
      return tableHtml(section.columns, section.rows);
    case "chart":
      return chartSvg(section.x, section.y, section.lines);
    case "confusion":
      return confusionHtml(section.classes, section.counts);
    case "pictures":
      return (await Promise.all(section.rows.map((row) => stripHtml(row, section.size ?? 96)))).join("\n");
  }
}

function tableHtml(columns: readonly string[], rows: readonly (readonly TableCell[])[]): string {
  const head = columns.map((name) => `<th scope="col">${escapeHtml(name)}</th>`).join("");
  const body = rows.map((row) => `<tr>${row.map((cell) => `<td>${cellHtml(cell)}</td>`).join("")}</tr>`);
  return `<div class="scroll"><table><thead><tr>${head}</tr></thead><tbody>${body.join("")}</tbody></table></div>`;
}

const percent = (share: number): string => `${(share * 100).toFixed(1)} %`;

function cellHtml(cell: TableCell): string {
  if (typeof cell === "string") return escapeHtml(cell);
  if (typeof cell === "number") return Number.isFinite(cell) ? String(Number(cell.toPrecision(4))) : "–";
  if (!isEstimate(cell)) return "";
  return `${percent(cell.value)} <small>[${percent(cell.low)}, ${percent(cell.high)}]</small>`;
}

/** Rows are the right classes, columns the answers; the shade is the share of the row. */
function confusionHtml(classes: readonly string[], counts: readonly (readonly number[])[]): string {
  if (counts.length !== classes.length || counts.some((row) => row.length !== classes.length)) {
    throw new VlmError("ShapeError", "REPORT_CONFUSION", {
      what: `reportHtml: a confusion matrix of ${classes.length} classes has ${counts.length} rows`,
      hint: "give as many rows and columns as classes",
    });
  }
  // Long names are cut; the title has all of them.
  const named = (name: string, scope: string): string =>
    `<th scope="${scope}" title="${escapeHtml(name)}"><span>${escapeHtml(name)}</span></th>`;
  const head = classes.map((name) => named(name, "col")).join("");
  const body = counts.map((row, right) => {
    const total = row.reduce((sum, n) => sum + n, 0);
    const cells = row.map((n, answer) => {
      const share = total > 0 ? n / total : 0;
      const color = right === answer ? "var(--good)" : "var(--bad)";
      const shade = `background: color-mix(in srgb, ${color} ${Math.round(share * 75)}%, var(--card))`;
      return `<td style="${shade}">${n === 0 ? "" : n}</td>`;
    });
    return `<tr>${named(classes[right]!, "row")}${cells.join("")}</tr>`;
  });
  return `<div class="scroll"><table class="confusion"><thead><tr><th></th>${head}</tr></thead><tbody>${body.join("")}</tbody></table></div>`;
}

async function stripHtml(
  { heading, pictures }: { heading: string; pictures: readonly Picture[] },
  size: number,
): Promise<string> {
  const figures = await Promise.all(pictures.map(figureHtml));
  return `<div class="row"><h3>${escapeHtml(heading)}</h3><div class="strip" style="--size: ${Number(size)}px">${figures.join("")}</div></div>`;
}

async function figureHtml({ image, caption, good }: Picture): Promise<string> {
  const mark = good === undefined ? "" : ` class="${good ? "good" : "bad"}"`;
  const text = escapeHtml(caption ?? "");
  const words = caption === undefined ? "" : `<figcaption>${text}</figcaption>`;
  return `<figure${mark}><img alt="${text}" src="${await dataUrl(image)}">${words}</figure>`;
}

async function dataUrl(image: Image): Promise<string> {
  const bytes = await encodePng(image);
  let binary = "";
  for (const byte of bytes) binary += String.fromCharCode(byte);
  return `data:image/png;base64,${btoa(binary)}`;
}
