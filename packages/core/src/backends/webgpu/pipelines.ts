/** Compiled kernels, by their text. */
import { tellProgress } from "../../compile-progress.ts";
import type { Connection } from "./connection.ts";
import { shaderError, wrap } from "./errors.ts";

export type Pipeline = { pipeline: GPUComputePipeline; layout: GPUBindGroupLayout };

/** Pipelines that are kept; plans hold on to theirs beyond that. */
const MOST = 1024;
const COMPUTE = 4; // GPUShaderStage.COMPUTE

export class Pipelines {
  private readonly connection: Connection;
  private readonly known = new Map<string, Promise<Pipeline>>();
  private readonly layouts = new Map<string, GPUBindGroupLayout>();
  /** How many were compiled so far. */
  compiled = 0;
  /** Asked for, and ready or failed, since there was nothing to compile. */
  private asked = 0;
  private ready = 0;

  constructor(connection: Connection) {
    this.connection = connection;
  }

  /** `writes` tells which storage bindings are written; a uniform follows them if `params`. */
  get(name: string, wgsl: string, writes: readonly boolean[], params: boolean): Promise<Pipeline> {
    let pipeline = this.known.get(wgsl);
    if (pipeline) this.known.delete(wgsl);
    else {
      pipeline = this.compile(name, wgsl, writes, params);
      if (this.ready === this.asked) this.ready = this.asked = 0;
      this.asked++;
      const done = (): void => {
        this.ready++;
        tellProgress({ ready: this.ready, total: this.asked });
      };
      pipeline.then(done, done);
      pipeline.catch(() => {
        // Another attempt may have another outcome.
        if (this.known.get(wgsl) === pipeline) this.known.delete(wgsl);
      });
    }
    this.known.set(wgsl, pipeline);
    if (this.known.size > MOST) this.known.delete(this.known.keys().next().value!);
    return pipeline;
  }

  /** Tells how much there is to wait for. */
  begin(): void {
    if (this.ready < this.asked) tellProgress({ ready: this.ready, total: this.asked });
  }

  private layout(writes: readonly boolean[], params: boolean): GPUBindGroupLayout {
    const key = `${writes.map((write) => (write ? "w" : "r")).join("")}${params ? "u" : ""}`;
    let layout = this.layouts.get(key);
    if (!layout) {
      const entries: GPUBindGroupLayoutEntry[] = writes.map((write, binding) => ({
        binding,
        visibility: COMPUTE,
        buffer: { type: write ? "storage" : "read-only-storage" },
      }));
      if (params) entries.push({ binding: writes.length, visibility: COMPUTE, buffer: { type: "uniform" } });
      layout = this.connection.device.createBindGroupLayout({ entries });
      this.layouts.set(key, layout);
    }
    return layout;
  }

  private async compile(name: string, wgsl: string, writes: readonly boolean[], params: boolean): Promise<Pipeline> {
    const { device } = this.connection;
    this.compiled++;
    const made = this.connection.guarded(`compiling ${name}`, () => {
      const layout = this.layout(writes, params);
      const module = device.createShaderModule({ code: wgsl, label: name });
      const promise = device.createComputePipelineAsync({
        label: name,
        layout: device.createPipelineLayout({ bindGroupLayouts: [layout] }),
        compute: { module, entryPoint: "main" },
      });
      promise.catch(() => {});
      return { layout, module, promise };
    });
    const { layout, module, promise } = made.result;
    try {
      const [pipeline] = await this.connection.orLost(Promise.all([promise, made.verdict]));
      this.connection.check();
      return { pipeline, layout };
    } catch (error) {
      this.layouts.clear();
      this.connection.check();
      const info = await this.connection
        .orLost(module.getCompilationInfo())
        .catch(() => ({ messages: [] as readonly GPUCompilationMessage[] }));
      this.connection.check();
      const broken = info.messages.some(({ type }) => type === "error");
      if (broken || (error as Error).name === "GPUPipelineError") throw shaderError(name, wgsl, info.messages, error);
      throw wrap(`compiling ${name}`, error);
    }
  }
}
