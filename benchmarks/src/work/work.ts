/** A piece of work as data: what every contender, in whatever language, is asked to do. */
import type { Spec } from "./data.ts";
import type { Mode, Program } from "./ops.ts";
import {
  blockFlops,
  blocksProgram,
  type ClipWork,
  clipProgram,
  type Tower,
  type ViTWork,
  vitFlops,
  vitProgram,
} from "./transformer.ts";

export type Work = { mode: Mode } & (
  | { kind: "matmul"; m: number; k: number; n: number; batch?: number; transposed?: boolean }
  | { kind: "attention"; batch: number; heads: number; tokens: number; width: number }
  | { kind: "layerNorm" | "softmax"; rows: number; width: number }
  | { kind: "conv2d"; batch: number; channels: number; size: number; outputs: number; kernel: number; stride: number }
  | { kind: "gather"; rows: number; vocabulary: number; width: number }
  | { kind: "elementwise"; size: number }
  | { kind: "adamw"; size: number; tensors: number }
  | { kind: "vit"; model: ViTWork; batch: number }
  | { kind: "blocks"; model: Tower; batch: number; tokens: number }
  | { kind: "clip"; model: ClipWork; batch: number }
);

const input = (name: string, shape: readonly number[], scale = 1): Spec => ({ name, role: "input", shape, scale });
const weight = (name: string, shape: readonly number[], scale = 1): Spec => ({ name, role: "weight", shape, scale });

/** The work as a program in common operations. */
export function programOf(work: Work): Program {
  switch (work.kind) {
    case "matmul": {
      const { m, k, n, batch, transposed } = work;
      const lead = batch ? [batch] : [];
      // One matrix is a layer's: its right operand is a weight. A batch is attention's: both sides are computed.
      const b = [...lead, ...(transposed ? [n, k] : [k, n])];
      return {
        specs: [input("a", [...lead, m, k]), batch ? input("b", b) : weight("b", b)],
        build: (ops, get) => ops.matmul(get("a"), get("b"), transposed ? { transposed } : {}),
      };
    }
    case "attention": {
      const shape = [work.batch, work.heads, work.tokens, work.width];
      return {
        specs: ["q", "k", "v"].map((name) => input(name, shape)),
        build: (ops, get) => ops.attention(get("q"), get("k"), get("v"), false),
      };
    }
    case "layerNorm":
      return {
        specs: [input("x", [work.rows, work.width]), weight("weight", [work.width]), weight("bias", [work.width])],
        build: (ops, get) => ops.layerNorm(get("x"), get("weight"), get("bias"), 1e-5),
      };
    case "softmax":
      return { specs: [input("x", [work.rows, work.width], 4)], build: (ops, get) => ops.softmax(get("x")) };
    case "conv2d": {
      const { batch, channels, size, outputs, kernel, stride } = work;
      return {
        specs: [
          input("x", [batch, channels, size, size]),
          weight("weight", [outputs, channels, kernel, kernel], (3 / (channels * kernel ** 2)) ** 0.5),
          weight("bias", [outputs], 0.1),
        ],
        build: (ops, get) => ops.conv2d(get("x"), get("weight"), get("bias"), stride),
      };
    }
    case "gather":
      return {
        specs: [
          weight("table", [work.vocabulary, work.width]),
          { name: "ids", role: "input", shape: [1, work.rows], ids: work.vocabulary },
        ],
        build: (ops, get) => ops.gather(get("table"), get("ids")),
      };
    case "elementwise":
      return {
        specs: [input("x", [work.size]), input("y", [work.size]), weight("w", [work.size])],
        build: (ops, get) => ops.add(ops.gelu(ops.mul(ops.add(get("x"), get("y")), get("w"))), get("x")),
      };
    case "adamw":
      // The gradient of Σ w·c is c: what is left to measure is the step.
      return {
        specs: Array.from({ length: work.tensors }, (_, i) => i).flatMap((i) => [
          weight(`w${i}`, [work.size / work.tensors / 512, 512]),
          input(`c${i}`, [work.size / work.tensors / 512, 512]),
        ]),
        build: (ops, get) =>
          Array.from({ length: work.tensors }, (_, i) => ops.sumAll(ops.mul(get(`w${i}`), get(`c${i}`)))).reduce(
            ops.add,
          ),
      };
    case "vit":
      return vitProgram(work.model, work.batch);
    case "blocks":
      return blocksProgram(work.model, work.batch, work.tokens, work.mode === "train");
    case "clip":
      return clipProgram(work.model, work.batch, work.mode === "train");
  }
}

/** Floating-point operations by the formula, not by what a library does; 0 where bytes are what counts. */
export function flopsOf(work: Work): number {
  const times = work.mode === "forward" ? 1 : 3;
  switch (work.kind) {
    case "matmul":
      return times * 2 * (work.batch ?? 1) * work.m * work.k * work.n;
    case "attention":
      return (work.mode === "forward" ? 1 : 3.5) * 4 * work.batch * work.heads * work.tokens ** 2 * work.width;
    case "conv2d": {
      const out = Math.ceil(work.size / work.stride);
      return times * 2 * work.batch * out ** 2 * work.outputs * work.channels * work.kernel ** 2;
    }
    case "vit":
      return times * vitFlops(work.model, work.batch);
    case "blocks":
      return times * blockFlops(work.model, work.batch, work.tokens);
    case "clip":
      return (
        times *
        (vitFlops(work.model.image, work.batch) + blockFlops(work.model.text, work.batch, work.model.text.context))
      );
    default:
      return 0;
  }
}

/** Bytes that the work must read and write at least, where that bounds its speed. */
export function bytesOf(work: Work): number {
  switch (work.kind) {
    case "layerNorm":
    case "softmax":
      return 4 * work.rows * work.width * (work.mode === "forward" ? 2 : 3);
    case "gather":
      return 8 * work.rows * work.width;
    case "elementwise":
      return 16 * work.size;
    case "adamw":
      return 7 * 4 * work.size;
    default:
      return 0;
  }
}
