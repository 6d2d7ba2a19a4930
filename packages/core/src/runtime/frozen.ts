/**
 * Which parameters are frozen. The set is part of a compiled function's identity, because it decides which gradients
 * the function takes.
 */
const numbers = new WeakMap<object, number>();
const frozen = new Set<number>();
const sets = new Map<string, number>([["", 0]]);
let count = 0;
let current: number | null = 0;

/** Marks a cell as frozen or trainable. */
export function setFrozen(cell: object, on: boolean): void {
  let number = numbers.get(cell);
  if (number === undefined) numbers.set(cell, (number = count++));
  if (frozen.has(number) === on) return;
  if (on) frozen.add(number);
  else frozen.delete(number);
  current = null;
}

/** Whether the cell is frozen. */
export const isFrozen = (cell: object): boolean => frozen.has(numbers.get(cell) ?? -1);

/** A number that stands for the set of cells frozen now. */
export function frozenSet(): number {
  if (current === null) {
    const text = [...frozen].sort((a, b) => a - b).join(" ");
    current = sets.get(text) ?? sets.size;
    sets.set(text, current);
  }
  return current;
}
