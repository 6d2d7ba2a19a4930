/** Reverse-mode differentiation as a graph transformation: gradients are tensors, and can be differentiated again. */

import { Cell, type CellGroup, isCellGroup } from "./cell.ts";
import { snapshotContext } from "./context.ts";
import { type DType, expectDType, isFloat } from "./dtype.ts";
import { VlmError } from "./errors.ts";
import { callKernel, kernelOutputs } from "./graph/kernel.ts";
import { type Node, newestNode } from "./graph/node.ts";
import { referenceOutputs } from "./graph/program.ts";
import type { ElementwiseOp, KernelOp } from "./op.ts";
import { isZero } from "./ops/composite.ts";
import { applyElementwise } from "./ops/define.ts";
import { fill, zeros } from "./ops/source.ts";
import { expectTensor, listOf, sameShape, shapeError, shown } from "./shape.ts";
import { Tensor } from "./tensor.ts";

/** Gradients of a module: one tensor per trainable parameter. */
export type Gradients = Map<Cell, Tensor>;

/**
 * Gradients of a scalar `loss` with respect to tensors, or to all trainable parameters of a module.
 * A tensor the loss does not depend on gets zeros. Throws `ShapeError LOSS_SCALAR` when the loss is no scalar, and
 * `GraphError HISTORY_CUT` when a parameter was updated between computing the loss and this call.
 */
export function grad<const W extends readonly (Tensor | Cell)[]>(loss: Tensor, wrt: W): { [K in keyof W]: Tensor };
export function grad(loss: Tensor, wrt: CellGroup): Gradients;
export function grad(loss: Tensor, wrt: readonly (Tensor | Cell)[] | CellGroup): Tensor[] | Gradients {
  expectTensor("grad", loss);
  if (loss.size !== 1) {
    throw new VlmError("ShapeError", "LOSS_SCALAR", {
      what: `grad: a loss is one number, got ${shown(loss.shape)}`,
      hint: "reduce it first, for example loss.mean()",
    });
  }
  expectDType("grad", loss.dtype, "float");
  const seed = fill(1, loss.shape, loss.dtype);
  if (isCellGroup(wrt)) {
    const cells = [...wrt.trainable()];
    const gradients = pullback(
      [loss],
      [seed],
      cells.map((cell) => cell.value),
    );
    noteLoss(gradients, loss);
    return new Map(cells.map((cell, i) => [cell, gradients[i]!]));
  }
  const gradients = pullback(
    [loss],
    [seed],
    listOf("grad", wrt).map((x) => (x instanceof Cell ? x.value : expectTensor("grad", x))),
  );
  noteLoss(gradients, loss);
  return gradients;
}

/** `[loss, gradients]` of a function at the given tensors. */
export function valueAndGrad(
  fn: (...args: Tensor[]) => Tensor,
): (...args: Tensor[]) => { value: Tensor; grads: Tensor[] } {
  return (...args) => {
    const value = fn(...args);
    return { value, grads: grad(value, args) };
  };
}

const losses = new WeakMap<Node, Tensor>();

/** A plan that computes gradients computes their loss too: reading it after the optimiser's step costs nothing. */
function noteLoss(gradients: readonly Tensor[], loss: Tensor): void {
  for (const gradient of gradients) losses.set(gradient.node, loss);
}

/** The loss that a gradient tensor belongs to. */
export const lossOf = (gradient: Tensor): Tensor | undefined => losses.get(gradient.node);

/** Vector–Jacobian product: Σ dy·∂y/∂x for each x, zeros where y does not depend on x. */
export function pullback(ys: readonly Tensor[], dys: readonly Tensor[], xs: readonly Tensor[]): Tensor[] {
  checkGradients("pullback", dys, ys);
  return propagate(ys, dys, xs, new Set());
}

/**
 * The same with the xs as independent variables, as a function's gradient needs it: what one x owes to another is not
 * counted, and an x that is given twice gets its gradient once.
 */
function partials(ys: readonly Tensor[], dys: readonly Tensor[], xs: readonly Tensor[]): (Tensor | null)[] {
  const nodes = xs.map((x) => x.node);
  const gradients = propagate(ys, dys, xs, new Set(nodes));
  return gradients.map((gradient, i) => (nodes.indexOf(nodes[i]!) === i ? gradient : null));
}

