/** Composites with a gradient of their own. */
import { callKernel } from "../graph/kernel.ts";
import type { Attributes, KernelOp, TensorSpec, Vjp } from "../op.ts";
import { shapeError, shown } from "../shape.ts";
import type { Tensor } from "../tensor.ts";
import { fillOp } from "./source.ts";

/**
 * A composite whose gradient is written by hand: cheaper, or more stable, than what differentiating its steps gives.
 * On a device it is its steps, which fuse like any others.
 */
export function defineComposite(spec: {
  name: string;
  outputs?: (inputs: readonly TensorSpec[], attributes: Attributes) => readonly TensorSpec[];
  reference: (inputs: readonly Tensor[], attributes: Attributes) => readonly Tensor[];
  vjp: Vjp;
}): KernelOp {
  return { kind: "kernel", outputs: ([x]) => [x!], ...spec };
}

/** The first output of a kernel op. */
export function callFirst(op: KernelOp, inputs: readonly Tensor[], attributes: Attributes = {}): Tensor {
  return callKernel(op, inputs, attributes)[0]!;
}

/** A parameter per channel, [C], against x [B C …]. */
export function perChannel(op: string, parameter: Tensor | null | undefined, x: Tensor): Tensor | null {
  if (!parameter) return null;
  if (x.rank >= 2 && parameter.size === x.shape[1]) return parameter.reshape([-1, ...x.shape.slice(2).map(() => 1)]);
  throw shapeError(
    "CHANNEL_PARAMETER",
    `${op}: a parameter ${shown(parameter.shape)} does not fit the channels of ${shown(x.shape)}`,
    "the shape is [batch channels …], and each channel has one",
    { op, parameter: parameter.shape, x: x.shape },
  );
}

/** True for a gradient that is known to be zero everywhere: nothing was computed from that output. */
export const isZero = (x: Tensor): boolean => x.node.op === fillOp && x.node.attributes.value === 0;
