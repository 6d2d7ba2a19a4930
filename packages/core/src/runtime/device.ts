import type { Buffer } from "../backends/backend.ts";
import type { GpuDevice } from "../backends/webgpu/gpu-types.ts";
import { debug } from "../debug.ts";
import type { DType, HostArray, HostData } from "../dtype.ts";
import { VlmError } from "../errors.ts";
import type { Program, Supports } from "../graph/program.ts";

/** A program made ready for a device. */
export type Prepared = { readonly kernels: number; dispose(): void };

/** Where tensors live and programs run. */
export type Device = {
  readonly name: string;
  /** Why the device cannot be used any more (a GPU that was lost); every call throws it. Null or absent while it can. */
  readonly lost?: Error | null;
  readonly supports: Supports;
  /** Room for `size` elements. Throws `OutOfMemoryError`. */
  allocate(dtype: DType, size: number): Buffer;
  /** Gives the room back, once runs that use it are done. */
  free(buffer: Buffer): void;
  /** Copies from host memory, before all later runs; f16 and bf16 as stored bits, or as numbers, which are rounded. */
  write(buffer: Buffer, data: HostData): void;
  /** Copies to host memory, after all earlier runs. */
  read(buffer: Buffer): Promise<HostArray>;
  /** Compiles a program: kernels, order and memory plan. */
  prepare(program: Program): Promise<Prepared>;
  /** Settles once there is memory for these fresh buffers and for the run, on devices that tell late (see `Backend`). */
  ensure?(prepared: Prepared, buffers: readonly Buffer[]): Promise<void> | undefined;
  /** The promise settles with the run's verdict; runs happen in the order of the calls. */
  run(prepared: Prepared, inputs: readonly Buffer[], outputs: readonly Buffer[]): Promise<void>;
  /** Bytes and buffers in use now, and the most bytes there were. */
  memory(): { bytes: number; buffers: number; peak: number };
  /** Closes the device; its tensors are lost. */
  dispose(): Promise<void>;
};

/** The devices: the graphics processor, WebAssembly SIMD on threads, and plain JavaScript as the reference. */
export type DeviceName = "webgpu" | "wasm" | "js";

/** How to make a device: by name, or from the application's own GPUDevice. */
export type DeviceOptions = {
  /** Threads of the wasm device; default: all that the machine offers, or `VLM_THREADS`. */
  threads?: number;
  /** Fused multiply-add on the wasm device; default: where the engine has it. */
  relaxed?: boolean;
  /**
   * On the webgpu device: f16 operands of matrix products stay f16 up to the registers; sums are f32 all the same.
   * Throws `FeatureMissingError` where the adapter has no `shader-f16`.
   */
  f16?: boolean;
  /**
   * What happens after the default device was lost. "throw" (the default): every computation throws `DeviceLostError`
   * until `useDevice` chooses another one. "wasm": with a warning, computations whose tensors have host copies go on
   * there, many times slower; what was computed on the lost device is gone.
   */
  onLost?: "throw" | "wasm";
  /** Greatest memory of the wasm device in bytes; default 4 GiB. */
  maximumBytes?: number;
  /**
   * Makes a worker of the wasm device from a copy of `@vlm/core/worker.js`: for pages that load this package from
   * another origin, and for bundlers that do not follow `new URL(..., import.meta.url)`.
   */
  createWorker?: () => Worker;
};

/**
 * Turns on fused multiply-add (relaxed SIMD) for the wasm device on Node 20, where the engine has it behind a flag; it is
 * on by default from Node 21. The flag holds for the whole process, so a library must not set it for its users. Call it
 * before the device is opened. False where the engine has no relaxed SIMD.
 */
export async function enableRelaxedSimd(): Promise<boolean> {
  const wasm = await import("../backends/wasm/index.ts");
  return wasm.enableRelaxedSimd();
}

let current: Device | null = null;
/** Takes over when `current` is lost. */
let standIn: DeviceName | null = null;
let pending: Promise<Device> | null = null;
const devices = new Map<string, Promise<Device>>();

const environment = (name: string): string | undefined =>
  typeof process === "undefined" ? undefined : process.env?.[name];

/** The device that new tensors go to; chosen at first use: `VLM_DEVICE`, else hardware WebGPU, else wasm. */
export function defaultDevice(): Promise<Device> {
  const active = activeDevice();
  if (active) return Promise.resolve(active);
  pending ??= chooseDevice().then(
    (device) => {
      current = activeDevice() ?? device;
      pending = null;
      return current;
    },
    (error) => {
      pending = null;
      throw error;
    },
  );
  return pending;
}

