import type { Bound } from "./assembler.ts";
import { op } from "./opcodes.ts";
import type { Values } from "./values.ts";

/** From low to high − 1. */
export type Range = { low: Bound; high: Bound };

/** Loops over the row-major positions low … high − 1 of the given axes. */
export function eachRow(
  values: Values,
  sizes: readonly number[],
  rows: readonly number[],
  range: Range,
  body: () => void,
): void {
  const { code } = values;
  const live = rows.filter((axis) => sizes[axis]! > 1);
  if (live.length === 0) {
    values.scope(body);
    return;
  }
  const row = code.local();
  code.bound(range.low).set(row);
  const locals = live.map(() => code.local());
  if (live.length === 1) locals[0] = row;
  else {
    const rest = code.get(row).keep();
    for (let at = live.length - 1; at >= 0; at--) {
      const size = sizes[live[at]!]!;
      code.get(rest).i32(size).op(op.remU).set(locals[at]!);
      if (at > 0) code.get(rest).i32(size).op(op.divU).set(rest);
    }
  }
  code.while(row, range.high, 1, () => {
    values.scope(() => {
      live.forEach((axis, at) => {
        values.bindAxis(axis, locals[at]!);
      });
      body();
    });
    const advance = (at: number): void => {
      code.get(locals[at]!).i32(1).op(op.add).tee(locals[at]!);
      if (at === 0) {
        code.op(op.drop);
        return;
      }
      code
        .i32(sizes[live[at]!]!)
        .op(op.eq)
        .if(() => {
          code.i32(0).set(locals[at]!);
          advance(at - 1);
        });
    };
    if (live.length > 1) advance(live.length - 1);
  });
}
