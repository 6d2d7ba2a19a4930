import { printable, VlmError } from "@vlm/core";
import type { TensorEntry } from "./header.ts";

/**
 * Requires that the tensors tile the file's data exactly: no overlap (a small file could stand for huge tensors), no
 * holes and nothing behind (a second file could hide there), nothing missing at the end.
 */
export function checkLayout(entries: TensorEntry[], dataStart: number, fileSize: number, file: string): void {
  const fail = (code: string, what: string, hint: string, details: Record<string, unknown>): VlmError =>
    new VlmError("WeightFormatError", code, { what, where: file, hint, details });
  const report = "the file is malformed; download it again, or report it to its author";
  const sorted = entries.sort((a, b) => a.begin - b.begin || a.end - b.end);
  const needed = sorted.reduce((most, entry) => Math.max(most, entry.end), dataStart);
  if (needed > fileSize) {
    const cut = sorted.find((entry) => entry.end > fileSize)!;
    throw fail(
      "ST_TRUNCATED",
      `the file ends ${needed - fileSize} bytes early: tensor "${printable(cut.name)}" needs ${cut.end} bytes of file, there are ${fileSize}`,
      "the download was probably interrupted; download it again",
      { tensor: cut.name, needed, available: fileSize },
    );
  }
  let end = dataStart;
  let previous: TensorEntry | undefined;
  for (const entry of sorted) {
    if (entry.begin < end && previous) {
      throw fail(
        "ST_OVERLAP",
        `tensors ${shown(previous, dataStart)} and ${shown(entry, dataStart)} use the same bytes`,
        report,
        {
          tensors: [previous.name, entry.name],
        },
      );
    }
    if (entry.begin > end) {
      const [from, to] = [end - dataStart, entry.begin - dataStart];
      throw fail(
        "ST_HOLE",
        `bytes [${from}, ${to}) before tensor ${shown(entry, dataStart)} belong to no tensor`,
        report,
        {
          begin: from,
          end: to,
        },
      );
    }
    end = entry.end;
    previous = entry;
  }
  if (end < fileSize) {
    throw fail("ST_TRAILING", `${fileSize - end} bytes at offset ${end} follow the last tensor`, report, {
      offset: end,
      count: fileSize - end,
    });
  }
}

const shown = ({ name, begin, end }: TensorEntry, start: number): string =>
  `"${printable(name)}" [${begin - start}, ${end - start})`;
