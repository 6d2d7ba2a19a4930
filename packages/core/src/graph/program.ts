/**
 * A graph cut loose from its tensors: what a device compiles, and what the plan cache is keyed by.
 * Equal nodes are merged (common subexpressions), kernels the device does not know are replaced by their references.
 */
import type { DType } from "../dtype.ts";
import type { Attributes, Op, TensorSpec } from "../op.ts";
import { Tensor } from "../tensor.ts";
import type { Node, Storage } from "./node.ts";

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

const opIds = new WeakMap<Op, number>();
let opCount = 0;

function opId(op: Op): number {
  let id = opIds.get(op);
  if (id === undefined) opIds.set(op, (id = opCount++));
  return id;
}

/** Builds the program that computes `outputs`; `leaves` are the nodes whose storage it reads, in input order. */
export function buildProgram(
  outputs: readonly Node[],
  supports: Supports,
): { program: Program; leaves: readonly Node[] } {
  const nodes: ProgramNode[] = [];
  const known = new Map<string, number>();
  const numbers = new Map<Node, number>();
  const leaves: Node[] = [];
  const leafOf = new Map<Storage | Node, number>();
  const signatures: string[] = [];

  const add = (signature: string, make: () => ProgramNode): number => {
    let at = known.get(signature);
    if (at === undefined) {
      at = nodes.length;
      known.set(signature, at);
      nodes.push(make());
      signatures.push(signature);
    }
    return at;
  };

  const visit = (root: Node): void => {
    // An explicit stack: graphs are deeper than the call stack.
    const stack: Node[] = [root];
    while (stack.length > 0) {
      const node = stack[stack.length - 1]!;
      if (numbers.has(node)) {
        stack.pop();
        continue;
      }
      const isLeaf = node.storage !== null || node.op.kind === "data";
      const replaced = !isLeaf && node.op.kind === "pick" ? expandKernel(node, supports) : null;
      const needs = isLeaf ? [] : replaced ? [replaced] : node.inputs;
      const missing = needs.filter((input) => !numbers.has(input));
      if (missing.length > 0) {
        for (let i = missing.length - 1; i >= 0; i--) stack.push(missing[i]!);
        continue;
      }
      stack.pop();
      if (replaced) {
        numbers.set(node, numbers.get(replaced)!);
        continue;
      }
      const { shape, dtype } = node;
      if (isLeaf) {
        const source = node.storage ?? node;
        let leaf = leafOf.get(source);
        if (leaf === undefined) {
          leafOf.set(source, (leaf = leaves.length));
          leaves.push(node);
        }
        const signature = `L${leaf} ${dtype} ${shape.join(",")}`;
        const op = node.op;
        numbers.set(
          node,
          add(signature, () => ({
            op,
            attributes: {},
            inputs: [],
            shape,
            dtype,
            outputs: null,
            leaf: leaf!,
            where: null,
          })),
        );
        continue;
      }
      const inputs = node.inputs.map((input) => numbers.get(input)!);
      const signature = `${opId(node.op)} ${dtype} ${shape.join(",")} ${inputs.join(",")} ${attributesKey(node.attributes)}`;
      const { op, attributes, where } = node;
      numbers.set(
        node,
        add(signature, () => ({ op, attributes, inputs, shape, dtype, outputs: node.outputs, leaf: -1, where })),
      );
    }
  };
  for (const output of outputs) visit(output);
  const positions = outputs.map((output) => numbers.get(output)!);
  return { program: { nodes, outputs: positions, key: `${signatures.join(";")}>${positions.join(",")}` }, leaves };
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

const attributeKeys = new WeakMap<Attributes, string>();

function attributesKey(attributes: Attributes): string {
  let key = attributeKeys.get(attributes);
  if (key === undefined) {
    key = Object.entries(attributes)
      .map(([name, value]) => `${name}=${valueKey(value)}`)
      .join(" ");
    attributeKeys.set(attributes, key);
  }
  return key;
}

let objectCount = 0;
const objectIds = new WeakMap<object, number>();

function valueKey(value: unknown): string {
  if (Array.isArray(value)) return `[${value.map(valueKey).join(",")}]`;
  if (typeof value === "object" || typeof value === "function") {
    if (value === null) return "null";
    let id = objectIds.get(value);
    if (id === undefined) objectIds.set(value, (id = objectCount++));
    return `#${id}`;
  }
  return Object.is(value, -0) ? "-0" : String(value);
}
