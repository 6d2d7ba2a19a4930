import { type EncodingColumns, emptyColumns, joinColumns } from "./encoding.ts";

/** How short texts are filled up. */
export type Padding = {
  /** Pads to this many tokens; undefined pads to the longest of the batch. */
  length: number | undefined;
  /** Rounds the length up to a multiple. */
  multiple: number | undefined;
  side: "right" | "left";
  id: number;
  typeId: number;
  token: string;
};

/** The length that a batch is padded to. */
export function paddedLength(padding: Padding, longest: number): number {
  const length = padding.length ?? longest;
  const { multiple } = padding;
  return multiple ? Math.ceil(length / multiple) * multiple : length;
}

/** Fills up to `length` tokens; longer ones stay. */
export function pad(columns: EncodingColumns, length: number, padding: Padding): EncodingColumns {
  const missing = length - columns.ids.length;
  if (missing <= 0) return columns;
  const fill = emptyColumns(missing);
  fill.ids.fill(padding.id);
  fill.typeIds.fill(padding.typeId);
  fill.specialMask.fill(1);
  fill.mask.fill(0);
  return joinColumns(padding.side === "right" ? [columns, fill] : [fill, columns]);
}
