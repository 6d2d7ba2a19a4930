/** From a schedule to dispatches: kernels rendered and compiled, temporaries placed, bind groups remembered. */
import { debug } from "../../debug.ts";
import type { BufferSpec, CustomKernel, Schedule } from "../../ir/kernel.ts";
import type { Connection } from "./connection.ts";
import { limitExceeded } from "./errors.ts";
import type { Block } from "./memory.ts";
import type { Pipeline, Pipelines } from "./pipelines.ts";
import { renderContract } from "./render/contract.ts";
import { foldGroups, product } from "./render/grid.ts";
import { renderLoop } from "./render/loop.ts";
import type { Target } from "./render/target.ts";
import { planSlots } from "./slots.ts";
import { storedBytes } from "./storage.ts";

type PlannedBinding = { buffer: number; part: number; write: boolean };

/** One dispatch before compiling. */
type Planned = {
  name: string;
  wgsl: string;
  bindings: readonly PlannedBinding[];
  params: readonly number[];
  workgroups: readonly [number, number, number];
  /** Multiply-adds count as two; 0 where nobody counted. */
  flops: number;
  /** A rough count of operations, for how long it may take. */
  work: number;
};

/** One dispatch of a plan. */
export type Step = Pipeline & {
  name: string;
  bindings: readonly PlannedBinding[];
  workgroups: readonly [number, number, number];
  flops: number;
  work: number;
  /** Offset of its parameters in the plan's uniform buffer; −1 without. */
  params: number;
  paramBytes: number;
  /** Bind groups made so far, with the blocks they hold. */
  groups: { ids: readonly number[]; group: GPUBindGroup }[];
  next: number;
};

export type Plan = {
  steps: readonly Step[];
  work: number;
  /** Where each buffer number's block comes from. */
  sources: readonly { role: BufferSpec["role"]; position: number; slot: number }[];
  slotBytes: readonly number[];
  uniform: GPUBuffer | null;
};

/** Bind groups remembered for each dispatch: outputs take turns between a few buffers. */
const MOST_GROUPS = 8;
/** What a stage of a loop costs for each element, and what moving a byte does, in floating-point operations. */
const LOOP_WORK = 4;
const BYTE_WORK = 4;
const UNIFORM = 0x40; // GPUBufferUsage.UNIFORM
const COPY_DST = 0x08;

export async function preparePlan(
  schedule: Schedule,
  connection: Connection,
  pipelines: Pipelines,
  target: Target,
): Promise<Plan> {
  const buffers: BufferSpec[] = [...schedule.buffers];
  const planned = renderSchedule(schedule, buffers, connection.device.limits, target);
  for (const step of planned) {
    debug("source", () => ({ name: step.name, text: step.wgsl }));
    checkLimits(step, connection);
  }
  const compiling = planned.map(({ name, wgsl, bindings, params }) =>
    pipelines.get(
      name,
      wgsl,
      bindings.map(({ write }) => write),
      params.length > 0,
    ),
  );
  pipelines.begin();
  const compiled = await Promise.all(compiling);
  const temporaries = new Map<number, number>();
  buffers.forEach(({ role, dtype, size }, at) => {
    if (role === "temporary") temporaries.set(at, storedBytes(dtype, size));
  });
  const slots = planSlots(planned, temporaries, buffers.length);
  const { uniform, offsets, verdict } = placeParams(planned, connection);
  try {
    await verdict;
  } catch (error) {
    uniform?.destroy();
    throw error;
  }
  const steps = planned.map(
    ({ name, bindings, workgroups, flops, work, params }, at): Step => ({
      ...compiled[at]!,
      name,
      bindings,
      workgroups,
      flops,
      work,
      params: offsets[at]!,
      paramBytes: params.length * 4,
      groups: [],
      next: 0,
    }),
  );
  const sources = buffers.map(({ role, position }, at) => ({ role, position, slot: slots.slotOf[at]! }));
  const work = steps.reduce((sum, step) => sum + step.work, 0);
  return { steps, work, sources, slotBytes: slots.bytes, uniform };
}

/** Kernels to dispatches; temporaries that kernels need for themselves are added to `buffers`. */
export function renderSchedule(
  schedule: Schedule,
  buffers: BufferSpec[],
  limits: GPUSupportedLimits,
  target: Target,
): Planned[] {
  const addBuffer = (spec: BufferSpec): number => buffers.push(spec) - 1;
  const planned = schedule.kernels.flatMap((kernel): Planned[] => {
    if (kernel.kind === "custom") return renderCustom(kernel, addBuffer, limits, target);
    const loop = kernel.kind === "loop";
    const rendered = loop
      ? renderLoop(kernel, buffers, target, addBuffer)
      : renderContract(kernel, buffers, target, addBuffer);
    const flops = loop ? 0 : 2 * kernel.batch * kernel.rows * kernel.columns * kernel.sum;
    const work = loop ? LOOP_WORK * product(kernel.outer) * product(kernel.inner) * kernel.stages.length : flops;
    return rendered.map(({ groups, ...rest }, i) => {
      const [x, y] = foldGroups(groups, limits.maxComputeWorkgroupsPerDimension);
      return { ...rest, workgroups: [x, y, 1] as const, flops: i === 0 ? flops : 0, work: i === 0 ? work : 0 };
    });
  });
  for (const step of planned) {
    const touched = new Set(step.bindings.map(({ buffer }) => buffers[buffer]!));
    for (const { dtype, size } of touched) step.work += BYTE_WORK * storedBytes(dtype, size);
  }
  return planned;
}

