/** Writes a program as an ONNX model (onnx.proto3, IR version 10, opset 23), its weights as initialisers. */
import { floatsOf, integersOf, type Spec } from "../work/data.ts";
import type { Ops, Program } from "../work/ops.ts";
import { Writer } from "./protobuf.ts";

const FLOAT = 1;
const INT32 = 6;
const INT64 = 7;

type Value = { name: string; shape: readonly number[] };
type Attribute = number | string | readonly number[] | { float: number };

const broadcast = (a: readonly number[], b: readonly number[]): number[] => {
  const rank = Math.max(a.length, b.length);
  return Array.from({ length: rank }, (_, i) => Math.max(a[i - rank + a.length] ?? 1, b[i - rank + b.length] ?? 1));
};

class GraphWriter {
  readonly nodes: Writer[] = [];
  readonly initializers: Writer[] = [];
  private count = 0;

  node(
    op: string,
    inputs: readonly Value[],
    shape: readonly number[],
    attributes: Record<string, Attribute> = {},
  ): Value {
    const name = `v${this.count++}`;
    const node = new Writer();
    for (const input of inputs) node.string(1, input.name);
    node.string(2, name).string(4, op);
    for (const [key, value] of Object.entries(attributes)) node.message(5, attribute(key, value));
    this.nodes.push(node);
    return { name, shape };
  }

  initializer(name: string, shape: readonly number[], type: number, data: Uint8Array): Value {
    const writer = new Writer();
    for (const n of shape) writer.integer(1, n);
    this.initializers.push(writer.integer(2, type).string(8, name).bytes(9, data));
    return { name, shape };
  }

  integers(values: readonly number[]): Value {
    const data = new Uint8Array(BigInt64Array.from(values, (value) => BigInt(value)).buffer);
    return this.initializer(`i${this.count++}`, [values.length], INT64, data);
  }

  floats(values: Float32Array, shape: readonly number[]): Value {
    return this.initializer(`f${this.count++}`, shape, FLOAT, bytesOf(values));
  }
}

const bytesOf = ({ buffer, byteOffset, byteLength }: Float32Array | Int32Array): Uint8Array =>
  new Uint8Array(buffer as ArrayBuffer, byteOffset, byteLength);

function attribute(name: string, value: Attribute): Writer {
  const writer = new Writer().string(1, name);
  if (typeof value === "string") return writer.string(4, value).integer(20, 3);
  if (typeof value === "number") return writer.integer(3, value).integer(20, 2);
  if ("float" in value) return writer.float(2, value.float).integer(20, 1);
  for (const item of value) writer.integer(8, item);
  return writer.integer(20, 7);
}

/** `fused`: attention as ONNX's Attention operator; else as the products that it is made of. */
export type OnnxOptions = { fused: boolean };

