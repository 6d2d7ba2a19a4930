/** @jax-js/jax on its WebAssembly backend, compiled by `jit`. Its arrays count references: `.ref` keeps one alive. */
import { floatsOf, integersOf, type Spec } from "../work/data.ts";
import { ADAMW, type Ops, type Program } from "../work/ops.ts";
import type { Work } from "../work/work.ts";
import type { Contender, Runnable } from "./contender.ts";

type Jax = typeof import("@jax-js/jax");
type T = import("@jax-js/jax").Array;

function opsOf({ numpy: np, nn, lax }: Jax): Ops<T> {
  const swapped = (x: T): T => {
    const rank = x.shape.length;
    return np.transpose(x.ref, [...Array.from({ length: rank - 2 }, (_, i) => i), rank - 1, rank - 2]);
  };
  const ops: Ops<T> = {
    shape: (x) => x.shape,
    add: (a, b) => np.add(a.ref, b.ref),
    mul: (a, b) => np.multiply(a.ref, b.ref),
    scale: (x, factor) => np.multiply(x.ref, factor),
    exp: (x) => np.exp(x.ref),
    gelu: (x) => nn.gelu(x.ref, { approximate: false }),
    quickGelu: (x) => np.multiply(x.ref, nn.sigmoid(np.multiply(x.ref, 1.702))),
    matmul: (a, b, options) => np.matmul(a.ref, options?.transposed ? swapped(b) : b.ref),
    linear: (x, w, b) => {
      const y = np.matmul(x.ref, np.transpose(w.ref));
      return b ? np.add(y, b.ref) : y;
    },
    layerNorm: (x, weight, bias, eps) =>
      np.add(np.multiply(nn.standardize(x.ref, -1, { epsilon: eps }), weight.ref), bias.ref),
    softmax: (x) => nn.softmax(x.ref, -1),
    logSoftmax: (x) => nn.logSoftmax(x.ref, -1),
    attention: (q, k, v, causal) => {
      const heads = (x: T): T => np.transpose(x.ref, [0, 2, 1, 3]);
      return np.transpose(nn.dotProductAttention(heads(q), heads(k), heads(v), { isCausal: causal }), [0, 2, 1, 3]);
    },
    conv2d: (x, w, b, stride) => {
      const pad = (w.shape[2]! - 1) / 2;
      const y = lax.conv(
        x.ref,
        w.ref,
        [stride, stride],
        [
          [pad, pad],
          [pad, pad],
        ],
      );
      return np.add(y, np.reshape(b.ref, [1, -1, 1, 1]));
    },
    gather: (table, ids) => np.take(table.ref, ids.ref, 0),
    reshape: (x, shape) => np.reshape(x.ref, [...shape]),
    permute: (x, order) => np.transpose(x.ref, [...order]),
    slice: (x, axis, start, end) => x.ref.slice(...Array.from({ length: axis }, () => [] as []), [start, end]),
    concat: (parts, axis) =>
      np.concatenate(
        parts.map((part) => part.ref),
        axis,
      ),
    expand: (x, shape) => np.broadcastTo(x.ref, [...shape]),
    sumLast: (x) => np.sum(x.ref, -1, { keepdims: true }),
    rsqrt: (x) => np.reciprocal(np.sqrt(x.ref)),
    sumAll: (x) => np.sum(x.ref),
    eye: (n) => np.eye(n),
  };
  return ops;
}

