import type { Backend, Buffer, Executable } from "../../src/backends/backend.ts";
import { type HostArray, hostArray, isFloat } from "../../src/dtype.ts";
import { interpret } from "../../src/ir/interpret.ts";
import type { Schedule } from "../../src/ir/kernel.ts";
import type { Device } from "../../src/runtime/device.ts";
import { schedulingDevice } from "../../src/runtime/scheduling-device.ts";

type HostBuffer = Buffer & { data: HostArray };

/** A device that schedules like the real ones and runs the schedule in plain JavaScript, with bounds checked. */
export function interpreterDevice(
  maxKernelBuffers = 16,
  bindingsOf?: Backend["bindingsOf"],
): Device & { schedules: Schedule[] } {
  const schedules: Schedule[] = [];
  const backend: Backend = {
    name: "interpreter",
    maxKernelBuffers,
    ...(bindingsOf ? { bindingsOf } : {}),
    allocate(dtype, size): HostBuffer {
      const data = hostArray(dtype, size);
      // Poison: a value that is never written shows.
      data.fill(isFloat(dtype) ? Number.NaN : 77);
      return { dtype, size, bytes: size * 4, data };
    },
    free() {},
    write(buffer, data) {
      (buffer as HostBuffer).data.set(data);
    },
    async read(buffer) {
      return (buffer as HostBuffer).data.slice() as HostArray;
    },
    async prepare(schedule): Promise<Executable> {
      schedules.push(schedule);
      return { schedule, dispose() {} };
    },
    async run({ schedule }, inputs, outputs) {
      const data = (buffers: readonly Buffer[]) => buffers.map((buffer) => (buffer as HostBuffer).data);
      interpret(schedule, data(inputs), data(outputs));
    },
    memory: () => ({ bytes: 0, buffers: 0, peak: 0 }),
    async dispose() {},
  };
  return Object.assign(schedulingDevice(backend), { schedules });
}
