import type { UnicodeForm } from "./unicode-forms.ts";

/** Shorter runs are the engine's. */
const LONG = 64;
/** Marks of the lowest and of the highest combining class but 0: U+0334 has 1, U+0345 has 240. */
const LOWEST = "\u0334";
const HIGHEST = "\u0345";

/**
 * `run.normalize(form)` for a character with any number of marks. Engines put marks in order by insertion, which takes a
 * minute for some hundred thousand of them; a run that is in order already takes them linear time, so it is sorted before.
 */
export function normalizeRun(run: string, form: UnicodeForm): string {
  if (run.length < LONG) return run.normalize(form);
  const decomposed = form === "NFC" || form === "NFD" ? "NFD" : "NFKD";
  const forms = new Map<string, string>();
  const parts: string[] = [];
  for (const char of run) {
    let to = forms.get(char);
    if (to === undefined) {
      to = char.normalize(decomposed);
      forms.set(char, to);
    }
    parts.push(...to);
  }
  const ranks = ranksOf(new Set(parts));
  let sorted = "";
  let from = 0;
  for (let at = 0; at <= parts.length; at++) {
    const rank = at < parts.length ? ranks.get(parts[at]!)! : 0;
    if (rank > 0) continue;
    sorted += parts
      .slice(from, at)
      .sort((a, b) => ranks.get(a)! - ranks.get(b)!)
      .join("");
    sorted += parts[at] ?? "";
    from = at + 1;
  }
  return sorted.normalize(form);
}

const swaps = (a: string, b: string): boolean => a !== b && (a + b).normalize("NFD") === b + a;

/** Numbers in the order of the combining classes, which JavaScript does not tell but by what it does; 0 for class 0. */
function ranksOf(chars: ReadonlySet<string>): Map<string, number> {
  const ranks = new Map<string, number>();
  const marks: string[] = [];
  for (const char of chars) {
    if (char === LOWEST || char === HIGHEST || swaps(char, LOWEST) || swaps(HIGHEST, char)) marks.push(char);
    else ranks.set(char, 0);
  }
  marks.sort((a, b) => (swaps(a, b) ? 1 : swaps(b, a) ? -1 : 0));
  let rank = 1;
  for (const [i, mark] of marks.entries()) {
    // Two neighbours of a sorted list are of different classes when they would change places the other way round.
    if (i > 0 && swaps(mark, marks[i - 1]!)) rank++;
    ranks.set(mark, rank);
  }
  return ranks;
}