async function prepareWith(jax: Jax, program: Program, work: Work): Promise<Runnable> {
  const { numpy: np, jit, grad, valueAndGrad } = jax;
  const ops = opsOf(jax);
  const arrayOf = (spec: Spec): T =>
    spec.ids
      ? np.array(integersOf(spec), { shape: [...spec.shape], dtype: np.int32 })
      : np.array(floatsOf(spec), { shape: [...spec.shape], dtype: np.float32 });
  const floats = program.specs.filter(({ ids }) => !ids);
  const indices = program.specs.filter(({ ids }) => ids).map(arrayOf);
  const names = [...floats, ...program.specs.filter(({ ids }) => ids)].map(({ name }) => name);
  const build = (values: T[]): T => program.build(ops, (name) => values[names.indexOf(name)]!);
  const refs = (values: readonly T[]): T[] => values.map((value) => value.ref);
  const read = async (value: T): Promise<Float32Array> => (await value.data()) as Float32Array;

  if (work.mode === "forward") {
    const fn = jit((values: T[]) => build(values));
    const values = [...floats.map(arrayOf), ...indices];
    const run = async (): Promise<Float32Array> => read(fn(refs(values)) as T);
    return { run, results: async () => [await run()], dispose: () => {} };
  }
  if (work.mode === "gradient") {
    const values = floats.map(arrayOf);
    const shape = (jit((all: T[]) => build(all))([...refs(values), ...refs(indices)]) as T).shape;
    const upstream = arrayOf({ name: "upstream", role: "input", shape });
    // Inputs first, as everybody lists them.
    const order = [...floats].sort((a, b) => (a.role === b.role ? 0 : a.role === "input" ? -1 : 1));
    const fn = jit(grad((all: T[], ids: T[], c: T) => np.sum(np.multiply(build([...all, ...ids]), c)) as never));
    const call = (): T[] => fn(refs(values) as never, refs(indices) as never, upstream.ref as never) as unknown as T[];
    return {
      run: async () => {
        const all = call();
        const smallest = all.reduce((a, b) => (a.size <= b.size ? a : b));
        for (const value of all) if (value !== smallest) value.dispose();
        return read(smallest);
      },
      results: async () => {
        const all = call();
        return Promise.all(order.map(({ name }) => read(all[names.indexOf(name)]!)));
      },
      dispose: () => {},
    };
  }
  const trained = floats.filter(({ role }) => role === "weight");
  const given = floats.filter(({ role }) => role === "input").map(arrayOf);
  const find = (weights: T[], inputs: T[]) => {
    const byName = new Map<string, T>();
    trained.forEach(({ name }, i) => {
      byName.set(name, weights[i]!);
    });
    program.specs
      .filter(({ role }) => role === "input")
      .forEach(({ name }, i) => {
        byName.set(name, inputs[i]!);
      });
    return (name: string): T => byName.get(name)!;
  };
  const inputs = program.specs.filter(({ role }) => role === "input").map(arrayOf);
  for (const value of given) value.dispose();
  const loss = valueAndGrad((weights: T[], all: T[]) => program.build(ops, find(weights, all)) as never);
  const { lr, beta1, beta2, eps, weightDecay } = ADAMW;
  const step = jit((weights: T[], first: T[], second: T[], all: T[], rate: T, correction: T) => {
    const [value, gradients] = loss(refs(weights) as never, all as never) as unknown as [T, T[]];
    const next = weights.map((w, i) => {
      const g = gradients[i]!;
      const m = np.add(np.multiply(first[i]!, beta1), np.multiply(g.ref, 1 - beta1));
      const v = np.add(np.multiply(second[i]!, beta2), np.multiply(np.square(g), 1 - beta2));
      const decayed = w.shape.length >= 2 ? np.multiply(w, 1 - lr * weightDecay) : w;
      const root = np.add(np.trueDivide(np.sqrt(v.ref), correction.ref), eps);
      return [np.subtract(decayed, np.trueDivide(np.multiply(m.ref, rate.ref), root)), m, v] as const;
    });
    return [value, next.map(([w]) => w), next.map(([, m]) => m), next.map(([, , v]) => v)];
  });
  let weights = trained.map(arrayOf);
  let first = weights.map(({ shape }) => np.zeros(shape));
  let second = weights.map(({ shape }) => np.zeros(shape));
  let steps = 0;
  const run = async (): Promise<number> => {
    steps++;
    const rate = np.array([lr / (1 - beta1 ** steps)]);
    const correction = np.array([Math.sqrt(1 - beta2 ** steps)]);
    const results = step(
      weights as never,
      first as never,
      second as never,
      refs(inputs) as never,
      rate as never,
      correction as never,
    ) as unknown as [T, T[], T[], T[]];
    [, weights, first, second] = results;
    return (await read(results[0]))[0]!;
  };
  return { run, results: async () => [Float32Array.of(await run(), await run(), await run())], dispose: () => {} };
}

export async function openJax(backend: "wasm" | "webgpu", threads: number): Promise<Contender> {
  const jax = await import("@jax-js/jax");
  const available = await jax.init(backend);
  if (!available.includes(backend)) throw new Error(`jax-js could not start its ${backend} backend`);
  jax.defaultDevice(backend);
  return {
    // Its threads need the global Worker of browsers.
    threads: typeof Worker === "undefined" ? 1 : threads,
    prepare: (program, work) => prepareWith(jax, program, work),
  };
}
