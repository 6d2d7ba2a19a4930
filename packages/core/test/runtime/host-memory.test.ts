import { describe, expect, it } from "vitest";
import { uncleared } from "../../src/host-memory.ts";
import { bitsToFloats, iota, useDevice } from "../../src/index.ts";

describe("memory that is not cleared", () => {
  it("has the size asked for, also where nothing gives such memory", () => {
    const sizes = [0, 3, 2 ** 17 - 1, 2 ** 17, 2 ** 20 + 1];
    expect(sizes.map((bytes) => uncleared(bytes).byteLength)).toEqual(sizes);
    const own = globalThis.Buffer;
    try {
      (globalThis as { Buffer?: unknown }).Buffer = undefined;
      expect(sizes.map((bytes) => uncleared(bytes).byteLength)).toEqual(sizes);
    } finally {
      globalThis.Buffer = own;
    }
  });

  it("is written in whole by what is read, which owns it and can be handed to another thread", async () => {
    const size = 2 ** 16 + 3;
    for (let i = 0; i < 4; i++) new Uint8Array(uncleared(size * 4)).fill(255);
    await useDevice("wasm", { threads: 1 });
    const whole = Array.from({ length: size }, (_, at) => at);
    for (const dtype of ["f32", "i32", "u32"] as const) {
      const read = await iota(size).cast(dtype).data();
      expect(read.buffer.byteLength).toBe(size * 4);
      expect(Array.from(structuredClone(read, { transfer: [read.buffer as ArrayBuffer] }))).toEqual(whole);
      expect(read.length).toBe(0);
    }
    const bits = Uint16Array.from(whole);
    expect(
      Array.from(bitsToFloats(bits, "bf16"), (value) => new Uint32Array(Float32Array.of(value).buffer)[0]! >>> 16),
    ).toEqual(Array.from(bits, (value) => ((value & 0x7f80) === 0x7f80 && value & 0x7f ? value | 0x40 : value)));
  });
});
