import { escapeHtml } from "./escape.ts";
import type { Line } from "./report.ts";

const [WIDTH, HEIGHT] = [720, 260];
const MARGIN = { left: 56, right: 16, top: 12, bottom: 40 };

/** Lines over a plane with axes, as SVG. Points that are not finite are left out. */
export function chartSvg(x: string, y: string, lines: readonly Line[]): string {
  const all = lines.flatMap(({ points }) => points.filter(isFinitePoint));
  if (all.length === 0) return `<p>There is nothing to draw.</p>`;
  const xs = ticks(all.map(([at]) => at));
  const ys = ticks(all.map(([, value]) => value));
  const [plotWidth, plotHeight] = [WIDTH - MARGIN.left - MARGIN.right, HEIGHT - MARGIN.top - MARGIN.bottom];
  const px = (at: number): number => round(MARGIN.left + ((at - xs.low) / (xs.high - xs.low)) * plotWidth);
  const py = (value: number): number => round(MARGIN.top + (1 - (value - ys.low) / (ys.high - ys.low)) * plotHeight);
  const base = HEIGHT - MARGIN.bottom;
  const parts = [
    ...ys.at.map(
      (value) =>
        `<line class="grid" x1="${MARGIN.left}" x2="${WIDTH - MARGIN.right}" y1="${py(value)}" y2="${py(value)}"/>` +
        `<text class="tick" x="${MARGIN.left - 8}" y="${py(value) + 4}" text-anchor="end">${label(value)}</text>`,
    ),
    ...xs.at.map((at) => `<text class="tick" x="${px(at)}" y="${base + 16}" text-anchor="middle">${label(at)}</text>`),
    `<text class="tick" x="${MARGIN.left + plotWidth / 2}" y="${HEIGHT - 6}" text-anchor="middle">${escapeHtml(x)}</text>`,
    ...lines.map(({ points }, i) => {
      const path = points.filter(isFinitePoint).map(([at, value]) => `${px(at)},${py(value)}`);
      return `<polyline class="line line${i % 4}" points="${path.join(" ")}"/>`;
    }),
  ];
  const legend = lines.map(({ name }, i) => `<span class="key line${i % 4}">${escapeHtml(name)}</span>`).join(" ");
  const summary = `${y} over ${x}: ${lines.map(({ name }) => name).join(", ")}`;
  return (
    `<svg viewBox="0 0 ${WIDTH} ${HEIGHT}" role="img" aria-label="${escapeHtml(summary)}">${parts.join("")}</svg>` +
    `<p class="legend">${escapeHtml(y)}: ${legend}</p>`
  );
}

const isFinitePoint = ([x, y]: readonly [number, number]): boolean => Number.isFinite(x) && Number.isFinite(y);

/** About five round numbers (1, 2 or 5 times a power of ten) that span the values. */
function ticks(values: readonly number[]): { low: number; high: number; at: number[] } {
  let [low, high] = [Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY];
  for (const value of values) [low, high] = [Math.min(low, value), Math.max(high, value)];
  if (low === high) [low, high] = [low - 0.5, high + 0.5];
  const rough = (high - low) / 5;
  const power = 10 ** Math.floor(Math.log10(rough));
  const step = [1, 2, 5, 10].map((factor) => factor * power).find((candidate) => candidate >= rough)!;
  const [first, last] = [Math.floor(low / step), Math.ceil(high / step)];
  const at = Array.from({ length: last - first + 1 }, (_, i) => (first + i) * step);
  return { low: first * step, high: last * step, at };
}

const round = (value: number): number => Math.round(value * 10) / 10;
const label = (value: number): string => String(Number(value.toPrecision(6)));