async function chooseDevice(): Promise<Device> {
  if (current && standIn) {
    console.warn(`@vlm/core: ${standIn} goes on for ${current.name}: ${current.lost}`);
    return openDevice(standIn);
  }
  const wanted = environment("VLM_DEVICE");
  if (wanted) return openDevice(wanted as DeviceName);
  const { hasHardwareAdapter } = await import("../backends/webgpu/adapter.ts");
  if (await hasHardwareAdapter()) return openDevice("webgpu");
  debug("device", () => ({ text: "webgpu: no hardware adapter, so wasm is used" }));
  return openDevice("wasm");
}

/** Losses of GPU devices, and when another one was asked for. */
let losses: { error: Error; at: number }[] = [];
const MOST_LOSSES = 3;
const LOSS_MINUTES = 10;

/** Throws when GPUs are lost again and again: browsers give no more of them, and drivers take the desktop along. */
function noteLoss(error: Error): void {
  const now = Date.now();
  losses = losses.filter(({ at }) => now - at < LOSS_MINUTES * 60_000);
  if (error.name !== "DeviceLostError") return;
  if (!losses.some((loss) => loss.error === error)) losses.push({ error, at: now });
  if (losses.length < MOST_LOSSES) return;
  throw new VlmError("BackendUnavailableError", "WEBGPU_LOST_AGAIN", {
    what: `webgpu: lost ${losses.length} times in ${LOSS_MINUTES} minutes, so no other device is opened for now`,
    hint: 'use the "wasm" device, or another driver',
    details: { history: losses.map((loss) => ({ at: loss.at, message: loss.error.message })) },
    cause: error,
  });
}

/**
 * Opens a device once per name, and anew after it was lost, at most twice in ten minutes. Throws
 * `BackendUnavailableError` with what to install or enable, or with the history of losses.
 */
export async function openDevice(name: DeviceName, options: DeviceOptions = {}): Promise<Device> {
  const key = `${name} ${JSON.stringify(options)}`;
  const known = devices.get(key);
  const lost = known && (await known).lost;
  if (known && !lost) return known;
  // Others may have waited for the same loss.
  if (devices.get(key) !== known) return openDevice(name, options);
  if (lost) noteLoss(lost);
  const device = makeDevice(name, options);
  devices.set(key, device);
  device.catch(() => {
    if (devices.get(key) === device) devices.delete(key);
  });
  return device;
}

async function makeDevice(name: DeviceName, options: DeviceOptions): Promise<Device> {
  if (name === "js") return (await import("../backends/js/device.ts")).createJsDevice();
  const { schedulingDevice } = await import("./scheduling-device.ts");
  if (name === "wasm") {
    const { createWasmBackend } = await import("../backends/wasm/index.ts");
    return schedulingDevice(await createWasmBackend(options));
  }
  if (name === "webgpu") {
    const { createWebGpuBackend } = await import("../backends/webgpu/index.ts");
    return schedulingDevice(await createWebGpuBackend({ f16: options.f16 }));
  }
  throw new VlmError("ArgumentError", "DEVICE_NAME", {
    what: `no device is called "${name}"`,
    hint: 'choose "webgpu", "wasm" or "js" (VLM_DEVICE, or useDevice)',
  });
}

/** The device chosen so far, or null before first use, and when another one is to take a lost one's place. */
export const activeDevice = (): Device | null => (current?.lost && standIn ? null : current);

/**
 * Makes a device the default for new tensors: a name, an opened device, or the application's own `GPUDevice`; without
 * one, what would be chosen at first use. Tensors made from host data move by themselves; computed tensors stay where
 * they are.
 */
export async function useDevice(
  device?: DeviceName | Device | GpuDevice,
  options: DeviceOptions = {},
): Promise<Device> {
  if (device === undefined) return defaultDevice();
  const { onLost, ...rest } = options;
  if (typeof device === "string") current = await openDevice(device as DeviceName, rest);
  else if (isDevice(device)) current = device;
  else current = await adoptGpuDevice(device);
  standIn = onLost === "wasm" ? "wasm" : null;
  return current;
}

const isDevice = (device: unknown): device is Device => typeof (device as Device).prepare === "function";

const adopted = new WeakMap<object, Promise<Device>>();

/** One device of ours for each of the application's. */
function adoptGpuDevice(gpu: GpuDevice): Promise<Device> {
  if (typeof gpu !== "object" || gpu === null || !("createCommandEncoder" in gpu)) {
    throw new VlmError("ArgumentError", "DEVICE_NAME", {
      what: `no device: ${typeof gpu}`,
      hint: 'choose "webgpu", "wasm" or "js", or pass a GPUDevice',
    });
  }
  let device = adopted.get(gpu);
  if (!device) {
    device = (async () => {
      const { schedulingDevice } = await import("./scheduling-device.ts");
      const { createWebGpuBackend } = await import("../backends/webgpu/index.ts");
      return schedulingDevice(await createWebGpuBackend({ device: gpu }));
    })();
    adopted.set(gpu, device);
    device.catch(() => adopted.delete(gpu));
  }
  return device;
}
