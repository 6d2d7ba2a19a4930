import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { halfToNumber, numberToBfloat, numberToHalf } from "../src/dtype.ts";
import { bitsToFloats, floatsToBits, fromHost, tensor, useDevice } from "../src/index.ts";

describe("16-bit floats", () => {
  it("survive f32, all of them", () => {
    const all = Uint16Array.from({ length: 65536 }, (_, i) => i);
    const quiet = (bits: Uint16Array, exponent: number) =>
      bits.map((b) => ((b & exponent) === exponent && (b & ~(exponent | 0x8000)) !== 0 ? exponent | 1 : b));
    expect(quiet(floatsToBits(bitsToFloats(all, "f16"), "f16"), 0x7c00)).toEqual(quiet(all, 0x7c00));
    expect(quiet(floatsToBits(bitsToFloats(all, "bf16"), "bf16"), 0x7f80)).toEqual(quiet(all, 0x7f80));
  });

  it("are the nearest, ties to even", () =>
    fc.assert(
      fc.property(fc.float({ noNaN: true }), (value) => {
        for (const [dtype, top] of [
          ["f16", 0x7bff],
          ["bf16", 0x7f7f],
        ] as const) {
          const widen = (bits: Uint16Array): Float32Array => bitsToFloats(bits, dtype);
          const bits = floatsToBits(Float32Array.of(value), dtype)[0]!;
          const got = widen(Uint16Array.of(bits))[0]!;
          if (!Number.isFinite(got)) {
            const step = widen(Uint16Array.of(top))[0]! - widen(Uint16Array.of(top - 1))[0]!;
            expect(Math.abs(value)).toBeGreaterThanOrEqual(widen(Uint16Array.of(top))[0]! + step / 2);
            continue;
          }
          const error = Math.abs(got - value);
          for (const other of [bits - 1, bits + 1]) {
            if ((other & 0x7fff) > top || other < 0) continue;
            const neighbour = widen(Uint16Array.of(other))[0]!;
            const distance = Math.abs(neighbour - value);
            expect(error < distance || (error === distance && bits % 2 === 0)).toBe(true);
          }
        }
      }),
      { numRuns: 3000 },
    ));

  it("are those of single numbers", () => {
    for (const value of [0, -0, 1, -1.5, 0.1, 65504, 65520, 1e-8, 6e-8, 3.4e38, Number.POSITIVE_INFINITY]) {
      expect(floatsToBits(Float32Array.of(value), "f16")[0]).toBe(numberToHalf(value));
      expect(floatsToBits(Float32Array.of(value), "bf16")[0]).toBe(numberToBfloat(value));
    }
    expect(bitsToFloats(Uint16Array.of(0x3555), "f16")[0]).toBe(halfToNumber(0x3555));
  });

  it.each(["js", "wasm", "webgpu"] as const)("are uploaded to %s as they are", async (device) => {
    await useDevice(device);
    for (const dtype of ["f16", "bf16"] as const) {
      const bits = Uint16Array.of(0x3f80, 0xc0a0, 0x0001, 0x3dcc, 0x4248);
      const x = fromHost(bits, [5], dtype);
      expect(x.node.attributes.host).toBe(bits);
      const numbers = bitsToFloats(bits, dtype);
      expect(await x.data()).toEqual(numbers);
      expect(await x.cast("f32").mul(2).data()).toEqual(numbers.map((value) => value * 2));
      // An even number of elements needs no padding on the device.
      expect(await fromHost(bits.slice(1), [4], dtype).cast("f32").data()).toEqual(numbers.slice(1));
    }
  });

  it("are what numbers become: a tensor reads as what it holds", async () => {
    expect(await tensor([0.1], { dtype: "f16" }).item()).toBe(0.0999755859375);
    expect(await tensor([0.1], { dtype: "bf16" }).item()).toBe(0.10009765625);
  });

  it("are not integers", () => {
    expect(() => fromHost(Uint16Array.of(1), [1], "u32")).toThrowError(
      expect.objectContaining({ name: "DTypeError", code: "TENSOR_ARRAY" }),
    );
  });
});
