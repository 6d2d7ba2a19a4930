import { currentPath } from "../context.ts";
import type { Attributes, KernelOp, PickOp } from "../op.ts";
import { Tensor } from "../tensor.ts";
import { Node } from "./node.ts";

export const pickOp: PickOp = { kind: "pick", name: "pick" };

const picks = new WeakMap<Node, readonly Tensor[]>();

/** Puts a kernel into the graph; gives its outputs. */
export function callKernel(op: KernelOp, inputs: readonly Tensor[], attributes: Attributes = {}): readonly Tensor[] {
  const outputs = op.outputs(inputs, attributes);
  const nodes = inputs.map((input) => input.node);
  return kernelOutputs(new Node(op, nodes, attributes, outputs[0]!, currentPath(), outputs));
}

/** All outputs of a kernel node, as tensors; the same tensors at every call. */
export function kernelOutputs(kernel: Node): readonly Tensor[] {
  let outputs = picks.get(kernel);
  if (!outputs) {
    outputs = kernel.outputs!.map(
      (spec, index) => new Tensor(new Node(pickOp, [kernel], { index }, spec, kernel.where)),
    );
    picks.set(kernel, outputs);
  }
  return outputs;
}
