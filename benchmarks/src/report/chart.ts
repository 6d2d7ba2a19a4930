/** Three charts: ratios to ours as points, amounts as bars, growth as curves. */
import { type Comparison, scoreOf } from "../run/field.ts";
import type { Curve, Table } from "./report.ts";
import { colorOf, label, short, svg } from "./svg.ts";

/** One of each contender's shapes, so that colour is not all that tells them apart. */
function marker(name: string, x: number, y: number): string {
  const color = colorOf(name);
  const at = (dx: number, dy: number): string => `${(x + dx).toFixed(1)} ${(y + dy).toFixed(1)}`;
  const polygon = (...points: [number, number][]): string =>
    `<path class="${color} mark" d="M${points.map(([dx, dy]) => at(dx, dy)).join("L")}Z"/>`;
  switch (color) {
    case "ours":
      return `<circle class="ours hollow" cx="${x.toFixed(1)}" cy="${y}" r="${/Node/.test(name) ? 3 : 5}"/>`;
    case "c1":
      return `<circle class="c1 mark" cx="${x.toFixed(1)}" cy="${y}" r="5"/>`;
    case "c2":
      return polygon([-5, -5], [5, -5], [5, 5], [-5, 5]);
    case "c3":
      return polygon([0, -6], [6, 0], [0, 6], [-6, 0]);
    case "c4":
      return polygon([0, -6], [6, 5], [-6, 5]);
    default:
      return polygon([-6, -5], [6, -5], [0, 6]);
  }
}

const legend = (names: readonly string[], width: number, top: number, row: number): { parts: string[]; y: number } => {
  const parts: string[] = [];
  let [x, y] = [20, top];
  for (const name of names) {
    const size = 30 + 7 * name.length;
    if (x + size > width) [x, y] = [20, y + row];
    parts.push(marker(name, x, y), label(x + 12, y + 4, name));
    x += size;
  }
  return { parts, y };
};

/** For each work a point per library: its best time over ours, on an axis by factors of two. */
export function ratioChart(title: string, comparisons: readonly Comparison[]): string {
  const names = [...new Set(comparisons.flatMap(({ rows }) => rows.slice(1).map(({ contender }) => contender)))];
  const own = comparisons[0]?.rows[0]?.contender ?? "vlm";
  const [left, right, width, row] = [260, 150, 940, 24];
  const ratiosOf = ({ rows, threads }: Comparison): { name: string; ratio: number }[] => {
    const ours = rows[0] && scoreOf(rows[0], threads);
    return rows.slice(1).flatMap((one) => {
      const theirs = scoreOf(one, threads);
      return ours && theirs ? [{ name: one.contender, ratio: theirs / ours }] : [];
    });
  };
  const all = comparisons.flatMap(ratiosOf).map(({ ratio }) => Math.log2(ratio));
  const low = Math.max(-6, Math.floor(Math.min(-1, ...all)));
  const high = Math.min(8, Math.ceil(Math.max(1, ...all)));
  const at = (log: number): number =>
    left + ((width - left - right) * (Math.min(high, Math.max(low, log)) - low)) / (high - low);
  const { parts, y: last } = legend(names, width - 20, 48, 20);
  const top = last + 44;
  const bottom = top + row * comparisons.length;
  const box = (kind: string, from: number, to: number): string =>
    `<rect class="${kind}" x="${from.toFixed(1)}" y="${top}" width="${(to - from).toFixed(1)}" height="${bottom - top}"/>`;
  parts.push(
    box("worse", at(low), at(0)),
    box("better", at(0), at(high)),
    label(at(0) - 8, top - 22, "← we are slower", { anchor: "end", size: 11 }),
    label(at(0) + 8, top - 22, "we are faster →", { size: 11 }),
  );
  for (let log = low; log <= high; log++) {
    const x = at(log).toFixed(1);
    const kind = log === 0 ? 'class="axis" stroke-width="2"' : 'class="line"';
    const name = log < 0 ? `1/${2 ** -log}` : `${2 ** log}×`;
    parts.push(`<line ${kind} x1="${x}" y1="${top}" x2="${x}" y2="${bottom}"/>`);
    parts.push(
      label(Number(x), top - 6, log === 0 ? `${own} = 1` : name, { anchor: "middle", size: 10, faint: log !== 0 }),
    );
  }
  for (const [i, comparison] of comparisons.entries()) {
    const y = top + row * i + row / 2;
    parts.push(`<line class="line" x1="${left}" y1="${y}" x2="${width - right}" y2="${y}" stroke-dasharray="1 4"/>`);
    parts.push(label(left - 12, y + 4, comparison.name, { anchor: "end" }));
    for (const { name, ratio } of ratiosOf(comparison)) parts.push(marker(name, at(Math.log2(ratio)), y));
    const bad = comparison.rows.filter(({ state }) => state === "failed" || state === "differs");
    const words = bad.length > 2 ? `${bad.length} failed` : bad.map(({ contender }) => contender).join(", ");
    if (bad.length > 0) {
      parts.push(
        label(width - right + 8, y + 4, bad.length > 2 ? words : `failed: ${words}`, { size: 10, faint: true }),
      );
    }
  }
  parts.push(
    label(left, bottom + 20, "Best time of the other over our best time, on a scale by factors of two.", {
      size: 11,
      faint: true,
    }),
  );
  return svg(width, bottom + 34, title, parts);
}

