import { once } from "node:events";
import { createWriteStream } from "node:fs";
import { open as openFile, readdir, rename, truncate, writeFile } from "node:fs/promises";
import path from "node:path";
import { Cell, type DType, type Tensor, useDevice } from "@vlm/core";
import { beforeAll, describe, expect, it } from "vitest";
import { create } from "webgpu";
import { blobSource, bytesSource } from "../src/bytes/byte-source.ts";
import { fileSource } from "../src/bytes/file-source.ts";
import { readRanges } from "../src/bytes/read-ranges.ts";
import { identityMap } from "../src/keymap/key-map.ts";
import { load } from "../src/keymap/load.ts";
import { readTensors } from "../src/keymap/read-tensors.ts";
import { openWeights } from "../src/safetensors/open-weights.ts";
import { SafetensorsFile } from "../src/safetensors/safetensors-file.ts";
import { saveTensors } from "../src/safetensors/save-tensors.ts";
import { safetensorsBytes } from "../src/safetensors/write-safetensors.ts";
import { failure } from "./support/errors.ts";
import { counting, f32, TestModel } from "./support/model.ts";
import { temporaryFolder } from "./support/temporary.ts";
import { entry, file } from "./support/vectors.ts";

beforeAll(() => useDevice("js"));

const bytesOf = (data: ArrayBufferView) => new Uint8Array(data.buffer, data.byteOffset, data.byteLength);
const one = async (dtype: string, data: ArrayBufferView, count: number) => {
  const bytes = bytesOf(data);
  return (await readTensors(file({ x: entry(dtype, [count], 0, bytes.length) }, bytes))).get("x")!;
};

describe("values", () => {
  it("of every readable dtype arrive", async () => {
    const cases: [string, ArrayBufferView, string, number[]][] = [
      ["F32", Float32Array.of(1.5, -0.25), "f32", [1.5, -0.25]],
      ["F64", Float64Array.of(0.1, -2), "f32", [Math.fround(0.1), -2]],
      ["F16", Uint16Array.of(0x3c00, 0xc500, 0x0001, 0x7c00), "f16", [1, -5, 2 ** -24, Number.POSITIVE_INFINITY]],
      ["BF16", Uint16Array.of(0x3f80, 0xc0a0, 0xff80), "bf16", [1, -5, Number.NEGATIVE_INFINITY]],
      ["I8", Int8Array.of(-128, 127), "i32", [-128, 127]],
      ["U8", Uint8Array.of(0, 255), "u8", [0, 255]],
      ["I16", Int16Array.of(-32768, 5), "i32", [-32768, 5]],
      ["U16", Uint16Array.of(65535, 5), "u32", [65535, 5]],
      ["I32", Int32Array.of(-(2 ** 31), 7), "i32", [-(2 ** 31), 7]],
      ["U32", Uint32Array.of(2 ** 32 - 1, 7), "u32", [2 ** 32 - 1, 7]],
      ["I64", BigInt64Array.of(-5n, 7n), "i32", [-5, 7]],
      ["U64", BigUint64Array.of(5n, 7n), "u32", [5, 7]],
      ["BOOL", Uint8Array.of(0, 1), "bool", [0, 1]],
    ];
    for (const [stored, data, dtype, values] of cases) {
      const tensor = await one(stored, data, values.length);
      expect([stored, tensor.dtype, ...(await tensor.data())]).toEqual([stored, dtype, ...values]);
    }
  });

  it("of 64-bit integers must fit 32 bits", async () => {
    await failure(
      () => one("I64", BigInt64Array.of(0n, 2n ** 31n), 2),
      "DTypeError",
      "ST_INTEGER_RANGE",
      '"x" holds 2147483648 at 1',
    );
    await failure(() => one("U64", BigUint64Array.of(2n ** 32n), 1), "DTypeError", "ST_INTEGER_RANGE", "4294967296");
  });

  it("S36: of BOOL become 0 or 1, and strict reading refuses others", async () => {
    expect([...(await (await one("BOOL", Uint8Array.of(0, 2, 255), 3)).data())]).toEqual([0, 1, 1]);
    const bytes = file({ x: entry("BOOL", [2], 0, 2) }, Uint8Array.of(1, 2));
    await failure(() => readTensors(bytes, { strict: true }), "WeightFormatError", "ST_BOOL", "the byte 2 at 1");
    await failure(
      () => load(new TestModel({ x: counting([2], 0, "bool") }), bytes, identityMap, { strict: true }),
      "WeightFormatError",
      "ST_BOOL",
    );
  });

  it("S37: that are not finite are reported, and refused when strict, before anything is loaded", async () => {
    const data = bytesOf(Float32Array.of(1, Number.NaN, Number.POSITIVE_INFINITY, 2));
    const bytes = file({ a: entry("F32", [1], 0, 4), b: entry("F32", [3], 4, 16) }, data);
    const model = new TestModel({ a: counting([1], 7), b: counting([3], 7) });
    const before = await model.values();
    const error = await failure(
      () => load(model, bytes, identityMap, { strict: true }),
      "NonFiniteError",
      "ST_NON_FINITE",
      '"b" (2)',
    );
    expect(error.details).toEqual({ tensors: { b: 2 } });
    expect(await model.values()).toEqual(before);
    const report = await load(model, bytes, identityMap);
    expect([...report.nonFinite]).toEqual([["b", 2]]);
    expect((await model.values()).a).toEqual(Float32Array.of(1));
  });

  it.each(["F16", "BF16", "F64"])("S37: are counted in %s too", async (dtype) => {
    const data = {
      F16: Uint16Array.of(0x7c00, 0x7e01, 0x7bff),
      BF16: Uint16Array.of(0xff80, 0x7fc0, 0x7f7f),
      F64: Float64Array.of(Number.NaN, -1 / 0, 1),
    }[dtype]!;
    const bytes = file({ x: entry(dtype, [3], 0, data.byteLength) }, bytesOf(data));
    const { nonFinite } = await load(new TestModel({ x: counting([3]) }), bytes, identityMap);
    expect([...nonFinite]).toEqual([["x", 2]]);
  });
});

