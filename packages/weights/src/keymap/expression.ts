import { VlmError } from "@vlm/core";
import { type Block, concatBlocks, permuteBlock, sizeOf, sliceBlock } from "./block.ts";

type Shape = readonly number[];

/** Part `index` of `count` equal parts of a file's tensor. */
export type Part = { readonly index: number; readonly count: number; readonly axis: number };

/**
 * How one parameter is made from tensors of a file, and back. Keys are patterns; the functions passed in resolve them.
 * Shapes are worked out before anything is read, so that all mismatches can be told at once.
 */
export interface Expression {
  /** Patterns of the keys used. */
  readonly keys: readonly string[];
  /** The parameter's shape from those in the file. Throws an `Error` whose message says what does not fit. */
  shape(of: (key: string) => Shape, target: Shape | undefined): Shape;
  /** The parameter's values from those of the file. */
  load(of: (key: string) => Block, target: Shape | undefined): Block;
  /** The file's values from the parameter's. */
  save(value: Block, put: (key: string, value: Block, part?: Part) => void): void;
}

/** A key, or what is made from keys. */
export type KeyExpression = string | Expression;

/** A tensor of the file as it is. */
function key(pattern: string): Expression {
  return {
    keys: [pattern],
    shape: (of) => of(pattern),
    load: (of) => of(pattern),
    save: (value, put) => put(pattern, value),
  };
}

export const expression = (from: KeyExpression): Expression => (typeof from === "string" ? key(from) : from);

/** Options of {@link concat}: the axis, and how the whole is shared out when it is saved (default: equally). */
export type ConcatOptions = { axis?: number; ratio?: readonly number[] };

/** A parameter that a file holds in several tensors, such as q, k and v of an attention. */
export function concat(...args: [...KeyExpression[], KeyExpression | ConcatOptions]): Expression {
  const last = args.at(-1);
  const isOptions = typeof last === "object" && !("keys" in last);
  const { axis = 0, ratio } = isOptions ? (last as ConcatOptions) : {};
  const parts = (isOptions ? args.slice(0, -1) : args).map((part) => expression(part as KeyExpression));
  const weights = ratio ?? parts.map(() => 1);
  const unit = weights.reduce((sum, n) => sum + n, 0);
  if (parts.length < 2 || weights.length !== parts.length)
    throw mapError("concat takes two or more keys, and a ratio for each");
  return {
    keys: parts.flatMap((part) => part.keys),
    shape(of) {
      const shapes = parts.map((part) => part.shape(of, undefined));
      const [first] = shapes as [Shape];
      if (axis >= first.length) throw new Error(`no axis ${axis} in ${shown(first)}`);
      const total = shapes.reduce((sum, shape) => sum + (shape[axis] ?? 0), 0);
      for (const [i, shape] of shapes.entries()) {
        const others = shape.length === first.length && shape.every((n, k) => k === axis || n === first[k]);
        if (!others || shape[axis]! * unit !== total * weights[i]!) {
          throw new Error(`the parts ${shapes.map(shown).join(", ")} do not fit together`);
        }
      }
      return first.map((n, k) => (k === axis ? total : n));
    },
    load: (of) =>
      concatBlocks(
        parts.map((part) => part.load(of, undefined)),
        axis,
      ),
    save(value, put) {
      const total = value.shape[axis] ?? 0;
      if (total % unit !== 0)
        throw mapError(`axis ${axis} of ${shown(value.shape)} cannot be shared out ${weights.join(":")}`);
      let begin = 0;
      for (const [i, part] of parts.entries()) {
        const end = begin + (total / unit) * weights[i]!;
        part.save(sliceBlock(value, axis, begin, end), put);
        begin = end;
      }
    },
  };
}

/** One of `count` equal parts of a tensor that the file holds as a whole, such as the k of a fused q, k and v. */
export function part(pattern: string, index: number, count: number, axis = 0): Expression {
  const bounds = (shape: Shape): [number, number] => {
    const size = shape[axis];
    if (size === undefined || size % count !== 0)
      throw new Error(`${shown(shape)} has no ${count} equal parts on axis ${axis}`);
    return [(size / count) * index, (size / count) * (index + 1)];
  };
  return {
    keys: [pattern],
    shape(of) {
      const shape = of(pattern);
      const [begin, end] = bounds(shape);
      return shape.map((n, k) => (k === axis ? end - begin : n));
    },
    load(of) {
      const whole = of(pattern);
      return sliceBlock(whole, axis, ...bounds(whole.shape));
    },
    save: (value, put) => put(pattern, value, { index, count, axis }),
  };
}

/** Axes in another order: axis k of the parameter is axis `order[k]` in the file. Default: the two axes of a matrix swapped. */
export function transpose(from: KeyExpression, order: readonly number[] = [1, 0]): Expression {
  const inner = expression(from);
  const inverse = order.map((_, axis) => order.indexOf(axis));
  if (inverse.includes(-1)) throw mapError(`[${order.join(" ")}] is no order of axes`);
  return {
    keys: inner.keys,
    shape(of, target) {
      const shape = inner.shape(of, target && inverse.map((axis) => target[axis] ?? 0));
      if (shape.length !== order.length) throw new Error(`${shown(shape)} has not ${order.length} axes`);
      return order.map((axis) => shape[axis]!);
    },
    load: (of, target) => permuteBlock(inner.load(of, target && inverse.map((axis) => target[axis]!)), order),
    save: (value, put) => inner.save(permuteBlock(value, inverse), put),
  };
}

/**
 * The same elements in another shape. `fileShape` is the shape in the file, -1 for one size to be worked out; a function
 * gets the parameter's shape. Not inside `concat`, where the parameter's shape is not known.
 */
export function reshape(from: KeyExpression, fileShape: Shape | ((shape: Shape) => Shape)): Expression {
  const inner = expression(from);
  const inFile = (shape: Shape): Shape => {
    const wanted = typeof fileShape === "function" ? fileShape(shape) : fileShape;
    const known = sizeOf(wanted.filter((n) => n !== -1));
    return wanted.map((n) => (n === -1 ? sizeOf(shape) / known : n));
  };
  return {
    keys: inner.keys,
    shape(of, target) {
      if (!target) throw new Error("reshape cannot stand inside concat");
      const wanted = inFile(target);
      const shape = inner.shape(of, wanted);
      if (shape.join() !== wanted.join())
        throw new Error(`${shown(shape)} in the file, ${shown(wanted)} expected there`);
      return target;
    },
    load: (of, target) => ({ shape: target!, data: inner.load(of, inFile(target!)).data }),
    save: (value, put) => inner.save({ shape: inFile(value.shape), data: value.data }, put),
  };
}

export const shown = (shape: Shape): string => `[${shape.join(" ")}]`;

export const mapError = (what: string, where?: string): VlmError =>
  new VlmError("ArgumentError", "KM_MAP", { what, where });
