/** What can go wrong on a GPU device, as errors of this library. */
import { isVlmError, VlmError } from "../../errors.ts";

export const unavailable = (what: string, hint: string, cause?: unknown): VlmError =>
  new VlmError("BackendUnavailableError", "WEBGPU_UNAVAILABLE", { what: `webgpu: ${what}`, hint, cause });

export const featureMissing = (feature: string, adapter: string): VlmError =>
  new VlmError("FeatureMissingError", "WEBGPU_FEATURE", {
    what: `webgpu: ${adapter} has no ${feature}`,
    hint: "open the device without asking for it: f16 tensors are then computed in f32",
    details: { feature, adapter },
  });

export const deviceLost = (reason: string, message: string): VlmError =>
  new VlmError("DeviceLostError", "WEBGPU_DEVICE_LOST", {
    what: `webgpu: the device was lost (${reason || "unknown"})${message ? `: ${message}` : ""}`,
    hint: "open a new device; tensors with host copies and checkpoints can be loaded again",
    details: { reason, message },
    recoverable: true,
  });

export const disposed = (): VlmError =>
  new VlmError("DisposedError", "WEBGPU_DISPOSED", {
    what: "webgpu: the device has been disposed",
    hint: "open it again with useDevice",
  });

/** The application destroyed its own GPUDevice: no accident, and nothing to recover from. */
export const destroyed = (): VlmError =>
  new VlmError("DisposedError", "WEBGPU_DESTROYED", {
    what: "webgpu: the application has destroyed its GPUDevice",
    hint: "pass another one to useDevice; tensors with host copies are uploaded again",
  });

/** Bytes of tensors now and at most so far, and of the plans' temporaries. */
export type Usage = { inUse: number; peak: number; temporaries: number };

export const outOfMemory = (bytes: number, usage: Usage, cause?: unknown): VlmError =>
  new VlmError("OutOfMemoryError", "WEBGPU_OUT_OF_MEMORY", {
    what: `webgpu: ${bytes > 0 ? `no memory for ${bytes} bytes` : "out of memory"}; tensors use ${usage.inUse} bytes (at most ${usage.peak} so far), temporaries ${usage.temporaries}`,
    hint: "use a smaller batch, free tensors, or keep weights in f16",
    details: { bytes, ...usage },
    recoverable: true,
    cause,
  });

export const limitExceeded = (what: string, details: Record<string, unknown>): VlmError =>
  new VlmError("LimitExceededError", "WEBGPU_LIMIT", {
    what: `webgpu: ${what}`,
    hint: "split the tensor, or use a device with higher limits",
    details,
  });

export const invalid = (where: string, message: string, cause?: unknown): VlmError =>
  new VlmError("GpuValidationError", "WEBGPU_VALIDATION", {
    what: `webgpu: ${message || "the device refused a command"}`,
    where,
    hint: "this is a bug of this library or of the driver; VLM_DEBUG=4 prints the kernels",
    details: { message },
    cause,
  });

/** Any exception of a device call as an error of this library. */
export function wrap(where: string, error: unknown): VlmError {
  if (isVlmError(error)) return error;
  const message = error instanceof Error ? error.message : String(error);
  return invalid(where, message, error);
}

/** A shader that does not compile: the messages, and the lines around them. The whole text is in `details`. */
export function shaderError(
  kernel: string,
  wgsl: string,
  messages: readonly { lineNum: number; linePos: number; message: string; type: string }[],
  cause: unknown,
): VlmError {
  const errors = messages.filter(({ type }) => type === "error");
  const lines = wgsl.split("\n");
  const shown = errors.slice(0, 3).map(({ lineNum, linePos, message }) => {
    const from = Math.max(0, lineNum - 3);
    const near = lines.slice(from, lineNum + 2).map((line, i) => {
      const number = from + i + 1;
      return `  ${number === lineNum ? ">" : " "} ${String(number).padStart(4)} | ${line}`;
    });
    return `${lineNum}:${linePos} ${message}\n${near.join("\n")}`;
  });
  const reason = cause instanceof Error ? cause.message : String(cause ?? "");
  return new VlmError("ShaderCompileError", "WEBGPU_SHADER", {
    what: `webgpu: kernel "${kernel}" does not compile: ${shown.join("\n") || reason}`,
    hint: "if this kernel is yours, mend its WGSL; otherwise report it with the adapter's name",
    details: { kernel, wgsl, messages: errors.map(({ message }) => message) },
    cause,
  });
}