/** Nodes in `ends` are not passed. */
function propagate(
  ys: readonly Tensor[],
  dys: readonly Tensor[],
  xs: readonly Tensor[],
  ends: ReadonlySet<Node>,
): Tensor[] {
  const targets = new Set(xs.map((x) => x.node));
  const { order, onPath } = dependents(
    ys.map((y) => y.node),
    targets,
    ends,
  );
  const cotangents = new Map<Node, Tensor>();
  /** Gradients of a kernel node's outputs, by position. */
  const ofOutputs = new Map<Node, (Tensor | undefined)[]>();
  const accumulate = (node: Node, dy: Tensor): void => {
    const before = cotangents.get(node);
    cotangents.set(node, before ? before.add(dy) : dy);
  };
  for (const [i, y] of ys.entries()) accumulate(y.node, dys[i]!);
  for (let i = order.length - 1; i >= 0; i--) {
    const node = order[i]!;
    if (ends.has(node)) continue;
    const { op } = node;
    if (op.kind === "pick") {
      const dy = cotangents.get(node);
      const kernel = node.inputs[0]!;
      const slots = ofOutputs.get(kernel) ?? [];
      if (dy) slots[node.attributes.index as number] = dy;
      ofOutputs.set(kernel, slots);
      continue;
    }
    const dy = op.kind === "kernel" ? outputGradients(node, ofOutputs.get(node)) : [cotangents.get(node)];
    if (!dy[0] || node.inputs.length === 0) continue;
    const gradients = inputGradients(node, dy as Tensor[]);
    node.inputs.forEach((input, k) => {
      const gradient = gradients[k];
      if (gradient && onPath.has(input)) accumulate(input, gradient);
    });
  }
  return xs.map((x) => cotangents.get(x.node) ?? zeros(x.shape, isFloat(x.dtype) ? x.dtype : "f32"));
}

/** Nodes between `roots` and `targets`, inputs before users. */
function dependents(
  roots: readonly Node[],
  targets: ReadonlySet<Node>,
  ends: ReadonlySet<Node> = new Set(),
): { order: Node[]; onPath: Set<Node> } {
  const order: Node[] = [];
  const onPath = new Set<Node>();
  const state = new Map<Node, "open" | "done">();
  const stack = [...roots];
  while (stack.length > 0) {
    const node = stack[stack.length - 1]!;
    const seen = state.get(node);
    if (seen === undefined) {
      state.set(node, "open");
      if (!ends.has(node)) stack.push(...node.inputs);
      continue;
    }
    stack.pop();
    if (seen === "done") continue;
    state.set(node, "done");
    if (node.cut && !targets.has(node)) throw historyCut(node);
    if (targets.has(node) || (!ends.has(node) && node.inputs.some((input) => onPath.has(input)))) {
      onPath.add(node);
      order.push(node);
    }
  }
  return { order, onPath };
}

function historyCut(node: Node): VlmError {
  return new VlmError("GraphError", "HISTORY_CUT", {
    what: `grad: the history of a tensor ${shown(node.shape)} is gone: ${node.cut}`,
    where: node.where ?? undefined,
    hint: "take gradients before the optimiser's step, or compute the loss again",
  });
}

function outputGradients(kernel: Node, slots: readonly (Tensor | undefined)[] | undefined): (Tensor | undefined)[] {
  if (!slots?.some((slot) => slot)) return [undefined];
  return kernel.outputs!.map((spec, i) => slots[i] ?? zeros(spec.shape, spec.dtype));
}

function inputGradients(node: Node, dy: readonly Tensor[]): readonly (Tensor | null)[] {
  const { op, attributes } = node;
  const inputs = node.inputs.map((input) => new Tensor(input));
  if (op.kind === "kernel" && !op.vjp) {
    if (!op.reference) return inputs.map(() => null);
    return partials(referenceOutputs(node), dy, inputs);
  }
  const vjp = "vjp" in op ? op.vjp : undefined;
  if (!vjp) return inputs.map(() => null);
  const outputs = op.kind === "kernel" ? kernelOutputs(node) : [new Tensor(node)];
  return vjp({ dy, inputs, outputs, attributes });
}

