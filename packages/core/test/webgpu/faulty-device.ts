/** A GPUDevice whose k-th call fails, in one of the ways that real devices fail. */
import { findAdapter } from "../../src/backends/webgpu/adapter.ts";

/** `map`: a mapping is refused; `never`: a promise stays open. */
export type Fault = "throws" | "validation" | "memory" | "lost" | "map" | "never";

export type FaultyDevice = {
  device: GPUDevice;
  /** Calls so far that count for the fault. */
  calls(): number;
  /** Whether the fault has happened. */
  happened(): boolean;
  /** Buffers created and not destroyed. */
  buffers(): number;
  /** From now on nothing fails. */
  relent(): void;
  /** An error outside every scope. */
  stray(message: string): void;
  /** As a driver's reset would: `lost` tells a reason that is not the application's. */
  lose(): void;
  destroy(): void;
};

class GPUValidationError extends Error {}
class GPUOutOfMemoryError extends Error {}

export type DeviceChanges = {
  limits?: Partial<Record<keyof GPUSupportedLimits, number>>;
  /** Only calls of this name count and fail. */
  only?: string;
  /** Fails from that call on, not once. */
  forever?: boolean;
};

const MADE = ["createBuffer", "createBindGroup", "createCommandEncoder", "createBindGroupLayout"] as const;
const DEVICE_CALLS = [...MADE, "createPipelineLayout", "createShaderModule", "createComputePipelineAsync"] as const;
const QUEUE_CALLS = ["submit", "writeBuffer", "onSubmittedWorkDone"] as const;

/** Opens a real device and makes call number `at` fail; 0: none. */
export async function faultyDevice(fault: Fault, at: number, changes: DeviceChanges = {}): Promise<FaultyDevice> {
  const adapter = await findAdapter();
  const real = await adapter.requestDevice({
    requiredLimits: { maxStorageBuffersPerShaderStage: adapter.limits.maxStorageBuffersPerShaderStage },
  });
  let calls = 0;
  let happened = false;
  const live = new Set<GPUBuffer>();
  // Errors that the fault adds to the innermost scope of their kind.
  const scopes: { filter: GPUErrorFilter; error: GPUError | null }[] = [];
  let lose!: (info: GPUDeviceLostInfo) => void;
  const lost = new Promise<GPUDeviceLostInfo>((resolve) => {
    lose = resolve;
  });
  real.lost.then(lose);

  const loseNow = (): void => {
    lose({ reason: "unknown", message: "injected" } as GPUDeviceLostInfo);
    real.destroy();
  };

  const fail = (name: string): void => {
    happened = true;
    if (fault === "throws") throw new TypeError(`injected: ${name}`);
    if (fault === "lost") {
      loseNow();
      return;
    }
    const filter = fault === "memory" ? "out-of-memory" : "validation";
    const scope = scopes.findLast((open) => open.filter === filter);
    const kind = fault === "memory" ? GPUOutOfMemoryError : GPUValidationError;
    const error = new kind(`injected: ${name}`) as GPUError;
    if (scope) scope.error ??= error;
    else for (const listener of listeners) listener({ error, preventDefault: () => {} } as unknown as Event);
  };
  const listeners = new Set<(event: Event) => void>();
  real.addEventListener("uncapturederror", (event) => {
    for (const listener of listeners) listener(event);
  });
  let relented = false;
  /** Whether the call is one that fails. */
  const counted = (name: string): boolean => {
    if (fault === "map" || fault === "never" || relented || (changes.only ?? name) !== name) return false;
    calls++;
    if (at === 0 || (changes.forever ? calls < at : calls !== at)) return false;
    fail(name);
    return true;
  };
  /** What `createBuffer` gives when there is no memory: a buffer that no command takes. */
  const unusableBuffer = (descriptor: GPUBufferDescriptor): GPUBuffer => {
    real.pushErrorScope("validation");
    const buffer = real.createBuffer({ ...descriptor, usage: 0 });
    real.popErrorScope().catch(() => {});
    return buffer;
  };
  /** The promise of a call, or one that nobody ever settles. */
  const answered = <T>(promise: Promise<T>): Promise<T> => {
    if (fault !== "never" || ++calls !== at) return promise;
    happened = true;
    promise.catch(() => {});
    return new Promise<T>(() => {});
  };

  const wrapped = <T extends object>(target: T, overrides: Record<string, unknown>): T =>
    new Proxy(target, {
      get(_, name) {
        if (typeof name === "string" && name in overrides) return overrides[name];
        const value = Reflect.get(target, name) as unknown;
        return typeof value === "function" ? value.bind(target) : value;
      },
    });

  const watchBuffer = (buffer: GPUBuffer): GPUBuffer => {
    live.add(buffer);
    const { destroy, mapAsync } = buffer;
    buffer.destroy = () => {
      live.delete(buffer);
      destroy.call(buffer);
    };
    buffer.mapAsync = (...args) => {
      if (fault === "map" && ++calls === at) {
        happened = true;
        return Promise.reject(new DOMException("", "AbortError"));
      }
      counted("mapAsync");
      return answered(mapAsync.apply(buffer, args));
    };
    return buffer;
  };

  const counting = (target: object, names: readonly string[]): Record<string, unknown> =>
    Object.fromEntries(
      names.map((name) => [
        name,
        (...args: unknown[]) => {
          counted(name);
          const result = (Reflect.get(target, name) as (...args: unknown[]) => unknown).apply(target, args);
          return result instanceof Promise ? answered(result) : result;
        },
      ]),
    );

  const device = wrapped(real, {
    ...counting(real, DEVICE_CALLS),
    createBuffer: (descriptor: GPUBufferDescriptor) => {
      const unusable = counted("createBuffer") && fault === "memory";
      return watchBuffer(unusable ? unusableBuffer(descriptor) : real.createBuffer(descriptor));
    },
    queue: wrapped(real.queue, counting(real.queue, QUEUE_CALLS)),
    limits: wrapped(real.limits, (changes.limits ?? {}) as Record<string, unknown>),
    lost,
    addEventListener: (_: string, listener: (event: Event) => void) => listeners.add(listener),
    removeEventListener: (_: string, listener: (event: Event) => void) => listeners.delete(listener),
    pushErrorScope: (filter: GPUErrorFilter) => {
      real.pushErrorScope(filter);
      scopes.push({ filter, error: null });
    },
    popErrorScope: () => {
      const { error, filter } = scopes.pop()!;
      const found = real.popErrorScope().then((own) => error ?? own);
      // Scopes come in threes; one of them is enough to leave open.
      return filter === "validation" ? answered(found) : found;
    },
  });
  return {
    device,
    calls: () => calls,
    happened: () => happened,
    buffers: () => live.size,
    lose: loseNow,
    relent: () => {
      relented = true;
    },
    stray: (message) => {
      const error = new GPUValidationError(message) as GPUError;
      for (const listener of listeners) listener({ error, preventDefault: () => {} } as unknown as Event);
    },
    destroy: () => real.destroy(),
  };
}
