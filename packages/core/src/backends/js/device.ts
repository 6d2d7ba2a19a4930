/** The reference device: every node in turn, from the definitions in the op records, in float64. Slow, and the judge. */
import { computeType, type DType, type HostArray, hostArray, isFloat, roundTo } from "../../dtype.ts";
import { bitsToFloats } from "../../float-bits.ts";
import type { Program, ProgramNode } from "../../graph/program.ts";
import { numeric } from "../../ir/index-algebra.ts";
import type { ElementwiseOp, HostArray64, ReduceOp, ViewOp } from "../../op.ts";
import type { Device, Prepared } from "../../runtime/device.ts";
import { sizeOf } from "../../shape.ts";
import type { Buffer } from "../backend.ts";

type JsBuffer = Buffer & { data: Float64Array };
type JsPrepared = Prepared & { program: Program };

/** Makes the float64 reference device. */
export function createJsDevice(): Device {
  let bytes = 0;
  let buffers = 0;
  let peak = 0;
  return {
    name: "js",
    supports: ({ op }) => op.kind === "kernel" && op.eval !== undefined,
    allocate(dtype, size): JsBuffer {
      bytes += size * 8;
      buffers++;
      peak = Math.max(peak, bytes);
      return { dtype, size, bytes: size * 8, data: new Float64Array(size) };
    },
    free(buffer) {
      bytes -= buffer.bytes;
      buffers--;
    },
    write(buffer, data) {
      const out = (buffer as JsBuffer).data;
      const numbers = data instanceof Uint16Array ? bitsToFloats(data, buffer.dtype as "f16" | "bf16") : data;
      for (let i = 0; i < out.length; i++) out[i] = roundTo(buffer.dtype, numbers[i]!);
    },
    async read(buffer) {
      const { data } = buffer as JsBuffer;
      const out: HostArray = hostArray(buffer.dtype, data.length);
      for (let i = 0; i < data.length; i++) out[i] = roundTo(buffer.dtype, data[i]!);
      return out;
    },
    async prepare(program): Promise<JsPrepared> {
      return { program, kernels: program.nodes.length, dispose() {} };
    },
    async run(prepared, inputs, outputs) {
      const values = evaluate(
        (prepared as JsPrepared).program,
        inputs.map((buffer) => (buffer as JsBuffer).data),
      );
      (prepared as JsPrepared).program.outputs.forEach((at, i) => {
        (outputs[i] as JsBuffer).data.set(values[at] as Float64Array);
      });
    },
    memory: () => ({ bytes, buffers, peak }),
    async dispose() {},
  };
}

type Value = Float64Array | readonly Float64Array[];

function evaluate(program: Program, inputs: readonly Float64Array[]): Value[] {
  const values: Value[] = [];
  const lastUse = new Map<number, number>();
  program.nodes.forEach((node, at) => {
    for (const input of node.inputs) lastUse.set(input, at);
  });
  for (const output of program.outputs) lastUse.set(output, Number.POSITIVE_INFINITY);
  program.nodes.forEach((node, at) => {
    const operands = node.inputs.map((input) => program.nodes[input]!);
    values.push(
      node.leaf >= 0
        ? inputs[node.leaf]!
        : evaluateNode(
            node,
            operands,
            node.inputs.map((i) => values[i]!),
          ),
    );
    for (const input of node.inputs) if (lastUse.get(input) === at) values[input] = [];
  });
  return values;
}

function evaluateNode(node: ProgramNode, operands: readonly ProgramNode[], args: readonly Value[]): Value {
  const { op } = node;
  const arrays = args as readonly Float64Array[];
  switch (op.kind) {
    case "elementwise":
      return elementwise(op, node, operands, arrays);
    case "reduce":
      return reduce(op, node, operands[0]!, arrays[0]!);
    case "view":
      return view(op, node, operands[0]!, arrays[0]!);
    case "contract":
      return contract(node, operands[0]!, arrays);
    case "take":
      return take(node, operands[0]!, arrays);
    case "fill":
      return new Float64Array(sizeOf(node.shape)).fill(node.attributes.value as number);
    case "iota":
      return Float64Array.from({ length: node.shape[0]! }, (_, i) => i);
    case "kernel":
      return op.eval!(
        operands.map(({ shape, dtype }, i) => ({ shape, dtype, data: arrays[i]! })),
        node.attributes,
      ).map((data: HostArray64) => Float64Array.from(data));
    case "pick":
      return (args[0] as readonly Float64Array[])[node.attributes.index as number]!;
    case "data":
      throw new Error("a leaf without storage");
  }
}

