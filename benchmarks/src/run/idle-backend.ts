import type { Backend, Buffer } from "../../../packages/core/src/backends/backend.ts";

/** Takes schedules as the named device does, and computes nothing: what is left is the cost of the host. */
export const idleBackend = (name: "wasm" | "webgpu"): Backend => ({
  name,
  maxKernelBuffers: name === "wasm" ? 64 : 8,
  allocate: (dtype, size): Buffer => ({ dtype, size, bytes: 4 * size }),
  free: () => {},
  write: () => {},
  read: async (buffer) => new Float32Array(buffer.size),
  prepare: async (schedule) => ({ schedule, dispose: () => {} }),
  run: async () => {},
  memory: () => ({ bytes: 0, buffers: 0, peak: 0 }),
  dispose: async () => {},
});