function renderCustom(
  kernel: CustomKernel,
  addBuffer: (spec: BufferSpec) => number,
  limits: GPUSupportedLimits,
  target: Target,
): Planned[] {
  const { passes, scratch = [] } = kernel.op.webgpu!({
    inputs: kernel.inputs,
    outputs: kernel.outputs,
    attributes: kernel.attributes,
    limits: {
      workgroupStorage: limits.maxComputeWorkgroupStorageSize,
      workgroupThreads: limits.maxComputeInvocationsPerWorkgroup,
      bindingBytes: target.maxBinding,
    },
    software: target.software,
  });
  const own = scratch.map((size) => addBuffer({ dtype: "u32", size, role: "temporary", position: -1 }));
  return passes
    .map(({ name, wgsl, bindings, params = [], workgroups, flops = 0 }): Planned => {
      const bound = bindings.map((binding): PlannedBinding => {
        const part = binding.part ?? 0;
        if ("input" in binding) return { buffer: kernel.inputs[binding.input]!.buffer, part, write: false };
        const write = !binding.read;
        if ("output" in binding) return { buffer: kernel.outputs[binding.output]!.buffer, part, write };
        return { buffer: own[binding.scratch]!, part, write };
      });
      return { name: name ?? kernel.name, wgsl, bindings: bound, params, workgroups, flops, work: flops };
    })
    .filter(({ workgroups }) => workgroups.every((n) => n > 0));
}

function checkLimits({ name, bindings, workgroups }: Planned, { device }: Connection): void {
  const { maxStorageBuffersPerShaderStage, maxComputeWorkgroupsPerDimension } = device.limits;
  if (bindings.length > maxStorageBuffersPerShaderStage) {
    throw limitExceeded(
      `kernel "${name}" touches ${bindings.length} buffers (or parts of them), the device allows ${maxStorageBuffersPerShaderStage}`,
      { kernel: name, buffers: bindings.length, limit: maxStorageBuffersPerShaderStage },
    );
  }
  const most = Math.max(...workgroups);
  if (most > maxComputeWorkgroupsPerDimension) {
    throw limitExceeded(
      `kernel "${name}" needs ${most} workgroups along one dimension, the device allows ${maxComputeWorkgroupsPerDimension}`,
      { kernel: name, workgroups: most, limit: maxComputeWorkgroupsPerDimension },
    );
  }
}

/** All parameters of a plan lie in one uniform buffer, written once. */
function placeParams(
  planned: readonly Planned[],
  connection: Connection,
): { uniform: GPUBuffer | null; offsets: number[]; verdict: Promise<void> | null } {
  const { device } = connection;
  const alignment = device.limits.minUniformBufferOffsetAlignment;
  let bytes = 0;
  const known = new Map<string, number>();
  const offsets = planned.map(({ params }) => {
    if (params.length === 0) return -1;
    const key = params.join(" ");
    let offset = known.get(key);
    if (offset === undefined) {
      known.set(key, (offset = bytes));
      bytes = Math.ceil((bytes + params.length * 4) / alignment) * alignment;
    }
    return offset;
  });
  if (bytes === 0) return { uniform: null, offsets, verdict: null };
  const words = new Int32Array(bytes / 4);
  planned.forEach(({ params }, at) => {
    if (params.length > 0) words.set(params, offsets[at]! / 4);
  });
  const { result, verdict } = connection.guarded("allocating parameters", () => {
    const uniform = device.createBuffer({ size: bytes, usage: UNIFORM | COPY_DST, label: "parameters" });
    try {
      device.queue.writeBuffer(uniform, 0, words);
    } catch (error) {
      uniform.destroy();
      throw error;
    }
    return uniform;
  });
  return { uniform: result, offsets, verdict };
}

/** The bind group of a step for these blocks, made once. */
export function bindGroupOf(
  step: Step,
  blocks: readonly Block[],
  uniform: GPUBuffer | null,
  device: GPUDevice,
  maxBinding: number,
): GPUBindGroup {
  const { bindings, groups } = step;
  search: for (const known of groups) {
    for (let i = 0; i < bindings.length; i++) {
      if (known.ids[i] !== blocks[bindings[i]!.buffer]!.id) continue search;
    }
    return known.group;
  }
  const entries: GPUBindGroupEntry[] = bindings.map(({ buffer, part }, binding) => {
    const block = blocks[buffer]!;
    const offset = part * maxBinding;
    return { binding, resource: { buffer: block.gpu, offset, size: Math.min(maxBinding, block.bytes - offset) } };
  });
  if (step.params >= 0) {
    entries.push({
      binding: bindings.length,
      resource: { buffer: uniform!, offset: step.params, size: step.paramBytes },
    });
  }
  const group = device.createBindGroup({ layout: step.layout, entries });
  const entry = { ids: bindings.map(({ buffer }) => blocks[buffer]!.id), group };
  if (groups.length < MOST_GROUPS) groups.push(entry);
  else groups[step.next++ % MOST_GROUPS] = entry;
  return group;
}
