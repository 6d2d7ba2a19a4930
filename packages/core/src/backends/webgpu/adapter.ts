/** Finding a GPU: the browser's own, or Dawn through the optional package `webgpu` in Node. */
import { unavailable } from "./errors.ts";

export type AdapterInfo = {
  /** Vendor, architecture and driver as far as they are told. */
  name: string;
  /** A CPU that pretends to be a GPU: right, and slow. */
  software: boolean;
};

let dawn: Promise<GPU> | null = null;

const inNode = (): boolean => typeof process !== "undefined" && Boolean(process.versions?.node);

/** The entry point of WebGPU. Throws `BackendUnavailableError` with what to do. */
export async function findGpu(): Promise<GPU> {
  const own = (globalThis as { navigator?: { gpu?: GPU } }).navigator?.gpu;
  if (own) return own;
  if (inNode()) {
    dawn ??= openDawn();
    dawn.catch(() => {
      dawn = null;
    });
    return dawn;
  }
  if ((globalThis as { isSecureContext?: boolean }).isSecureContext === false) {
    throw unavailable("this page is not secure", "serve it over https or from localhost");
  }
  throw unavailable("this browser has no WebGPU", 'use a newer browser, or the "wasm" device');
}

async function openDawn(): Promise<GPU> {
  // Bundlers must leave this import alone: the package is optional, and for Node only.
  const name = "webgpu";
  let module: { create(flags: string[]): GPU };
  try {
    module = (await import(/* @vite-ignore */ /* webpackIgnore: true */ name)) as typeof module;
  } catch (cause) {
    throw unavailable(
      "Node has no WebGPU of its own, and the package `webgpu` cannot be loaded",
      'npm install webgpu, or use the "wasm" device',
      cause,
    );
  }
  return module.create([]);
}

/** The adapter with the most power. */
export async function findAdapter(): Promise<GPUAdapter> {
  const gpu = await findGpu();
  let adapter: GPUAdapter | null;
  try {
    adapter = await gpu.requestAdapter({ powerPreference: "high-performance" });
  } catch (cause) {
    throw unavailable("the request for an adapter failed", "update the graphics driver", cause);
  }
  if (adapter) return adapter;
  throw unavailable(
    "no adapter",
    inNode() ? "install a Vulkan, Metal or D3D12 driver" : "turn on hardware acceleration, or update the driver",
  );
}

/** What an adapter (or the device made from it) says of itself. */
export function describeAdapter(source: { info?: GPUAdapterInfo; isFallbackAdapter?: boolean }): AdapterInfo {
  const info = source.info as (GPUAdapterInfo & { isFallbackAdapter?: boolean }) | undefined;
  const parts = [info?.vendor, info?.architecture, info?.device, info?.description].filter(Boolean);
  const name = parts.join(" ") || "unknown adapter";
  const fallback = info?.isFallbackAdapter ?? source.isFallbackAdapter ?? false;
  return { name, software: fallback || /llvmpipe|lavapipe|swiftshader|software|basic render|warp/i.test(name) };
}

/** Whether a real GPU is there; never throws. */
export async function hasHardwareAdapter(): Promise<boolean> {
  try {
    return !describeAdapter(await findAdapter()).software;
  } catch {
    return false;
  }
}