function onnxOps(graph: GraphWriter, { fused }: OnnxOptions): Ops<Value> {
  const scalar = (value: number): Value => graph.floats(Float32Array.of(value), []);
  const binary = (op: string) => (a: Value, b: Value) => graph.node(op, [a, b], broadcast(a.shape, b.shape));
  const unary = (op: string) => (x: Value) => graph.node(op, [x], x.shape);
  const [add, mul] = [binary("Add"), binary("Mul")];
  const transposed = (x: Value): Value => {
    const rank = x.shape.length;
    const order = [...Array.from({ length: rank - 2 }, (_, i) => i), rank - 1, rank - 2];
    return ops.permute(x, order);
  };
  const ops: Ops<Value> = {
    shape: (x) => x.shape,
    add,
    mul,
    scale: (x, factor) => mul(x, scalar(factor)),
    exp: unary("Exp"),
    gelu: unary("Gelu"),
    quickGelu: (x) => mul(x, unary("Sigmoid")(mul(x, scalar(1.702)))),
    matmul: (a, b, options) => {
      const right = options?.transposed ? transposed(b) : b;
      const lead = broadcast(a.shape.slice(0, -2), right.shape.slice(0, -2));
      return graph.node("MatMul", [a, right], [...lead, a.shape.at(-2)!, right.shape.at(-1)!]);
    },
    linear: (x, w, b) => {
      const y = ops.matmul(x, transposed(w));
      return b ? add(y, b) : y;
    },
    layerNorm: (x, weight, bias, eps) =>
      graph.node("LayerNormalization", [x, weight, bias], x.shape, { axis: -1, epsilon: { float: eps } }),
    softmax: (x) => graph.node("Softmax", [x], x.shape, { axis: -1 }),
    logSoftmax: (x) => graph.node("LogSoftmax", [x], x.shape, { axis: -1 }),
    attention: (q, k, v, causal) => {
      if (fused) return graph.node("Attention", [q, k, v], q.shape, { is_causal: causal ? 1 : 0 });
      const [N, d] = [q.shape.at(-2)!, q.shape.at(-1)!];
      let logits = ops.scale(ops.matmul(q, k, { transposed: true }), d ** -0.5);
      if (causal) {
        const mask = Float32Array.from({ length: N * N }, (_, at) => (at % N > Math.floor(at / N) ? -1e30 : 0));
        logits = add(logits, graph.floats(mask, [N, N]));
      }
      return ops.matmul(ops.softmax(logits), v);
    },
    conv2d: (x, w, b, stride) => {
      const pad = (w.shape[2]! - 1) / 2;
      const [B, , H, W] = x.shape as [number, number, number, number];
      const out = (n: number): number => Math.floor((n - 1) / stride) + 1;
      return graph.node("Conv", [x, w, b], [B, w.shape[0]!, out(H), out(W)], {
        strides: [stride, stride],
        pads: [pad, pad, pad, pad],
      });
    },
    gather: (table, ids) => graph.node("Gather", [table, ids], [...ids.shape, table.shape[1]!], { axis: 0 }),
    reshape: (x, shape) => graph.node("Reshape", [x, graph.integers(shape)], shape),
    permute: (x, order) =>
      graph.node(
        "Transpose",
        [x],
        order.map((axis) => x.shape[axis]!),
        { perm: order },
      ),
    slice: (x, axis, start, end) => {
      const shape = x.shape.map((n, i) => (i === axis ? end - start : n));
      return graph.node("Slice", [x, graph.integers([start]), graph.integers([end]), graph.integers([axis])], shape);
    },
    concat: (parts, axis) => {
      const shape = parts[0]!.shape.map((n, i) => (i === axis ? parts.reduce((sum, p) => sum + p.shape[i]!, 0) : n));
      return graph.node("Concat", parts, shape, { axis });
    },
    expand: (x, shape) => graph.node("Expand", [x, graph.integers(shape)], shape),
    sumLast: (x) => graph.node("ReduceSum", [x, graph.integers([-1])], [...x.shape.slice(0, -1), 1]),
    rsqrt: (x) => unary("Reciprocal")(unary("Sqrt")(x)),
    sumAll: (x) => graph.node("ReduceSum", [x], [], { keepdims: 0 }),
    eye: (n) =>
      graph.floats(
        Float32Array.from({ length: n * n }, (_, at) => (at % (n + 1) === 0 ? 1 : 0)),
        [n, n],
      ),
  };
  return ops;
}

function valueInfo(name: string, shape: readonly number[], type: number): Writer {
  const dims = new Writer();
  for (const n of shape) dims.message(1, new Writer().integer(1, n));
  const tensor = new Writer().integer(1, type).message(2, dims);
  return new Writer().string(1, name).message(2, new Writer().message(1, tensor));
}

const typeOf = (spec: Spec): number => (spec.ids ? INT32 : FLOAT);

/** The bytes of an ONNX model with one output, "result". */
export function onnxModel(program: Program, options: OnnxOptions): Uint8Array {
  const graph = new GraphWriter();
  const values = new Map<string, Value>();
  for (const spec of program.specs) {
    if (spec.role === "input") values.set(spec.name, { name: spec.name, shape: spec.shape });
    else values.set(spec.name, graph.initializer(spec.name, spec.shape, FLOAT, bytesOf(floatsOf(spec))));
  }
  const output = program.build(onnxOps(graph, options), (name) => values.get(name)!);
  const body = new Writer();
  for (const node of [...graph.nodes, identity(output.name)]) body.message(1, node);
  body.string(2, "work");
  for (const initializer of graph.initializers) body.message(5, initializer);
  for (const spec of program.specs) {
    if (spec.role === "input") body.message(11, valueInfo(spec.name, spec.shape, typeOf(spec)));
  }
  body.message(12, valueInfo("result", output.shape, FLOAT));
  const opset = new Writer().string(1, "").integer(2, 23);
  return new Writer().integer(1, 10).string(2, "benchmarks").message(7, body).message(8, opset).finish();
}

const identity = (from: string): Writer => new Writer().string(1, from).string(2, "result").string(4, "Identity");

/** The inputs' numbers, by name. */
export const onnxInputs = (
  program: Program,
): { name: string; type: "float32" | "int32"; data: Float32Array | Int32Array; dims: number[] }[] =>
  program.specs
    .filter(({ role }) => role === "input")
    .map((spec) => ({
      name: spec.name,
      type: spec.ids ? "int32" : "float32",
      data: spec.ids ? integersOf(spec) : floatsOf(spec),
      dims: [...spec.shape],
    }));
