/** The webgpu device: schedules rendered to WGSL, one submission for each run. */
import { debug, debugLevel } from "../../debug.ts";
import type { DType, HostArray, HostData } from "../../dtype.ts";
import { VlmError } from "../../errors.ts";
import type { Schedule } from "../../ir/kernel.ts";
import type { Backend, Buffer, Executable } from "../backend.ts";
import type { AdapterInfo } from "./adapter.ts";
import { type Connection, connect } from "./connection.ts";
import { featureMissing, wrap } from "./errors.ts";
import type { GpuDevice } from "./gpu-types.ts";
import { type Block, DeviceMemory, type GpuBuffer } from "./memory.ts";
import { Pace } from "./pace.ts";
import { Pipelines } from "./pipelines.ts";
import { bindGroupOf, type Plan, preparePlan } from "./plan.ts";
import { profile } from "./profile.ts";
import { bindingsFor, type Target, targetOf } from "./render/target.ts";
import { fromDevice, storedBytes, toDevice } from "./storage.ts";
import { tuneTiles } from "./tune.ts";

export type WebGpuOptions = {
  /** A device of the application; it is never destroyed here. Default: one of the best adapter, with all its limits. */
  device?: GpuDevice | undefined;
  /** Measure a few matrix tiles once when the device opens. Default: on hardware adapters. */
  tune?: boolean;
  /** Render for a CPU that pretends to be a GPU; default: when the adapter is one. */
  software?: boolean;
  /**
   * Keep f16 operands of matrix products as f16 on the way to the registers (half the workgroup memory); sums stay f32.
   * Throws `FeatureMissingError` where the adapter has no `shader-f16`. Default: f16 is a storage format only.
   */
  f16?: boolean | undefined;
  /** Operations that one submission holds at most. Default: what takes the device about 200 ms, as plans run. */
  submitWork?: number;
  /** Milliseconds without any answer after which the device counts as lost. Default: minutes. */
  patience?: number;
};

export type WebGpuBackend = Backend & {
  readonly name: "webgpu";
  readonly info: AdapterInfo;
  memory(): { bytes: number; buffers: number; peak: number; pooled: number; temporaries: number };
  /** Pipelines compiled so far. */
  readonly pipelines: number;
};

type WebGpuExecutable = Executable & { plan: Plan };

/** Opens the webgpu device. Throws `BackendUnavailableError` with what to install or enable. */
export async function createWebGpuBackend(options: WebGpuOptions = {}): Promise<WebGpuBackend> {
  const connection = await connect(options.device as GPUDevice | undefined, options.patience);
  debug("device", () => ({ text: `webgpu: ${connection.info.name}${connection.info.software ? " (software)" : ""}` }));
  const { software = connection.info.software } = options;
  const { f16 = false } = options;
  if (f16 && !connection.features.f16) {
    connection.dispose();
    throw featureMissing("shader-f16", connection.info.name);
  }
  const target = targetOf(connection.device.limits, software, f16);
  const big = (options.tune ?? !connection.info.software) ? await tuneTiles(connection, target) : target.big;
  return new WebGpuDevice(connection, { ...target, big }, options.submitWork);
}

class WebGpuDevice implements WebGpuBackend {
  readonly name = "webgpu";
  readonly maxKernelBuffers: number;
  readonly bindingsOf = (dtype: DType, size: number): number =>
    bindingsFor(storedBytes(dtype, size), this.target.maxBinding);
  private readonly connection: Connection;
  private readonly store: DeviceMemory;
  private readonly compiled: Pipelines;
  private readonly target: Target;
  /** Plans whose parameters are on the device. */
  private readonly plans = new Set<Plan>();
  private readonly pace = new Pace();
  private readonly submitWork: number | undefined;

  constructor(connection: Connection, target: Target, submitWork: number | undefined) {
    this.connection = connection;
    this.submitWork = submitWork;
    this.target = target;
    this.store = new DeviceMemory(connection);
    this.compiled = new Pipelines(connection);
    this.maxKernelBuffers = target.maxBuffers;
  }

  get info(): AdapterInfo {
    return this.connection.info;
  }

  get lost(): Error | null {
    return this.connection.lost;
  }

  get pipelines(): number {
    return this.compiled.compiled;
  }

  allocate(dtype: DType, size: number): Buffer {
    this.connection.check();
    return this.store.allocate(dtype, size);
  }

