/** Sums of products by index letters. */
import { VlmError } from "../errors.ts";
import { shapeError, shown, sizeOf } from "../shape.ts";
import type { Tensor } from "../tensor.ts";
import { expand, pad, permute, reshape, slice } from "./view.ts";

/** A tensor whose axes carry letters. */
type Lettered = { x: Tensor; letters: string[] };

function malformed(equation: string, why: string): VlmError {
  return new VlmError("ArgumentError", "EINSUM_EQUATION", {
    what: `einsum: "${equation}" ${why}`,
    hint: 'write letters per operand and a result, for example "bhid,bhjd->bhij"; "..." stands for leading axes',
  });
}

/**
 * Einstein summation: `einsum("bhid,bhjd->bhij", q, k)`. Letters missing from the result are summed, a letter repeated
 * within an operand takes the diagonal, "..." broadcasts. Operands are joined from left to right, each as one batched
 * matrix product.
 */
export function einsum(equation: string, ...operands: readonly Tensor[]): Tensor {
  const [left, right, more] = equation.replace(/\s/g, "").split("->");
  if (more !== undefined) throw malformed(equation, "has more than one ->");
  const parts = left!.split(",");
  if (parts.length !== operands.length)
    throw malformed(equation, `names ${parts.length} operands, ${operands.length} are given`);
  const sizes = new Map<string, number>();
  const broadcastRank = Math.max(0, ...parts.map((part, i) => operands[i]!.rank - part.replace("...", "").length));
  const terms = parts.map((part, i) => lettered(equation, part, operands[i]!, broadcastRank, sizes));
  const dots = Array.from({ length: broadcastRank }, (_, i) => `.${i}`);
  const result = right === undefined ? implicitResult(left!, dots) : lettersOf(equation, right, dots);
  for (const letter of result) {
    if (!sizes.has(letter)) throw malformed(equation, `has "${letter}" in the result only`);
  }
  if (new Set(result).size !== result.length) throw malformed(equation, "repeats a letter in the result");
  const later = terms.map((_, i) => new Set([...result, ...terms.slice(i + 1).flatMap((term) => term.letters)]));
  let joined = terms[0]!;
  for (let i = 1; i < terms.length; i++) joined = join(joined, terms[i]!, later[i]!, sizes);
  return arrange(summed(joined, new Set(result)), result, sizes);
}

/** Splits "...ij" into letters; the axes behind "..." are called ".0", ".1", …, aligned at the end. */
function lettersOf(equation: string, part: string, dots: readonly string[]): string[] {
  const pieces = part.split("...");
  if (pieces.length > 2 || !/^[A-Za-z]*$/.test(pieces.join("")))
    throw malformed(equation, `cannot be read at "${part}"`);
  return pieces.length === 1 ? [...part] : [...pieces[0]!, ...dots, ...pieces[1]!];
}

/** Without "->": the letters that stand once in all operands, in alphabetical order. */
function implicitResult(left: string, dots: readonly string[]): string[] {
  const all = [...left.replace(/[.,]/g, "")];
  return [...dots, ...all.filter((letter) => all.indexOf(letter) === all.lastIndexOf(letter)).sort()];
}

function lettered(equation: string, part: string, x: Tensor, dotRank: number, sizes: Map<string, number>): Lettered {
  const named = part.replace("...", "").length;
  const covered = part.includes("...") ? x.rank - named : 0;
  const dots = Array.from({ length: dotRank }, (_, i) => `.${i}`).slice(dotRank - covered);
  const letters = lettersOf(equation, part, dots);
  if (letters.length !== x.rank) {
    throw shapeError(
      "EINSUM_RANK",
      `einsum: "${part}" names ${letters.length} axes of ${shown(x.shape)}`,
      "give one letter per axis",
    );
  }
  letters.forEach((letter, i) => {
    const known = sizes.get(letter) ?? 1;
    const size = x.shape[i]!;
    if (known !== 1 && size !== 1 && known !== size) {
      throw shapeError(
        "EINSUM_SIZE",
        `einsum: axis "${letter}" has sizes ${known} and ${size} in "${equation}"`,
        "equal letters need equal sizes",
      );
    }
    if (known === 1) sizes.set(letter, size);
  });
  return diagonals({ x, letters });
}

/** Repeated letters become one axis, the diagonal: rows of n + 1 elements have it as their first column. */
function diagonals({ x, letters }: Lettered): Lettered {
  const second = letters.findIndex((letter, i) => letters.indexOf(letter) < i);
  if (second < 0) return { x, letters };
  const first = letters.indexOf(letters[second]!);
  const n = x.shape[first]!;
  const rest = letters.map((_, i) => i).filter((i) => i !== first && i !== second);
  const moved = permute(x, [...rest, first, second]);
  const shape = rest.map((i) => x.shape[i]!);
  const rows = pad(reshape(moved, [...shape, n * n]), [[0, n]]).reshape([...shape, n, n + 1]);
  const cut = slice(rows, ...shape.map(() => null), null, [0, 1]).reshape([...shape, n]);
  return diagonals({ x: cut, letters: [...rest.map((i) => letters[i]!), letters[first]!] });
}

/** Sums the axes whose letters nobody needs. */
function summed({ x, letters }: Lettered, needed: ReadonlySet<string>): Lettered {
  const gone = letters.flatMap((letter, i) => (needed.has(letter) ? [] : [i]));
  if (gone.length === 0) return { x, letters };
  return { x: x.sum(gone), letters: letters.filter((letter) => needed.has(letter)) };
}

/** Axes in the given order, expanded to full size; letters it lacks get an axis. */
function arrange({ x, letters }: Lettered, order: readonly string[], sizes: ReadonlyMap<string, number>): Tensor {
  const present = order.filter((letter) => letters.includes(letter));
  const moved = permute(
    x,
    present.map((letter) => letters.indexOf(letter)),
  );
  const withOnes = reshape(
    moved,
    order.map((letter) => (letters.includes(letter) ? x.shape[letters.indexOf(letter)]! : 1)),
  );
  return expand(
    withOnes,
    order.map((letter) => sizes.get(letter)!),
  );
}

/** Two operands as one batched matrix product [batch rows sum] × [batch sum columns]. */
function join(a: Lettered, b: Lettered, needed: ReadonlySet<string>, sizes: ReadonlyMap<string, number>): Lettered {
  const left = summed(a, new Set([...needed, ...b.letters]));
  const right = summed(b, new Set([...needed, ...left.letters]));
  const both = left.letters.filter((letter) => right.letters.includes(letter));
  const batch = both.filter((letter) => needed.has(letter));
  const sum = both.filter((letter) => !needed.has(letter));
  const rows = left.letters.filter((letter) => !right.letters.includes(letter));
  const columns = right.letters.filter((letter) => !left.letters.includes(letter));
  const size = (letters: readonly string[]): number => sizeOf(letters.map((letter) => sizes.get(letter)!));
  const batchShape = batch.map((letter) => sizes.get(letter)!);
  const x = arrange(left, [...batch, ...rows, ...sum], sizes).reshape([...batchShape, size(rows), size(sum)]);
  const y = arrange(right, [...batch, ...sum, ...columns], sizes).reshape([...batchShape, size(sum), size(columns)]);
  const letters = [...batch, ...rows, ...columns];
  return { x: x.matmul(y).reshape(letters.map((letter) => sizes.get(letter)!)), letters };
}