describe("ranges", () => {
  it("come in the order asked for, each in a buffer of its own", async () => {
    const all = Uint8Array.from({ length: 4 << 20 }, (_, i) => (i * 31 + (i >> 8)) & 255);
    const ranges = [
      { begin: 3_000_000, end: 3_000_010 },
      { begin: 5, end: 9 },
      { begin: 100, end: 2_200_000 },
      { begin: 9, end: 9 },
      { begin: 70_000, end: 70_003 },
    ];
    const parts = await readRanges(bytesSource(all), ranges);
    for (const [i, { begin, end }] of ranges.entries()) {
      expect(Buffer.compare(parts[i]!, all.subarray(begin, end))).toBe(0);
      expect(parts[i]!.buffer.byteLength).toBe(end - begin);
    }
  });

  it("outside the source are refused", async () => {
    for (const source of [bytesSource(new Uint8Array(4)), blobSource(new Blob(["1234"]))]) {
      await failure(() => source.read(2, 5), "IndexRangeError", "BYTE_RANGE", "bytes [2, 5) of a source of 4 bytes");
      await failure(() => source.read(-1, 2), "IndexRangeError", "BYTE_RANGE");
    }
  });

  it("S38: work beyond 4 GB, from a file and without reading what is before", async () => {
    const folder = await temporaryFolder();
    const target = path.join(folder, "model.safetensors");
    const size = 5 * 2 ** 30;
    const head = file({ big: entry("U8", [size], 0, size), tail: entry("F32", [2], size, size + 8) });
    await writeFile(target, head);
    // A sparse file: five gigabytes that take no space.
    await truncate(target, head.length + size + 8);
    const handle = await openFile(target, "r+");
    await handle.write(bytesOf(Float32Array.of(3.5, -4)), 0, 8, head.length + size);
    await handle.write(Uint8Array.of(9), 0, 1, head.length + 2 ** 32 + 1);
    await handle.close();
    const tail = (await readTensors(folder, { names: ["tail"] })).get("tail")!;
    expect(await tail.array()).toEqual([3.5, -4]);
    const source = await fileSource(target);
    expect([...(await source.read(head.length + 2 ** 32, head.length + 2 ** 32 + 3))]).toEqual([0, 9, 0]);
    await source.close?.();
  });
});

describe("host copies", () => {
  // Dawn's devices end with the object that they come from.
  const dawn = create([]);

  it.each([undefined, "f16"] as const)("bring a model back after its device was lost (dtype %s)", async (dtype) => {
    const gpu = await (await dawn.requestAdapter())!.requestDevice();
    await useDevice(gpu);
    try {
      const stored = await safetensorsBytes([
        ["a", f32([3], 1)],
        ["b", { shape: [2], dtype: "bf16" as const, data: () => Float32Array.of(0.5, -2) }],
      ]);
      const [a, b] = [new Parameter([3]), new Parameter([2])];
      const model = { stateDict: () => Object.entries({ a, b }) };
      const { restore } = await load(model, stored, identityMap, { dtype, hostCopies: true });
      expect([...(await a.value.data())]).toEqual([1, 2, 3]);
      gpu.destroy();
      await failure(() => a.value.data(), "DisposedError", "WEBGPU_DESTROYED");
      await useDevice("js");
      await restore!();
      expect([a.dtype, ...(await a.value.data()), ...(await b.value.data())]).toEqual([
        dtype ?? "f32",
        1,
        2,
        3,
        0.5,
        -2,
      ]);
    } finally {
      await useDevice("js");
    }
  });

  it("are not kept unless asked for", async () => {
    const report = await load(
      new TestModel({ a: counting([3]) }),
      await safetensorsBytes([["a", f32([3], 1)]]),
      identityMap,
    );
    expect(report.restore).toBeUndefined();
  });
});

