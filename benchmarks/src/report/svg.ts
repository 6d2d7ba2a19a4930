/** SVG by hand: the frame and the theme of all charts. */

/** Ours is the first; the others keep their colour in every chart. */
const SERIES: Record<string, string> = {
  vlm: "ours",
  "onnxruntime-node": "c1",
  "PyTorch CPU": "c2",
  "onnxruntime-web": "c3",
  tfjs: "c4",
  "jax-js": "c5",
};

/** The class that colours a contender, by the beginning of its name. */
export const colorOf = (name: string): string =>
  Object.entries(SERIES).find(([start]) => name.startsWith(start))?.[1] ?? "c6";

/** Drawn as a picture, so that the page's colours do not reach it: it brings a ground of its own, light or dark. */
const STYLE = `
.ground{fill:#ffffff}.text{fill:#1e293b}.faint{fill:#64748b}.line{stroke:#cbd5e1}.axis{stroke:#64748b}
.better{fill:#2563eb;fill-opacity:.07}.worse{fill:#dc2626;fill-opacity:.07}
.ours{--c:#2563eb}.c1{--c:#d97706}.c2{--c:#dc2626}.c3{--c:#9333ea}.c4{--c:#0f766e}.c5{--c:#be185d}.c6{--c:#64748b}
.mark{fill:var(--c);stroke:var(--c)}.hollow{fill:none;stroke:var(--c);stroke-width:2}
@media (prefers-color-scheme:dark){
.ground{fill:#0f172a}.text{fill:#e2e8f0}.faint{fill:#94a3b8}.line{stroke:#334155}.axis{stroke:#94a3b8}
.better{fill-opacity:.16}.worse{fill-opacity:.14}
.ours{--c:#60a5fa}.c1{--c:#fbbf24}.c2{--c:#f87171}.c3{--c:#c084fc}.c4{--c:#2dd4bf}.c5{--c:#f472b6}.c6{--c:#94a3b8}}
`;

const escaped = (text: string): string => text.replaceAll("&", "&amp;").replaceAll("<", "&lt;").replaceAll(">", "&gt;");

export type TextOptions = { anchor?: "start" | "middle" | "end"; size?: number; faint?: boolean; bold?: boolean };

export const label = (x: number, y: number, content: string, options: TextOptions = {}): string => {
  const { anchor = "start", size = 12, faint = false, bold = false } = options;
  const weight = bold ? ' font-weight="600"' : "";
  return `<text class="${faint ? "faint" : "text"}" x="${x.toFixed(1)}" y="${y.toFixed(1)}" text-anchor="${anchor}" font-size="${size}"${weight}>${escaped(content)}</text>`;
};

export const svg = (width: number, height: number, title: string, parts: readonly string[]): string =>
  `<svg xmlns="http://www.w3.org/2000/svg" width="${width}" height="${height}" viewBox="0 0 ${width} ${height}" role="img" ` +
  `font-family="system-ui, sans-serif"><title>${escaped(title)}</title><style>${STYLE}</style>\n` +
  `<rect class="ground" width="${width}" height="${height}" rx="6"/>\n` +
  `${[label(16, 26, title, { size: 15, bold: true }), ...parts].join("\n")}\n</svg>\n`;

/** 0.0123 → "0.012", 12.345 → "12.3", 1234.5 → "1235"; whole numbers as they are. */
export const short = (x: number): string =>
  Number.isInteger(x) || x >= 100 ? x.toFixed(0) : x >= 10 ? x.toFixed(1) : x.toPrecision(2);