/** x, through which no gradient flows. */
export function stopGradient(x: Tensor): Tensor {
  return applyElementwise(stopOp, [x]);
}

const identity = {
  kind: "elementwise",
  arity: 1,
  dtype: ([x]: readonly DType[]) => x!,
  eval: ([x]: readonly number[]) => x!,
  wgsl: ([x]: readonly string[]) => x!,
  identity: true,
  cost: 0,
} as const;

const stopOp: ElementwiseOp = { ...identity, name: "stopGradient" };
/** Keeps what is computed from it apart from equal expressions elsewhere: the `id` attribute is unique. */
const apartOp: ElementwiseOp = { ...identity, name: "apart", vjp: ({ dy }) => [dy[0]!] };
let apartCount = 0;

/** A gradient has the shape of what it belongs to; null where there is none. */
export function checkGradients<G extends readonly (Tensor | null)[]>(
  op: string,
  gradients: G,
  of: readonly Tensor[],
): G {
  const fits = listOf(op, gradients).length === of.length;
  if (fits && gradients.every((g, i) => g === null || sameShape(expectTensor(op, g).shape, of[i]!.shape))) {
    return gradients;
  }
  const shapes = (list: G | readonly Tensor[]): string => list.map((x) => x && shown(x.shape)).join(", ");
  throw shapeError(
    "GRADIENT_SHAPE",
    `${op}: gradients ${shapes(gradients)} of tensors ${shapes(of)}`,
    "give one of the same shape for each, in order",
  );
}

/** A function with a gradient of its own: `vjp(dy, inputs, output)` gives dL/dx for each input. */
export function customGradient(
  forward: (...inputs: Tensor[]) => Tensor,
  vjp: (dy: Tensor, inputs: readonly Tensor[], output: Tensor) => readonly (Tensor | null)[],
): (...inputs: Tensor[]) => Tensor {
  return (...inputs) => {
    const value = expectTensor("customGradient", forward(...inputs));
    const op: KernelOp = {
      kind: "kernel",
      name: "customGradient",
      outputs: () => [value],
      reference: () => [value],
      vjp: ({ dy, inputs: xs, outputs }) => checkGradients("customGradient", vjp(dy[0]!, xs, outputs[0]!), xs),
    };
    return callKernel(op, inputs)[0]!;
  };
}

/**
 * `fn` whose intermediates are computed again in the backward pass instead of being kept: memory for time
 * (Chen et al. 2016). Parameters that `fn` reads from outside get their gradients too.
 */
export function checkpoint(fn: (...inputs: Tensor[]) => Tensor): (...inputs: Tensor[]) => Tensor {
  return (...inputs) => {
    const replay = snapshotContext();
    const before = newestNode();
    const value = expectTensor("checkpoint", fn(...inputs));
    const captured = captures(value.node, new Set(inputs.map((x) => x.node)), before).map((node) => new Tensor(node));
    const op: KernelOp = {
      kind: "kernel",
      name: "checkpoint",
      outputs: () => [value],
      reference: () => [value],
      vjp: ({ dy }) => {
        const id = ++apartCount;
        const again = inputs.map((x) => applyElementwise(apartOp, [x], { id }));
        // What fn does with an input that it also reads from outside comes beside what it does with its argument.
        const gradients = partials([replay(() => fn(...again))], dy, [...again, ...captured, ...inputs]);
        const direct = gradients.splice(again.length + captured.length);
        return gradients.map((gradient, i) => {
          const more = direct[i];
          return gradient && more && !isZero(more) ? gradient.add(more) : gradient;
        });
      },
    };
    return callKernel(op, [...inputs, ...captured])[0]!;
  };
}

/**
 * What a function captured from outside: the nodes older than its call (or leaves: parameters that it reads) that its
 * result is made from. What it made itself from them is made anew when it runs again.
 */
function captures(root: Node, inputs: ReadonlySet<Node>, before: number): Node[] {
  const found = new Set<Node>();
  const seen = new Set<Node>();
  const stack = [root];
  for (let node = stack.pop(); node; node = stack.pop()) {
    if (seen.has(node) || inputs.has(node)) continue;
    seen.add(node);
    if (node.id <= before || node.op.kind === "data") found.add(node);
    else stack.push(...node.inputs);
  }
  return [...found];
}