/** A bar for each row of a table; ours are filled in our colour. */
export function barChart({ title, rows, columns, bars }: Table): string {
  const { value, unit } = bars!;
  const items = rows.map((cells) => ({
    name: cells
      .slice(0, value)
      .filter((cell) => typeof cell === "string")
      .join(" · "),
    library: String(cells[Math.max(0, columns.indexOf("library"))]),
    amount: cells[value],
  }));
  const [width, row, right] = [760, 22, 90];
  const left = Math.min(330, 30 + 6.6 * Math.max(...items.map(({ name }) => name.length)));
  const most = Math.max(...items.map(({ amount }) => (typeof amount === "number" ? amount : 0)));
  const top = 44;
  const parts = items.flatMap(({ name, library, amount }, i) => {
    const y = top + row * i;
    const text = label(left - 8, y + 14, name, { anchor: "end", bold: library.startsWith("vlm") });
    if (typeof amount !== "number") {
      return [text, label(left + 4, y + 14, String(amount ?? "").split(":")[0]!, { faint: true })];
    }
    const length = ((width - left - right) * amount) / most;
    return [
      text,
      `<rect class="${colorOf(library)} mark" x="${left}" y="${y + 3}" width="${Math.max(1, length).toFixed(1)}" height="${row - 8}" rx="2"/>`,
      label(left + length + 6, y + 14, `${short(amount)} ${unit}`, { size: 11 }),
    ];
  });
  return svg(width, top + row * items.length + 14, title, parts);
}

/** Lines on axes by factors of two, each named at its end. */
export function curveChart({ title, x: xName, y: yName, series }: Curve): string {
  const [width, height, left, right, top, bottom] = [720, 380, 76, 170, 64, 50];
  const points = series.flatMap((one) => one.points);
  const rangeOf = (values: readonly number[]): [number, number] => {
    const logs = values.map(Math.log2);
    return [Math.min(...logs), Math.max(...logs)];
  };
  const [x0, x1] = rangeOf(points.map(([x]) => x));
  const [low, high] = rangeOf(points.map(([, y]) => y));
  const [y0, y1] = [Math.floor(low), Math.ceil(high) === Math.floor(low) ? Math.floor(low) + 1 : Math.ceil(high)];
  const px = (x: number): number => left + ((width - left - right) * (Math.log2(x) - x0)) / (x1 - x0 || 1);
  const py = (y: number): number => height - bottom - ((height - top - bottom) * (Math.log2(y) - y0)) / (y1 - y0);
  const parts: string[] = [];
  const step = Math.ceil((y1 - y0) / 8);
  for (let log = y0; log <= y1; log += step) {
    const y = py(2 ** log);
    parts.push(`<line class="line" x1="${left}" y1="${y.toFixed(1)}" x2="${width - right}" y2="${y.toFixed(1)}"/>`);
    parts.push(label(left - 8, y + 4, short(2 ** log), { anchor: "end", size: 11, faint: true }));
  }
  parts.push(`<path class="axis" d="M${left} ${top}V${height - bottom}H${width - right}" fill="none"/>`);
  for (const x of new Set(points.map(([value]) => value))) {
    parts.push(label(px(x), height - bottom + 18, `${x}`, { anchor: "middle", size: 11, faint: true }));
  }
  const ends: number[] = [];
  for (const { name, points: line } of series) {
    if (line.length === 0) continue;
    const path = line.map(([x, y], at) => `${at ? "L" : "M"}${px(x).toFixed(1)} ${py(y).toFixed(1)}`).join("");
    const ours = colorOf(name) === "ours";
    parts.push(`<path class="${colorOf(name)} hollow" d="${path}"${ours ? ' style="stroke-width:3.5"' : ""}/>`);
    for (const [x, y] of line) parts.push(marker(name, px(x), Number(py(y).toFixed(1))));
    // Names stand at the ends of their lines, moved apart where those meet.
    let y = py(line.at(-1)![1]);
    while (ends.some((other) => Math.abs(other - y) < 15)) y += 1;
    ends.push(y);
    parts.push(label(width - right + 16, y + 4, name, { bold: ours }));
  }
  parts.push(
    label((left + width - right) / 2, height - 10, xName, { anchor: "middle" }),
    label(left - 8, top - 14, yName, { anchor: "end" }),
  );
  return svg(width, height, title, parts);
}
