/** TensorFlow.js on its WebAssembly backend: eager operations in a `tidy`. */
import { floatsOf, integersOf, type Spec } from "../work/data.ts";
import { ADAMW, type Ops, type Program } from "../work/ops.ts";
import type { Work } from "../work/work.ts";
import type { Contender, Runnable } from "./contender.ts";

type Tf = typeof import("@tensorflow/tfjs-core");
type T = import("@tensorflow/tfjs-core").Tensor;
type Variable = import("@tensorflow/tfjs-core").Variable;

function opsOf(tf: Tf): Ops<T> {
  const linear = (x: T, w: T, b: T | null): T => {
    const rows = x.size / x.shape.at(-1)!;
    const y = tf.matMul(tf.reshape(x, [rows, x.shape.at(-1)!]) as never, w as never, false, true);
    const shaped = tf.reshape(y, [...x.shape.slice(0, -1), w.shape[0]!]);
    return b ? tf.add(shaped, b) : shaped;
  };
  const ops: Ops<T> = {
    shape: (x) => x.shape,
    add: (a, b) => tf.add(a, b),
    mul: (a, b) => tf.mul(a, b),
    scale: (x, factor) => tf.mul(x, factor),
    exp: (x) => tf.exp(x),
    gelu: (x) => tf.mul(tf.mul(x, 0.5), tf.add(tf.erf(tf.mul(x, Math.SQRT1_2)), 1)),
    quickGelu: (x) => tf.mul(x, tf.sigmoid(tf.mul(x, 1.702))),
    matmul: (a, b, options) => tf.matMul(a as never, b as never, false, options?.transposed ?? false) as T,
    linear,
    layerNorm: (x, weight, bias, eps) => {
      const centred = tf.sub(x, tf.mean(x, -1, true));
      const variance = tf.mean(tf.square(centred), -1, true);
      return tf.add(tf.mul(tf.mul(centred, tf.rsqrt(tf.add(variance, eps))), weight), bias);
    },
    softmax: (x) => tf.softmax(x),
    logSoftmax: (x) => tf.logSoftmax(x),
    attention: (q, k, v, causal) => {
      const [N, d] = [q.shape.at(-2)!, q.shape.at(-1)!];
      let logits = tf.mul(tf.matMul(q as never, k as never, false, true), d ** -0.5) as T;
      if (causal) {
        const mask = Float32Array.from({ length: N * N }, (_, at) => (at % N > Math.floor(at / N) ? -1e30 : 0));
        logits = tf.add(logits, tf.tensor(mask, [N, N]));
      }
      return tf.matMul(tf.softmax(logits) as never, v as never) as T;
    },
    // NHWC is the layout this library wants: the transpositions are part of what a caller with NCHW pays.
    conv2d: (x, w, b, stride) => {
      const y = tf.conv2d(
        tf.transpose(x, [0, 2, 3, 1]) as never,
        tf.transpose(w, [2, 3, 1, 0]) as never,
        stride,
        (w.shape[2]! - 1) / 2,
      );
      return tf.transpose(tf.add(y, b), [0, 3, 1, 2]);
    },
    gather: (table, ids) => tf.gather(table, ids as never),
    reshape: (x, shape) => tf.reshape(x, [...shape]),
    permute: (x, order) => tf.transpose(x, [...order]),
    slice: (x, axis, start, end) => {
      const begin = x.shape.map((_, i) => (i === axis ? start : 0));
      return tf.slice(
        x,
        begin,
        x.shape.map((n, i) => (i === axis ? end - start : n)),
      );
    },
    concat: (parts, axis) => tf.concat([...parts], axis),
    expand: (x, shape) => tf.broadcastTo(x, [...shape] as never),
    sumLast: (x) => tf.sum(x, -1, true),
    rsqrt: (x) => tf.rsqrt(x),
    sumAll: (x) => tf.sum(x),
    eye: (n) => tf.eye(n),
  };
  return ops;
}

