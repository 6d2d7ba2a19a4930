/**
 * A graph cut loose from its tensors: what a device compiles, and what the plan cache is keyed by.
 * Equal nodes are merged (common subexpressions), kernels the device does not know are replaced by their references.
 */
import type { DType } from "../dtype.ts";
import type { Attributes, Op, TensorSpec } from "../op.ts";
import { Tensor } from "../tensor.ts";
import type { Node, Storage } from "./node.ts";
import { Signatures } from "./signatures.ts";

export type ProgramNode = {
  readonly op: Op;
  readonly attributes: Attributes;
  readonly inputs: readonly number[];
  readonly shape: readonly number[];
  readonly dtype: DType;
  readonly outputs: readonly TensorSpec[] | null;
  /** Position among the inputs for leaves with storage, else −1. */
  readonly leaf: number;
  readonly where: string | null;
};

export type Program = {
  /** In topological order. */
  readonly nodes: readonly ProgramNode[];
  readonly outputs: readonly number[];
  /** Structure, shapes, dtypes and attributes: equal keys mean the same computation. */
  readonly key: string;
};

/** True when the device has its own code for a kernel node. */
export type Supports = (node: { op: Op; attributes: Attributes; inputs: readonly TensorSpec[] }) => boolean;

/** Builds the program that computes `outputs`; `leaves` are the nodes whose storage it reads, in input order. */
export function buildProgram(
  outputs: readonly Node[],
  supports: Supports,
): { program: Program; leaves: readonly Node[] } {
  const nodes: ProgramNode[] = [];
  const numbers = new Map<Node, number>();
  const leaves: Node[] = [];
  const leafOf = new Map<Storage | Node, number>();
  const signatures = new Signatures();

  const addLeaf = (node: Node): number => {
    const { op, shape, dtype } = node;
    const source = node.storage ?? node;
    let leaf = leafOf.get(source);
    if (leaf === undefined) {
      leafOf.set(source, (leaf = leaves.length));
      leaves.push(node);
    }
    const at = signatures.leaf(leaf, dtype, shape);
    if (at === nodes.length) {
      nodes.push({ op, attributes: {}, inputs: [], shape, dtype, outputs: null, leaf, where: null });
    }
    return at;
  };

  const add = (node: Node): number => {
    const { op, shape, dtype, outputs, where } = node;
    const { inputs: read, attributes } = joinedViews(node);
    if (!attributes) return numbers.get(read[0]!)!;
    const inputs: number[] = [];
    for (const input of read) inputs.push(numbers.get(input)!);
    const at = signatures.node(op, dtype, shape, inputs, attributes);
    if (at === nodes.length) nodes.push({ op, attributes, inputs, shape, dtype, outputs, leaf: -1, where });
    return at;
  };

  // An explicit stack: graphs are deeper than the call stack. The first output lies on top.
  const stack = [...outputs].reverse();
  while (stack.length > 0) {
    const node = stack[stack.length - 1]!;
    if (numbers.has(node)) {
      stack.pop();
      continue;
    }
    if (node.storage !== null || node.op.kind === "data") {
      stack.pop();
      numbers.set(node, addLeaf(node));
      continue;
    }
    const replaced = node.op.kind === "pick" ? expandKernel(node, supports) : null;
    const depth = stack.length;
    if (replaced) {
      if (!numbers.has(replaced)) stack.push(replaced);
    } else {
      const { inputs } = joinedViews(node);
      for (let i = inputs.length - 1; i >= 0; i--) {
        const input = inputs[i]!;
        if (!numbers.has(input)) stack.push(input);
      }
    }
    if (stack.length > depth) continue;
    stack.pop();
    numbers.set(node, replaced ? numbers.get(replaced)! : add(node));
  }
  const positions = outputs.map((output) => numbers.get(output)!);
  return { program: { nodes, outputs: positions, key: signatures.key(positions) }, leaves };
}

/**
 * What a node reads, and how, views of views being one; attributes are null when they undo each other. (They are joined
 * here and not where they are made: a gradient may be asked of the inner one.)
 */
function joinedViews(node: Node): { inputs: readonly Node[]; attributes: Attributes | null } {
  let { op, inputs, attributes }: { op: Op; inputs: readonly Node[]; attributes: Attributes | null } = node;
  if (op.kind !== "view" || !op.joined) return { inputs, attributes };
  let inner = inputs[0]!;
  while (inner.op === op && inner.storage === null && inner.inputs.length > 0) {
    attributes = attributes ? op.joined(inner.attributes, attributes) : inner.attributes;
    inputs = inner.inputs;
    inner = inputs[0]!;
  }
  return { inputs, attributes };
}

/** The reference's node for a `pick` of a kernel the device has no code for; null where it has. */
function expandKernel(pick: Node, supports: Supports): Node | null {
  const kernel = pick.inputs[0]!;
  if (kernel.op.kind !== "kernel") return null;
  const { op, attributes } = kernel;
  if (!op.reference || supports({ op, attributes, inputs: kernel.inputs })) return null;
  return referenceOutputs(kernel)[pick.attributes.index as number]!.node;
}

const references = new WeakMap<Node, readonly Tensor[]>();

/** The outputs of a kernel node as a composite of other ops; built once per node. */
export function referenceOutputs(kernel: Node): readonly Tensor[] {
  let outputs = references.get(kernel);
  if (!outputs) {
    if (kernel.op.kind !== "kernel" || !kernel.op.reference) throw new Error(`${kernel.op.name} has no reference`);
    outputs = kernel.op.reference(
      kernel.inputs.map((input) => new Tensor(input)),
      kernel.attributes,
    );
    references.set(kernel, outputs);
  }
  return outputs;
}