  free(buffer: Buffer): void {
    this.store.free(buffer as GpuBuffer);
  }

  private blockOf(buffer: Buffer): Block {
    const { block } = buffer as GpuBuffer;
    if (block) return block;
    throw new VlmError("DisposedError", "WEBGPU_BUFFER_FREED", {
      what: `webgpu: the ${buffer.dtype} buffer of ${buffer.size} elements has been freed`,
      hint: "keep the tensor alive while it is in use",
    });
  }

  write(buffer: Buffer, data: HostData): void {
    this.connection.check();
    const block = this.blockOf(buffer);
    if (data.length !== buffer.size) {
      throw new VlmError("ArgumentError", "WEBGPU_WRITE_SIZE", {
        what: `webgpu: ${data.length} elements are written to a buffer of ${buffer.size}`,
        hint: "pass exactly one value for each element",
      });
    }
    const write = (): void => {
      if (data.length > 0) this.store.write(block, toDevice(buffer.dtype, data));
    };
    if (block.verdict) {
      // Where there turns out to be no memory, the device refuses the write as well: that is the same error.
      const { verdict } = this.connection.guarded("writing a tensor", write);
      this.owe(
        [buffer],
        block.verdict.then(() => verdict),
      );
    } else {
      write();
      (buffer as GpuBuffer).verdict = null;
    }
  }

  /** Whoever uses the buffers gets this verdict, until it is known to be good. */
  private owe(buffers: readonly Buffer[], verdict: Promise<void>): void {
    for (const buffer of buffers) (buffer as GpuBuffer).verdict = verdict;
    verdict.then(
      () => {
        for (const buffer of buffers as GpuBuffer[]) if (buffer.verdict === verdict) buffer.verdict = null;
      },
      () => {},
    );
  }

  /** Out of memory is told when a second try, after all unused memory has been given back, ends in the same way. */
  private async twice<T>(call: () => Promise<T>): Promise<T> {
    try {
      return await call();
    } catch (error) {
      if ((error as Error).name !== "OutOfMemoryError") throw error;
      this.store.purge();
      return call();
    }
  }

  ensure(executable: Executable, buffers: readonly Buffer[]): Promise<void> {
    return this.twice(() =>
      this.store.confirm(buffers as readonly GpuBuffer[], (executable as WebGpuExecutable).plan.slotBytes),
    );
  }

  read(buffer: Buffer): Promise<HostArray> {
    return this.twice(() => this.readOnce(buffer));
  }

  private async readOnce(buffer: Buffer): Promise<HostArray> {
    this.connection.check();
    const block = this.blockOf(buffer);
    const { dtype, size } = buffer;
    const bytes = storedBytes(dtype, size);
    const source = (buffer as GpuBuffer).verdict;
    const created = block.verdict;
    const stage = this.store.stage(bytes);
    let healthy = false;
    try {
      const { device } = this.connection;
      const { result: mapped, verdict } = this.connection.guarded("reading a tensor", () => {
        const encoder = device.createCommandEncoder();
        encoder.copyBufferToBuffer(block.gpu, 0, stage.gpu, 0, bytes);
        device.queue.submit([encoder.finish()]);
        return stage.gpu.mapAsync(1 /* GPUMapMode.READ */, 0, bytes);
      });
      mapped.catch(() => {});
      // One after the other: the error that explains those behind it is told, whichever arrives first.
      for (const news of [created, stage.verdict, source, verdict]) await news;
      await this.connection.orLost(mapped);
      this.connection.check();
      const result = fromDevice(dtype, size, stage.gpu.getMappedRange(0, bytes));
      stage.gpu.unmap();
      healthy = true;
      return result;
    } catch (error) {
      if ((error as Error).name === "AbortError") await this.connection.settle();
      this.connection.check();
      throw wrap("reading a tensor", error);
    } finally {
      this.store.unstage(stage, healthy);
    }
  }

  async prepare(schedule: Schedule): Promise<Executable> {
    this.connection.check();
    const plan = await this.twice(() => preparePlan(schedule, this.connection, this.compiled, this.target));
    this.plans.add(plan);
    const dispose = (): void => {
      plan.uniform?.destroy();
      this.plans.delete(plan);
    };
    const executable: WebGpuExecutable = { schedule, plan, dispose };
    return executable;
  }

