import { VlmError } from "../../errors.ts";

/** The device is gone: nothing on it can be read any more. */
export function deviceLost(reason: string, message: string): VlmError {
  return new VlmError("DeviceLostError", "DEVICE_LOST", {
    what: `webgpu: the device was lost (${reason}): ${message || "no reason given"}`,
    hint: 'open a new device with useDevice("webgpu") and load the model or checkpoint again',
    recoverable: true,
    details: { reason },
  });
}

/** An error that the GPU reported for a run. */
export function gpuError(error: GPUError): VlmError {
  const kind = error.constructor.name;
  if (kind === "GPUOutOfMemoryError") {
    return new VlmError("OutOfMemoryError", "GPU_MEMORY", {
      what: `webgpu: out of memory: ${error.message}`,
      hint: "use smaller batches, f16 weights, or checkpoint()",
      recoverable: true,
    });
  }
  return new VlmError("GpuValidationError", "GPU_VALIDATION", {
    what: `webgpu: ${error.message}`,
    hint: "this is a defect of the library; VLM_DEBUG=4 prints the kernels",
    cause: error,
  });
}

/** A shader that does not compile, with the numbered lines around the error. */
export async function shaderError(
  name: string,
  source: string,
  module: GPUShaderModule,
  cause: unknown,
): Promise<VlmError> {
  const info = await module.getCompilationInfo().catch(() => null);
  const first = info?.messages.find((message) => message.type === "error");
  const lines = source.split("\n");
  const at = first?.lineNum ?? 0;
  const near = lines
    .map((line, i) => `${String(i + 1).padStart(4)} ${line}`)
    .slice(Math.max(0, at - 4), at > 0 ? at + 3 : 12)
    .join("\n");
  return new VlmError("ShaderCompileError", "SHADER", {
    what: `webgpu: the shader of ${name} does not compile: ${first?.message ?? String(cause)}\n${near}`,
    where: at > 0 ? `line ${at}` : undefined,
    hint: "VLM_DEBUG=4 prints whole shaders",
    cause,
  });
}
