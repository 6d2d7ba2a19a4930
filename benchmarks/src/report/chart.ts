/** SVG by hand: bars of ratios and curves. Readable on white and on dark pages. */
import { type Comparison, scoreOf } from "../run/compare.ts";
import type { Curve } from "./report.ts";

const COLORS = ["#2563eb", "#d97706", "#059669", "#9333ea", "#dc2626", "#64748b", "#0891b2", "#be185d"];
const escaped = (text: string): string => text.replaceAll("&", "&amp;").replaceAll("<", "&lt;");

const text = (x: number, y: number, content: string, anchor = "start", size = 12): string =>
  `<text x="${x.toFixed(1)}" y="${y.toFixed(1)}" text-anchor="${anchor}" font-size="${size}" fill="currentColor">${escaped(content)}</text>`;

const svg = (width: number, height: number, title: string, parts: readonly string[]): string =>
  `<svg xmlns="http://www.w3.org/2000/svg" width="${width}" height="${height}" viewBox="0 0 ${width} ${height}" role="img" ` +
  `font-family="system-ui, sans-serif" style="color:#475569"><title>${escaped(title)}</title>\n${parts.join("\n")}\n</svg>\n`;

/** For each work a bar per library: its best time over ours. Right of the line we are faster. */
export function ratioChart(title: string, comparisons: readonly Comparison[]): string {
  const names = [...new Set(comparisons.flatMap(({ rows }) => rows.slice(1).map(({ contender }) => contender)))];
  const [left, width, bar, gap] = [190, 760, 11, 12];
  const span = width - left - 60;
  const low = Math.log2(0.25);
  const high = Math.log2(32);
  const at = (ratio: number): number =>
    left + (span * (Math.min(high, Math.max(low, Math.log2(ratio))) - low)) / (high - low);
  const parts = [text(8, 20, title, "start", 15)];
  let y = 34;
  names.forEach((name, i) => {
    const x = 8 + (i % 5) * 150;
    if (i % 5 === 0 && i > 0) y += 18;
    parts.push(
      `<rect x="${x}" y="${y}" width="11" height="11" fill="${COLORS[i % COLORS.length]}"/>`,
      text(x + 16, y + 10, name),
    );
  });
  const top = (y += 30);
  const body: string[] = [];
  for (const { name, rows, threads } of comparisons) {
    const ours = rows[0] && scoreOf(rows[0], threads);
    body.push(text(left - 8, y + (bar * (rows.length - 1)) / 2 + 4, name, "end"));
    for (const row of rows.slice(1)) {
      const color = COLORS[names.indexOf(row.contender) % COLORS.length];
      const theirs = scoreOf(row, threads);
      if (ours && theirs) {
        const ratio = theirs / ours;
        const [from, to] = [Math.min(at(1), at(ratio)), Math.max(at(1), at(ratio))];
        body.push(
          `<rect x="${from.toFixed(1)}" y="${y}" width="${Math.max(1, to - from).toFixed(1)}" height="${bar - 2}" fill="${color}"/>`,
          text(Math.max(to, at(1)) + 4, y + 9, `${ratio.toFixed(2)}×`, "start", 10),
        );
      } else body.push(text(at(1) + 4, y + 9, row.state, "start", 10));
      y += bar;
    }
    y += gap;
  }
  for (const ratio of [0.25, 0.5, 1, 2, 4, 8, 16, 32]) {
    const x = at(ratio).toFixed(1);
    const style =
      ratio === 1 ? 'stroke="currentColor" stroke-width="1.5"' : 'stroke="currentColor" stroke-opacity="0.2"';
    parts.push(
      `<line x1="${x}" y1="${top - 6}" x2="${x}" y2="${y}" ${style}/>`,
      text(Number(x), y + 14, `${ratio}×`, "middle", 10),
    );
  }
  parts.push(
    ...body,
    text(left, y + 30, "← they are faster · time of theirs over ours, best of each · we are faster →", "start", 11),
  );
  return svg(width, y + 40, title, parts);
}

export function curveChart({ title, x: xName, y: yName, series, logarithmic }: Curve): string {
  const [width, height, left, right, top, bottom] = [640, 360, 70, 170, 40, 46];
  const points = series.flatMap((one) => one.points);
  const scale = (value: number): number => (logarithmic ? Math.log2(value) : value);
  const range = (values: number[]): [number, number] => {
    const low = logarithmic ? Math.min(...values) : 0;
    return [low, Math.max(...values, low + 1e-9)];
  };
  const [x0, x1] = range(points.map(([x]) => scale(x)));
  const [y0, y1] = range(points.map(([, y]) => scale(y)));
  const px = (x: number): number => left + ((width - left - right) * (scale(x) - x0)) / (x1 - x0 || 1);
  const py = (y: number): number => height - bottom - ((height - top - bottom) * (scale(y) - y0)) / (y1 - y0 || 1);
  const parts = [text(8, 20, title, "start", 15)];
  parts.push(`<path d="M${left} ${top}V${height - bottom}H${width - right}" fill="none" stroke="currentColor"/>`);
  for (const x of new Set(points.map(([value]) => value)))
    parts.push(text(px(x), height - bottom + 16, `${x}`, "middle", 10));
  for (let i = 0; i <= 4; i++) {
    const raw = y0 + ((y1 - y0) * i) / 4;
    const value = logarithmic ? 2 ** raw : raw;
    parts.push(text(left - 6, py(value) + 4, value >= 100 ? value.toFixed(0) : value.toPrecision(2), "end", 10));
  }
  series.forEach(({ name, points: line }, i) => {
    const color = COLORS[i % COLORS.length]!;
    const path = line.map(([x, y], at) => `${at ? "L" : "M"}${px(x).toFixed(1)} ${py(y).toFixed(1)}`).join("");
    parts.push(`<path d="${path}" fill="none" stroke="${color}" stroke-width="2"/>`);
    for (const [x, y] of line)
      parts.push(`<circle cx="${px(x).toFixed(1)}" cy="${py(y).toFixed(1)}" r="3" fill="${color}"/>`);
    parts.push(`<rect x="${width - right + 12}" y="${top + 18 * i}" width="11" height="11" fill="${color}"/>`);
    parts.push(text(width - right + 28, top + 18 * i + 10, name));
  });
  parts.push(text((left + width - right) / 2, height - 10, xName, "middle"), text(left, top - 6, yName));
  return svg(width, height, title, parts);
}
