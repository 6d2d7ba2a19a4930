/** Schedules without a device: the kernels that a step would launch, and the bytes that they would touch. */
import { compile, grad, onDebug, type Tensor, tensor, useDevice } from "@vlm/core";
import { AdamW, Module, repeat, TransformerBlock } from "@vlm/nn";
import type { Expr } from "../../../packages/core/src/ir/expr.ts";
import type { Kernel, Schedule } from "../../../packages/core/src/ir/kernel.ts";
import { attentionBackwardOp, attentionOp } from "../../../packages/core/src/ops/attention.ts";
import { schedulingDevice } from "../../../packages/core/src/runtime/scheduling-device.ts";
import { idleBackend } from "./idle-backend.ts";

/** The attention kernels must be the device's own, or the count means nothing. */
export const hasFusedAttention = (): boolean =>
  attentionOp.webgpu !== undefined && attentionBackwardOp.webgpu !== undefined;

export const [B, N, D, HEADS] = [2, 197, 192, 3] as const;

class Blocks extends Module {
  readonly blocks: TransformerBlock[];
  constructor(depth: number) {
    super();
    this.blocks = repeat(depth, () => new TransformerBlock({ width: D, heads: HEADS }));
  }
}

export type Mode = "forward" | "gradients" | "step";

/** The schedule of a forward pass, of all gradients, or of a whole training step of blocks of width 192. */
export async function scheduleOf(device: "wasm" | "webgpu", mode: Mode, depth: number): Promise<Schedule> {
  await useDevice(schedulingDevice(idleBackend(device)));
  const model = new Blocks(depth);
  const optimizer = new AdamW(model, { lr: 1e-3 });
  const x = tensor(new Float32Array(B * N * D), { shape: [B, N, D] });
  const upstream = tensor(new Float32Array(B * N * D), { shape: [B, N, D] });
  const forward = (input: Tensor): Tensor => {
    let y = input;
    for (const block of model.blocks) y = y.pipe(block);
    return y;
  };
  // The first values of the parameters are a plan of their own.
  await Promise.all(model.parameters().map((parameter) => parameter.data()));
  let schedule: Schedule | undefined;
  const stop = onDebug((event) => {
    if (event.kind === "plan") schedule = event.schedule;
  }, 3);
  if (mode === "forward") await compile(forward)(x);
  else {
    const step = compile((input: Tensor, dy: Tensor) => {
      const loss = forward(input).mul(dy).sum();
      const gradients = grad(loss, model);
      if (mode === "gradients") return [...gradients.values()];
      optimizer.step(gradients);
      return [loss];
    });
    await (await step(x, upstream))[0]!.data();
  }
  stop();
  return schedule!;
}

/** Bytes of the buffers that a kernel reads and writes, each counted once. */
function bytesOf(kernel: Kernel, { buffers }: Schedule): number {
  const touched = new Set<number>();
  const visit = (expr: Expr): void => {
    if (expr.kind === "load") touched.add(expr.buffer);
    else if (expr.kind === "guard") visit(expr.value);
    else if (expr.kind === "apply") expr.args.forEach(visit);
  };
  if (kernel.kind === "custom") for (const { buffer } of [...kernel.inputs, ...kernel.outputs]) touched.add(buffer);
  else {
    const stores = kernel.kind === "contract" ? kernel.stores : kernel.stages;
    if (kernel.kind === "contract") for (const operand of [kernel.a, kernel.b]) visit(operand);
    for (const part of stores) {
      visit(part.value);
      if ("buffer" in part) touched.add(part.buffer);
    }
  }
  return [...touched].reduce((sum, at) => sum + 4 * buffers[at]!.size, 0);
}

export const bytesMoved = (schedule: Schedule): number =>
  schedule.kernels.reduce((sum, kernel) => sum + bytesOf(kernel, schedule), 0);
