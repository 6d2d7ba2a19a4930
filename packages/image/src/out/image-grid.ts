import { VlmError } from "@vlm/core";
import { toRgb } from "../convert.ts";
import { pad } from "../crop.ts";
import { type Color, checkImage, type Image } from "../image.ts";
import { letterbox } from "../letterbox.ts";
import { CELL, glyphRows, plainText } from "./font.ts";

/** One picture of a grid and the words under it. */
export type GridItem = { image: Image; caption?: string };

/** Options of `imageGrid`. */
export type GridOptions = {
  /** Pictures in a row; default as square as possible. */
  columns?: number;
  /** Width and height of each picture in pixels; default the largest among the pictures. Others are letterboxed. */
  cell?: { width: number; height: number };
  /** Pixels between the pictures; default 8. */
  gap?: number;
  /** Lines of a caption, the rest is cut with three dots; default 2. */
  lines?: number;
  background?: Color;
  ink?: Color;
};

/** Pictures side by side with captions below, in a small built-in font (ASCII; accents are dropped). */
export function imageGrid(items: readonly (Image | GridItem)[], options: GridOptions = {}): Image {
  if (items.length === 0) {
    throw new VlmError("ArgumentError", "IM_EMPTY", {
      what: "a grid of no images",
      where: "imageGrid",
      hint: "pass at least one",
    });
  }
  const { gap = 8, lines = 2, background = [255, 255, 255], ink = [30, 30, 30] } = options;
  const list = items.map((item): GridItem => ("image" in item ? item : { image: item }));
  for (const { image } of list) checkImage(image, "imageGrid");
  const columns = Math.min(options.columns ?? Math.ceil(Math.sqrt(list.length)), list.length);
  const cell = options.cell ?? {
    width: Math.max(...list.map(({ image }) => image.width)),
    height: Math.max(...list.map(({ image }) => image.height)),
  };
  const captioned = list.some(({ caption }) => caption !== undefined);
  const captionHeight = captioned ? lines * CELL.height + 4 : 0;
  const rows = Math.ceil(list.length / columns);
  const width = columns * (cell.width + gap) + gap;
  const height = rows * (cell.height + captionHeight + gap) + gap;
  const one: Image = { width: 1, height: 1, channels: 3, data: Uint8Array.from(background) };
  const sheet = pad(one, { right: width - 1, bottom: height - 1 }, background);
  for (const [n, { image, caption }] of list.entries()) {
    const left = gap + (n % columns) * (cell.width + gap);
    const top = gap + Math.floor(n / columns) * (cell.height + captionHeight + gap);
    const fits = image.width === cell.width && image.height === cell.height;
    paste(sheet, toRgb(fits ? image : letterbox(toRgb(image), { ...cell, color: background }).image), left, top);
    if (caption !== undefined) write(sheet, caption, left, top + cell.height + 4, cell.width, lines, ink);
  }
  return sheet;
}

function paste(sheet: Image, image: Image, left: number, top: number): void {
  for (let y = 0; y < image.height; y++) {
    const row = image.data.subarray(y * image.width * 3, (y + 1) * image.width * 3);
    sheet.data.set(row, ((top + y) * sheet.width + left) * 3);
  }
}

function write(sheet: Image, text: string, left: number, top: number, width: number, lines: number, ink: Color): void {
  const perLine = Math.max(1, Math.floor(width / CELL.width));
  for (const [n, line] of wrap(plainText(text), perLine, lines).entries()) {
    for (const [i, character] of line.entries()) {
      for (const [y, bits] of glyphRows(character).entries()) {
        for (let x = 0; x < 5; x++) {
          const [column, row] = [left + i * CELL.width + x, top + n * CELL.height + y];
          if (bits & (16 >> x) && column < sheet.width) sheet.data.set(ink, (row * sheet.width + column) * 3);
        }
      }
    }
  }
}

/** Breaks at spaces where it can; what does not fit into the last line ends with dots. */
function wrap(text: string[], perLine: number, lines: number): string[][] {
  const result: string[][] = [];
  let rest = text;
  while (rest.length > 0 && result.length < lines) {
    if (rest.length <= perLine) {
      result.push(rest);
      return result;
    }
    const space = rest.lastIndexOf(" ", perLine);
    const end = space > 0 ? space : perLine;
    result.push(rest.slice(0, end));
    rest = rest.slice(space > 0 ? end + 1 : end);
  }
  const last = result.at(-1);
  if (rest.length > 0 && last !== undefined) {
    result[result.length - 1] = [...last.slice(0, Math.max(0, perLine - 3)), ".", ".", "."].slice(0, perLine);
  }
  return result;
}
