/** Adapters as browsers and drivers really offer them: none, used up, with little, with names nobody knows. */
import { afterEach, expect, it, vi } from "vitest";
import { describeAdapter, findGpu } from "../../src/backends/webgpu/adapter.ts";
import { createWebGpuBackend } from "../../src/backends/webgpu/index.ts";
import { onDebug } from "../../src/debug.ts";
import { defaultDevice } from "../../src/runtime/device.ts";
import { idleDevice } from "./idle-device.ts";

afterEach(() => {
  vi.unstubAllGlobals();
  vi.unstubAllEnvs();
});

type Request = { requiredLimits: Record<string, number>; requiredFeatures: string[] };

/** Offers adapters whose devices are refused the first `refusals` times; keeps what was asked for. */
function offer(features: readonly string[], refusals = 0): { adapters: number; requests: Request[] } {
  const seen = { adapters: 0, requests: [] as Request[] };
  const { limits } = idleDevice();
  const requestAdapter = async () => {
    seen.adapters++;
    return {
      features: new Set(features),
      limits,
      info: { vendor: "acme", architecture: "", device: "", description: "GPU 1" },
      async requestDevice(request: Request) {
        seen.requests.push(request);
        if (seen.requests.length <= refusals) throw new DOMException("the adapter is consumed", "OperationError");
        return idleDevice();
      },
    };
  };
  vi.stubGlobal("navigator", { gpu: { requestAdapter } });
  return seen;
}

it("an adapter that has served already is replaced by a fresh one, once", async () => {
  const seen = offer([], 1);
  const backend = await createWebGpuBackend({ tune: false });
  expect([seen.adapters, seen.requests.length]).toEqual([2, 2]);
  await backend.dispose();
  const twice = offer([], 2);
  await expect(createWebGpuBackend({ tune: false })).rejects.toMatchObject({
    name: "BackendUnavailableError",
    message: expect.stringContaining("acme GPU 1 gives no device"),
  });
  expect(twice.adapters).toBe(2);
});

it("asks for what the adapter has: its limits, and of its features those that are known", async () => {
  const seen = offer(["subgroups", "a-feature-of-2030"]);
  const backend = await createWebGpuBackend({ tune: false });
  const [{ requiredLimits, requiredFeatures }] = seen.requests as [Request];
  expect(requiredFeatures).toEqual(["subgroups"]);
  const { limits } = idleDevice();
  for (const [name, value] of Object.entries(requiredLimits)) expect(limits[name as "maxBufferSize"]).toBe(value);
  expect(backend.maxKernelBuffers).toBe(limits.maxStorageBuffersPerShaderStage);
  await backend.dispose();
});

it("without an adapter says what to do, and the default device is wasm, not silently", async () => {
  vi.stubGlobal("navigator", { gpu: { requestAdapter: async () => null } });
  await expect(createWebGpuBackend()).rejects.toMatchObject({
    name: "BackendUnavailableError",
    message: expect.stringMatching(/no adapter.*install a Vulkan, Metal or D3D12 driver/s),
  });
  vi.stubEnv("VLM_DEVICE", "");
  const said: string[] = [];
  const undo = onDebug((event) => event.kind === "device" && said.push(event.text), 1);
  const device = await defaultDevice().finally(undo);
  expect(device.name).toBe("wasm");
  expect(said).toContain("webgpu: no hardware adapter, so wasm is used");
  await device.dispose();
});

it("a page that is not secure, and one without WebGPU, are told apart", async () => {
  // The question is answered before the first await, so that `process` is gone for no one else.
  const ask = (secure: boolean): Promise<unknown> => {
    vi.stubGlobal("navigator", {});
    vi.stubGlobal("isSecureContext", secure);
    vi.stubGlobal("process", undefined);
    const answer = findGpu();
    vi.unstubAllGlobals();
    return answer;
  };
  await expect(ask(false)).rejects.toThrow(/this page is not secure.*https or from localhost/s);
  await expect(ask(true)).rejects.toThrow(/this browser has no WebGPU.*"wasm" device/s);
});

it.each([
  ["llvmpipe: Mesa 25", true],
  ["SwiftShader Device (LLVM 10)", true],
  ["Microsoft Basic Render Driver", true],
  ["NVIDIA GeForce RTX 3090", false],
])("%s is software: %s", (description, software) => {
  expect(describeAdapter({ info: { description } as GPUAdapterInfo }).software).toBe(software);
});
