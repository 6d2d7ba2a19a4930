/** Mesa before 25 fails WebGPU's conformance for storage buffers, so an older lavapipe is not used. */
export const MESA_AT_LEAST: number;
/** The software Vulkan driver of this machine: lavapipe, else the SwiftShader of a Chromium, else undefined. */
export function softwareDriver(): { name: "lavapipe" | "swiftshader"; icd: string } | undefined;
/** Environment variables under which Dawn finds an adapter; vitest.shared.ts sets them for every test. */
export function gpuEnvironment(env?: Record<string, string | undefined>): Record<string, string>;
/** True when VLM_ALLOW_SKIP lists `kind`: the only way to leave WebGPU or browser tests out. */
export function skipAllowed(kind: "webgpu" | "browser", env?: Record<string, string | undefined>): boolean;