/** A parameter that can change its dtype, as those of modules can. */
class Parameter {
  readonly shape: readonly number[];
  private cell: Cell;

  constructor(shape: number[]) {
    this.shape = shape;
    this.cell = new Cell(counting(shape));
  }

  get dtype(): DType {
    return this.cell.dtype;
  }

  get value(): Tensor {
    return this.cell.value;
  }

  assign(value: Tensor): void {
    this.cell.assign(value);
  }

  replace(value: Tensor): void {
    this.cell = new Cell(value);
  }
}

describe("files", () => {
  it("S39: that are rewritten while they are read are noticed", async () => {
    const folder = await temporaryFolder();
    const target = path.join(folder, "model.safetensors");
    await writeFile(target, await safetensorsBytes([["a", f32([1000])]]));
    const opened = await SafetensorsFile.open(await fileSource(target));
    await writeFile(target, await safetensorsBytes([["a", f32([900], 5)]]));
    await failure(() => opened.read(["a"]), "IntegrityError", "SOURCE_CHANGED", "changed while it was read");
    await opened.close();
  });

  it("S39: that are replaced by renaming are read to the end as they were", async () => {
    const folder = await temporaryFolder();
    const target = path.join(folder, "model.safetensors");
    await writeFile(target, await safetensorsBytes([["a", f32([4])]]));
    const opened = await SafetensorsFile.open(await fileSource(target));
    await writeFile(`${target}.new`, await safetensorsBytes([["a", f32([4], 50)]]));
    await rename(`${target}.new`, target);
    const [bytes] = await opened.read(["a"]);
    expect([...new Float32Array(bytes!.buffer)]).toEqual([0, 1, 2, 3]);
    await opened.close();
  });

  it("S40: can be saved over while they are being read", async () => {
    const folder = await temporaryFolder();
    await saveTensors(folder, [["a", f32([3], 1)]]);
    const opened = await openWeights(folder);
    // The new file's content comes from the old one, in the middle of the write.
    const [shape, dtype] = [[3], "f32"] as const;
    const doubled = {
      shape,
      dtype,
      data: async () => new Float32Array((await opened.read(["a"]))[0]!.buffer).map((x) => 2 * x),
    };
    await saveTensors(folder, [["a", doubled]]);
    await opened.close();
    expect(await (await readTensors(folder)).get("a")!.array()).toEqual([2, 4, 6]);
  });

  it("are not opened when they are folders, and are named when they are not there", async () => {
    const folder = await temporaryFolder();
    await failure(() => fileSource(folder), "StorageError", "NOT_A_FILE");
    await failure(() => fileSource(path.join(folder, "none")), "StorageError", "ENOENT", "no such file");
    await failure(
      () => openWeights(path.join(folder, "none", "deep", "er")),
      "StorageError",
      "ENOENT",
      "there is no file or folder",
    );
  });

  it("stop being read when the signal says so", async () => {
    const folder = await temporaryFolder();
    await saveTensors(folder, [["a", f32([3])]]);
    const reason = new Error("enough");
    await expect(readTensors(folder, { signal: AbortSignal.abort(reason) })).rejects.toBe(reason);
    const model = new TestModel({ a: counting([3], 9) });
    await expect(load(model, folder, identityMap, { signal: AbortSignal.abort() })).rejects.toMatchObject({
      name: "AbortError",
    });
    expect((await model.values()).a).toEqual(Float32Array.of(9, 10, 11));
  });

  it("that a pipe fills are read when they are whole", async () => {
    const target = path.join(await temporaryFolder(), "m.safetensors");
    const stream = createWriteStream(target);
    stream.end(await safetensorsBytes([["a", f32([2], 3)]]));
    await once(stream, "close");
    expect([...(await readTensors(target)).keys()]).toEqual(["a"]);
  });

  it("C11: are closed again, whether loading succeeds or fails", async () => {
    const folder = await temporaryFolder();
    await saveTensors(
      folder,
      [
        ["a", f32([3])],
        ["b", f32([3])],
      ],
      { shardSize: 12 },
    );
    const broken = await temporaryFolder();
    await writeFile(path.join(broken, "model.safetensors"), "<html>not weights</html>");
    const openFiles = async () => (process.platform === "linux" ? (await readdir("/proc/self/fd")).length : 0);
    const model = new TestModel({ a: counting([3]), b: counting([3]) });
    const wrong = new TestModel({ c: counting([3]) });
    const before = await openFiles();
    for (let i = 0; i < 100; i++) {
      await load(model, folder, identityMap);
      await failure(() => load(wrong, folder, identityMap), "WeightMismatchError", "WM_MISMATCH");
      await failure(() => load(model, broken, identityMap), "WeightFormatError", "ST_FOREIGN");
    }
    expect(await openFiles()).toBeLessThanOrEqual(before);
  });
});
