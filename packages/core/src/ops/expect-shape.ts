import { shapeError, shown } from "../shape.ts";
import type { Tensor } from "../tensor.ts";

type Words<S extends string> = S extends `${infer Word} ${infer Rest}` ? Word | Words<Rest> : S;

/** The names in a pattern such as "B 3 H W": what stands for a size that is not fixed. */
export type SizeNames<S extends string> = Exclude<Words<S>, `${number}` | "_">;

/**
 * The sizes of x by the names of a pattern, `const { B, N } = expectShape(x, "B N D", { D: width })`, for a module's entry.
 * A number in the pattern is that size, `_` any; a name that comes twice, or has a size given, fits only that one.
 * Throws `ShapeError SHAPE_EXPECTED` with pattern, shape and module path.
 */
export function expectShape<const S extends string>(
  x: Tensor,
  pattern: S,
  given: { readonly [Name in SizeNames<S>]?: number } = {},
): { [Name in SizeNames<S>]: number } {
  const words = pattern.split(" ");
  const sizes: Record<string, number | undefined> = { ...given };
  const fits = words.map((word, axis) => {
    const size = x.shape[axis] ?? -1;
    const wanted = word === "_" ? size : /^\d+$/.test(word) ? Number(word) : (sizes[word] ??= size);
    return size === wanted;
  });
  if (words.length === x.rank && !fits.includes(false)) return sizes as { [Name in SizeNames<S>]: number };
  const fixed = Object.entries<number | undefined>(given).map(([name, size]) => `${name} = ${size}`);
  throw shapeError(
    "SHAPE_EXPECTED",
    `a tensor [${pattern}]${fixed.length > 0 ? ` with ${fixed.join(", ")}` : ""} is needed, got ${shown(x.shape)}`,
    words.length === x.rank
      ? `axis ${fits.indexOf(false)} does not fit`
      : `rank ${words.length} is needed, not ${x.rank}`,
    { pattern, given, shape: x.shape },
  );
}
