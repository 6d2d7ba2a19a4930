import type { Backend, Executable } from "../backends/backend.ts";
import { debug } from "../debug.ts";
import { VlmError } from "../errors.ts";
import type { Program } from "../graph/program.ts";
import type { KernelOp } from "../op.ts";
import { scheduleProgram } from "../schedule/lower.ts";
import type { Device, Prepared } from "./device.ts";

type PreparedSchedule = Prepared & { executable: Executable };

/** A device over a backend that runs schedules. */
export function schedulingDevice(backend: Backend): Device {
  const native = (op: KernelOp): boolean => backend.name in op && op[backend.name as "wasm" | "webgpu"] !== undefined;
  return {
    name: backend.name,
    get lost() {
      return backend.lost ?? null;
    },
    supports: ({ op, attributes, inputs }) =>
      op.kind === "kernel" && native(op) && (op.when?.(inputs, attributes, backend) ?? true),
    allocate: (dtype, size) => backend.allocate(dtype, size),
    free: (buffer) => backend.free(buffer),
    write: (buffer, data) => backend.write(buffer, data),
    read: (buffer) => backend.read(buffer),
    async prepare(program: Program): Promise<PreparedSchedule> {
      for (const { op } of program.nodes) {
        if (op.kind === "kernel" && !native(op)) {
          throw new VlmError("FeatureMissingError", "KERNEL_UNSUPPORTED", {
            what: `${op.name} has no code for the ${backend.name} device`,
            hint: 'run it on another device, for example useDevice("js")',
          });
        }
      }
      const schedule = scheduleProgram(program, backend);
      debug("plan", () => ({ device: backend.name, nodes: program.nodes.length, schedule }));
      const executable = await backend.prepare(schedule);
      return { executable, kernels: schedule.kernels.length, dispose: () => executable.dispose() };
    },
    ensure: (prepared, buffers) => backend.ensure?.((prepared as PreparedSchedule).executable, buffers),
    run: (prepared, inputs, outputs) => backend.run((prepared as PreparedSchedule).executable, inputs, outputs),
    memory: () => backend.memory(),
    dispose: () => backend.dispose(),
  };
}