  run(executable: Executable, inputs: readonly Buffer[], outputs: readonly Buffer[]): Promise<void> {
    let verdict: Promise<void>;
    try {
      verdict = this.submit((executable as WebGpuExecutable).plan, inputs, outputs);
    } catch (error) {
      verdict = Promise.reject(wrap("running a plan", error));
    }
    this.owe(outputs, verdict);
    return verdict;
  }

  private submit(plan: Plan, inputs: readonly Buffer[], outputs: readonly Buffer[]): Promise<void> {
    const { connection, store } = this;
    connection.check();
    const news: Promise<void>[] = [];
    const take = (buffer: Buffer): Block => {
      const block = this.blockOf(buffer);
      if (block.verdict) news.push(block.verdict);
      const { verdict } = buffer as GpuBuffer;
      if (verdict) news.push(verdict);
      return block;
    };
    const from = inputs.map(take);
    const to = outputs.map((buffer) => {
      const block = this.blockOf(buffer);
      if (block.verdict) news.push(block.verdict);
      return block;
    });
    store.reserve(plan.slotBytes);
    for (let i = 0; i < plan.slotBytes.length; i++) {
      const { verdict } = store.slots[i]!;
      if (verdict) news.push(verdict);
    }
    const { device } = connection;
    const shadows: (() => void)[] = [];
    const most = this.submitWork ?? this.pace.most;
    const encode = (): void => {
      let encoder = device.createCommandEncoder();
      this.shadow(from, to, encoder, shadows);
      const blocks = plan.sources.map(({ role, position, slot }) =>
        role === "input" ? from[position]! : role === "output" ? to[position]! : store.slots[slot]!,
      );
      const bind = (step: Plan["steps"][number]): GPUBindGroup =>
        bindGroupOf(step, blocks, plan.uniform, device, this.target.maxBinding);
      if (debugLevel() >= 2 && connection.features.timestamps) {
        profile(device, encoder, plan, bind, blocks);
      } else {
        let pass = encoder.beginComputePass();
        let last: GPUComputePipeline | null = null;
        let work = 0;
        for (const step of plan.steps) {
          if (work > 0 && work + step.work > most) {
            // Queues keep the order, so what follows sees what these have written.
            pass.end();
            device.queue.submit([encoder.finish()]);
            encoder = device.createCommandEncoder();
            pass = encoder.beginComputePass();
            last = null;
            work = 0;
          }
          work += step.work;
          if (step.pipeline !== last) pass.setPipeline((last = step.pipeline));
          pass.setBindGroup(0, bind(step));
          pass.dispatchWorkgroups(step.workgroups[0], step.workgroups[1], step.workgroups[2]);
        }
        pass.end();
      }
      device.queue.submit([encoder.finish()]);
    };
    try {
      const started = performance.now();
      const { verdict } = connection.guarded("running a plan", encode);
      return this.settle(plan, news, verdict, started);
    } finally {
      for (const giveBack of shadows) giveBack();
    }
  }

  /** Earlier failures explain later ones, so they are told first. */
  private async settle(
    plan: Plan,
    news: readonly Promise<void>[],
    verdict: Promise<void>,
    started: number,
  ): Promise<void> {
    try {
      for (const earlier of news) await earlier;
      await verdict;
    } catch (error) {
      // One of them may be what the device refused.
      for (const step of plan.steps) step.groups = [];
      throw error;
    }
    await this.connection.finished();
    this.pace.measured(plan.work, started);
  }

  /** Where an output is given the memory of an input, the run reads a copy: WebGPU forbids both in one dispatch. */
  private shadow(from: Block[], to: readonly Block[], encoder: GPUCommandEncoder, done: (() => void)[]): void {
    const written = new Set(to.map(({ id }) => id));
    from.forEach((block, i) => {
      if (!written.has(block.id)) return;
      const copy = this.store.borrow(block.bytes);
      done.push(copy.giveBack);
      encoder.copyBufferToBuffer(block.gpu, 0, copy.block.gpu, 0, block.bytes);
      from[i] = copy.block;
    });
  }

  memory(): ReturnType<WebGpuBackend["memory"]> {
    return this.store.report();
  }

  async dispose(): Promise<void> {
    this.store.purge();
    for (const { uniform } of this.plans) uniform?.destroy();
    this.plans.clear();
    this.connection.dispose();
  }
}