async function prepareWith(tf: Tf, program: Program, work: Work): Promise<Runnable> {
  const ops = opsOf(tf);
  const tensorOf = (spec: Spec): T =>
    spec.ids
      ? tf.tensor(integersOf(spec), [...spec.shape], "int32")
      : tf.tensor(floatsOf(spec), [...spec.shape], "float32");
  const values = new Map<string, T>();
  for (const spec of program.specs) {
    const value = tensorOf(spec);
    values.set(spec.name, spec.role === "weight" && work.mode === "train" ? tf.variable(value) : value);
  }
  const get = (name: string): T => values.get(name)!;
  const floats = (role: "weight" | "input") => program.specs.filter((spec) => spec.role === role && !spec.ids);
  const dispose = (): void => {
    for (const value of values.values()) value.dispose();
  };
  if (work.mode === "forward") {
    const run = async (): Promise<Float32Array> => {
      const y = tf.tidy(() => program.build(ops, get));
      const data = (await y.data()) as Float32Array;
      y.dispose();
      return data;
    };
    return { run, results: async () => [await run()], dispose };
  }
  // They are kept in a registry that all copies of the library share; the package's types do not name the file.
  await import("@tensorflow/tfjs-core/dist/register_all_gradients.js" as string);
  if (work.mode === "gradient") {
    const wanted = [...floats("input"), ...floats("weight")];
    const upstream = tensorOf({ name: "upstream", role: "input", shape: tf.tidy(() => program.build(ops, get)).shape });
    const gradients = tf.grads((...xs: T[]) => {
      const given = new Map(wanted.map(({ name }, i) => [name, xs[i]!]));
      return tf.sum(
        tf.mul(
          program.build(ops, (name) => given.get(name) ?? get(name)),
          upstream,
        ),
      );
    });
    const call = () => tf.tidy(() => gradients(wanted.map(({ name }) => get(name))));
    return {
      run: async () => {
        const all = call();
        const smallest = all.reduce((a, b) => (a.size <= b.size ? a : b));
        const data = await smallest.data();
        tf.dispose(all);
        return data;
      },
      results: async () => Promise.all(call().map(async (g) => (await g.data()) as Float32Array)),
      dispose,
    };
  }
  const weights = floats("weight").map(({ name }) => get(name) as Variable);
  const moments = weights.map((w) => [tf.variable(tf.zerosLike(w)), tf.variable(tf.zerosLike(w))] as const);
  const { lr, beta1, beta2, eps, weightDecay } = ADAMW;
  let steps = 0;
  const run = async (): Promise<number> => {
    steps++;
    const loss = tf.tidy(() => {
      const { value, grads } = tf.variableGrads(() => program.build(ops, get) as never, weights);
      const rate = lr / (1 - beta1 ** steps);
      const correction = Math.sqrt(1 - beta2 ** steps);
      weights.forEach((w, i) => {
        const g = grads[w.name]!;
        const [m, v] = moments[i]!;
        m.assign(tf.add(tf.mul(m, beta1), tf.mul(g, 1 - beta1)));
        v.assign(tf.add(tf.mul(v, beta2), tf.mul(tf.square(g), 1 - beta2)));
        const decayed = w.rank >= 2 ? tf.mul(w, 1 - lr * weightDecay) : w;
        const root = tf.add(tf.div(tf.sqrt(v), correction), eps);
        w.assign(tf.sub(decayed, tf.div(tf.mul(m, rate), root)) as never);
      });
      return value;
    });
    const [value] = await loss.data();
    loss.dispose();
    return value!;
  };
  return { run, results: async () => [Float32Array.of(await run(), await run(), await run())], dispose };
}

/** With a backend that is registered already. */
export async function openTfjs(tf: Tf, backend: string, threads: number): Promise<Contender> {
  if (!(await tf.setBackend(backend))) throw new Error(`tfjs could not start its ${backend} backend`);
  await tf.ready();
  const alone = backend === "wasm" && !(await tf.env().getAsync("WASM_HAS_MULTITHREAD_SUPPORT"));
  return { threads: alone ? 1 : threads, prepare: (program, work) => prepareWith(tf, program, work) };
}
