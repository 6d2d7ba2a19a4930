import { type Tensor, VlmError } from "@vlm/core";

/** A tensor's numbers row by row. */
export type Rows = { readonly data: Float32Array; readonly rows: number; readonly columns: number };

/** Reads a matrix. Throws `ShapeError` unless it is [N K] with N, K ≥ 1, `NonFiniteError` for NaN and infinities. */
export async function readRows(where: string, name: string, x: Tensor): Promise<Rows> {
  if (x.rank !== 2 || x.size === 0) {
    throw new VlmError("ShapeError", "EVAL_RANK", {
      what: `${where}: ${name} is a matrix with at least one row and column, got [${x.shape.join(" ")}]`,
      hint: "pass one row per image or text",
      details: { name, shape: x.shape },
    });
  }
  const [rows, columns] = x.dims(2);
  const data = (await x.cast("f32").data()) as Float32Array;
  const at = data.findIndex((value) => !Number.isFinite(value));
  if (at >= 0) {
    throw new VlmError("NonFiniteError", "EVAL_NON_FINITE", {
      what: `${where}: ${name} has ${data[at]} in row ${Math.floor(at / columns)}, column ${at % columns}`,
      hint: "find the first module whose output is not finite: tap(model, x)",
      details: { name, row: Math.floor(at / columns), column: at % columns },
    });
  }
  return { data, rows, columns };
}

/** Throws `IndexRangeError` unless there are `count` labels, whole numbers from 0 to `classes` − 1. */
export function checkLabels(where: string, labels: readonly number[], count: number, classes: number): void {
  if (labels.length !== count) {
    throw new VlmError("ShapeError", "EVAL_LABELS", {
      what: `${where}: ${labels.length} labels for ${count} rows`,
      hint: "give one label per row",
      details: { labels: labels.length, rows: count },
    });
  }
  const at = labels.findIndex((label) => !Number.isInteger(label) || label < 0 || label >= classes);
  if (at < 0) return;
  throw new VlmError("IndexRangeError", "EVAL_LABEL", {
    what: `${where}: label ${at} is ${labels[at]}, classes are 0 to ${classes - 1}`,
    hint: "labels are positions in the list of classes",
    details: { at, label: labels[at], classes },
  });
}

/** Throws `ArgumentError` unless the names are two or more, all different and none empty. */
export function checkClasses(where: string, names: readonly string[]): void {
  const twice = names.find((name, i) => names.indexOf(name) !== i);
  const problem =
    names.length < 2
      ? `choosing among ${names.length} ${names.length === 1 ? "class" : "classes"} is no choice`
      : names.some((name) => name.trim() === "")
        ? "a class has an empty name"
        : twice !== undefined
          ? `the class ${JSON.stringify(twice)} is given twice`
          : null;
  if (problem === null) return;
  throw new VlmError("ArgumentError", "EVAL_CLASSES", {
    what: `${where}: ${problem}`,
    hint: "give two or more different names",
    details: { count: names.length },
  });
}