/** Integers wrap; f32 keeps float64 precision; narrow floats round where they are made. */
const wrap = (dtype: DType, value: number): number => (dtype === "f32" ? value : roundTo(dtype, value));

function elementwise(
  op: ElementwiseOp,
  node: ProgramNode,
  operands: readonly ProgramNode[],
  args: readonly Float64Array[],
): Float64Array {
  const out = new Float64Array(sizeOf(node.shape));
  const types = operands.map(({ dtype }) => computeType(dtype));
  const result = computeType(node.dtype);
  const tuple = new Array<number>(args.length);
  for (let i = 0; i < out.length; i++) {
    for (let k = 0; k < args.length; k++) tuple[k] = args[k]![i]!;
    out[i] = wrap(node.dtype, op.eval(tuple, types, result));
  }
  return out;
}

function reduce(op: ReduceOp, node: ProgramNode, operand: ProgramNode, x: Float64Array): Float64Array {
  const axes = new Set(node.attributes.axes as number[]);
  const out = new Float64Array(sizeOf(node.shape)).fill(op.identity(node.dtype));
  const type = computeType(node.dtype);
  const strides = operand.shape.map(() => 0);
  let stride = 1;
  for (let i = operand.shape.length - 1; i >= 0; i--) {
    if (axes.has(i)) continue;
    strides[i] = stride;
    stride *= operand.shape[i]!;
  }
  forEachIndex(operand.shape, (index, at) => {
    let to = 0;
    for (let i = 0; i < index.length; i++) to += index[i]! * strides[i]!;
    const value = op.combine.eval([out[to]!, x[at]!], [type, type], type);
    // Integers wrap at every step; narrow floats are summed wide and rounded once.
    out[to] = isFloat(node.dtype) ? value : wrap(node.dtype, value);
  });
  return out.map((value) => wrap(node.dtype, value));
}

function view(op: ViewOp, node: ProgramNode, operand: ProgramNode, x: Float64Array): Float64Array {
  const out = new Float64Array(sizeOf(node.shape));
  forEachIndex(node.shape, (index, at) => {
    const { index: source, conditions, otherwise } = op.map(numeric, index, operand.shape, node.shape, node.attributes);
    if (conditions?.some((c) => c.index < c.low || c.index >= c.high)) {
      out[at] = otherwise ?? 0;
      return;
    }
    let from = 0;
    for (let i = 0; i < source.length; i++) from = from * operand.shape[i]! + source[i]!;
    out[at] = x[from]!;
  });
  return out;
}

function contract(node: ProgramNode, a: ProgramNode, [x, y]: readonly Float64Array[]): Float64Array {
  const rank = node.shape.length;
  const [m, n, k] = [node.shape[rank - 2]!, node.shape[rank - 1]!, a.shape[rank - 1]!];
  const out = new Float64Array(sizeOf(node.shape));
  for (let at = 0; at < out.length; at++) {
    const column = at % n;
    const row = Math.floor(at / n);
    const batch = Math.floor(row / m);
    let sum = 0;
    for (let i = 0; i < k; i++) sum += x![row * k + i]! * y![(batch * k + i) * n + column]!;
    out[at] = wrap(node.dtype, sum);
  }
  return out;
}

function take(node: ProgramNode, table: ProgramNode, [x, ids]: readonly Float64Array[]): Float64Array {
  const [rows, width] = [table.shape[0]!, table.shape[1]!];
  const out = new Float64Array(sizeOf(node.shape)).fill(isFloat(node.dtype) ? Number.NaN : 0);
  ids!.forEach((id, i) => {
    if (id >= 0 && id < rows) out.set(x!.subarray(id * width, (id + 1) * width), i * width);
  });
  return out;
}

function forEachIndex(shape: readonly number[], visit: (index: number[], at: number) => void): void {
  const index = shape.map(() => 0);
  const size = sizeOf(shape);
  for (let at = 0; at < size; at++) {
    visit(index, at);
    for (let i = shape.length - 1; i >= 0; i--) {
      if (++index[i]! < shape[i]!) break;
      index[i] = 0;
    }
  }
}
