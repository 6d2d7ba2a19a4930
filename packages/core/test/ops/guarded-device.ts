/** A device whose buffers are full of poison before they are written, and end in guard words that nobody may touch. */
import type { Buffer } from "../../src/backends/backend.ts";
import { type DType, type HostArray, type HostData, hostArray, isFloat } from "../../src/dtype.ts";
import { bitsToFloats } from "../../src/float-bits.ts";
import type { Device } from "../../src/index.ts";

const GUARDS = 16;

/** Exact in every dtype. */
const guardOf = (dtype: DType): number => (dtype === "bool" ? 1 : dtype === "u8" ? 0xa5 : 1280);

/** What a kernel that leaves elements out would leave there. */
const poisonOf = (dtype: DType): number =>
  isFloat(dtype) ? Number.NaN : dtype === "bool" ? 1 : 0x5eadbeef & 0x7fffffff;

/** Narrow elements lie in words of four bytes, which are written as a whole. */
const whole = (size: number): number => Math.ceil(size / 4) * 4;

export function guardedDevice(device: Device): Device {
  const sizes = new WeakMap<Buffer, number>();
  const fill = (buffer: Buffer, data: HostData | null): void => {
    const { dtype } = buffer;
    const size = sizes.get(buffer)!;
    const all = hostArray(dtype, buffer.size).fill(poisonOf(dtype));
    if (data) all.set(data instanceof Uint16Array ? bitsToFloats(data, dtype as "f16" | "bf16") : data);
    all.fill(guardOf(dtype), whole(size));
    device.write(buffer, all);
  };
  return {
    ...device,
    allocate(dtype, size) {
      const buffer = device.allocate(dtype, whole(size) + GUARDS);
      sizes.set(buffer, size);
      fill(buffer, null);
      return buffer;
    },
    write: fill,
    async read(buffer) {
      const all = await device.read(buffer);
      const size = sizes.get(buffer)!;
      const guards = all.subarray(whole(size));
      if (guards.some((word) => word !== guardOf(buffer.dtype))) {
        throw new Error(`a kernel wrote behind the end of a ${buffer.dtype} buffer of ${size}: ${guards.join(" ")}`);
      }
      return all.slice(0, size) as HostArray;
    },
  };
}
