import { dataError } from "./data-error.ts";

/** A row of a table by column, and the line it starts on. */
export type Row = { line: number; values: Record<string, unknown> };

/**
 * Parses comma- or tab-separated text with a header (RFC 4180: quotes, doubled quotes, line breaks inside quotes).
 * @throws `DataError` for a quote that never ends, a row of the wrong length or a column named twice
 */
export function parseCsv(text: string, where: string): Row[] {
  const records = splitRecords(text.replace(/^\ufeff/, ""), where);
  const header = records.shift();
  if (header === undefined) return [];
  const twice = header.cells.find((name, i) => header.cells.indexOf(name) !== i);
  if (twice !== undefined) {
    throw dataError("DataError", "DATA_DUPLICATE_KEY", `two columns are named "${twice}"`, `${where}:1`, "rename one");
  }
  return records.map(({ line, cells }) => {
    if (cells.length !== header.cells.length) {
      const what = `the row has ${cells.length} cells, the header ${header.cells.length}`;
      throw dataError("DataError", "DATA_ROW", what, `${where}:${line}`, "put cells that hold commas in double quotes");
    }
    return { line, values: Object.fromEntries(header.cells.map((name, i) => [name, cells[i]!])) };
  });
}

type Record_ = { line: number; cells: string[] };

function splitRecords(text: string, where: string): Record_[] {
  const firstLine = text.slice(0, Math.max(0, text.search(/\r?\n|$/)));
  const separator = firstLine.includes("\t") ? "\t" : ",";
  const records: Record_[] = [];
  let cells: string[] = [];
  let line = 1;
  let start = 1;
  let at = 0;
  const endRecord = (): void => {
    if (cells.length > 1 || cells[0] !== "") records.push({ line: start, cells });
    cells = [];
    start = line;
  };
  while (at <= text.length) {
    let cell = "";
    if (text[at] === '"') {
      const opened = line;
      for (at++; ; at++) {
        const end = text.indexOf('"', at);
        if (end < 0) {
          throw dataError("DataError", "DATA_CSV", "a quoted cell never ends", `${where}:${opened}`, "close the quote");
        }
        cell += text.slice(at, end);
        at = end + 1;
        if (text[at] !== '"') break;
        cell += '"';
      }
      line += cell.split("\n").length - 1;
    }
    let end = at;
    while (end < text.length && text[end] !== separator && text[end] !== "\n") end++;
    cells.push(cell + text.slice(at, end).replace(/\r$/, ""));
    at = end + 1;
    if (end >= text.length) break;
    if (text[end] === "\n") {
      line++;
      endRecord();
    }
  }
  endRecord();
  return records;
}
