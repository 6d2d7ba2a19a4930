import { describe, expect, it } from "vitest";
import { type ByteSource, bytesSource } from "../src/bytes/byte-source.ts";
import { SafetensorsFile } from "../src/safetensors/safetensors-file.ts";
import { failure } from "./support/errors.ts";
import { entry, file, withShape } from "./support/vectors.ts";

const open = (bytes: Uint8Array, options = {}) => SafetensorsFile.open(bytesSource(bytes, "m.safetensors"), options);
const refused = (bytes: Uint8Array, code: string, message: string | RegExp) =>
  failure(() => open(bytes), "WeightFormatError", code, message);
const rejected = async (bytes: Uint8Array, code: string, message: string | RegExp): Promise<void> => {
  await refused(bytes, code, message);
};
const F32 = (begin = 0) => entry("F32", [1], begin, begin + 4);
const latin = (text: string) => Uint8Array.from(text, (c) => c.charCodeAt(0));

/** Counts reads, to prove what was not read. */
function counted(source: ByteSource): ByteSource & { reads: [number, number][] } {
  const reads: [number, number][] = [];
  const read: ByteSource["read"] = (begin, end) => {
    reads.push([begin, end]);
    return source.read(begin, end);
  };
  return { ...source, reads, read };
}

describe("the length of the header", () => {
  it("S1: needs 8 bytes", async () => {
    await refused(new Uint8Array(0), "ST_TOO_SHORT", "the file is 0 bytes, a header needs at least 8");
    await refused(new Uint8Array(7), "ST_TOO_SHORT", "the file is 7 bytes");
  });

  it("S2: is not zero", () => rejected(file(""), "ST_HEADER_JSON", "empty header"));

  it("S3: lies within the file, and nothing more is read when it does not", async () => {
    const source = counted(bytesSource(file("{}", 60, 1000n)));
    await failure(() => SafetensorsFile.open(source), "WeightFormatError", "ST_HEADER_LENGTH", /1000 bytes.*70/);
    expect(source.reads).toEqual([[0, 8]]);
  });

  it("S4: is printed exactly, however large", async () => {
    await refused(file("{}", 0, 2n ** 63n), "ST_HEADER_TOO_LARGE", "9223372036854775808 bytes");
    await refused(file("{}", 0, 2n ** 64n - 1n), "ST_HEADER_TOO_LARGE", "18446744073709551615 bytes");
  });

  it("S5: has a limit that can be raised, but not above the reference's", async () => {
    const big = counted({ ...bytesSource(file("{}", 0, 100_000_001n)), size: 200_000_000 });
    await failure(
      () => SafetensorsFile.open(big),
      "WeightFormatError",
      "ST_HEADER_TOO_LARGE",
      /at most 25000000 are read[\s\S]*maxHeaderBytes/,
    );
    expect(big.reads).toEqual([[0, 8]]);
    await failure(
      () => SafetensorsFile.open(big, { maxHeaderBytes: 1e9 }),
      "WeightFormatError",
      "ST_HEADER_TOO_LARGE",
      "at most 100000000",
    );
    const small = file({ a: F32() }, 4);
    await failure(() => open(small, { maxHeaderBytes: 10 }), "WeightFormatError", "ST_HEADER_TOO_LARGE");
  });

  it("names what the file is when it is something else", async () => {
    await refused(latin("<!DOCTYPE html><html>"), "ST_FOREIGN", "a web page");
    await refused(latin("version https://git-lfs.github.com/spec/v1"), "ST_FOREIGN", "Git LFS pointer");
    await refused(latin("GGUF\x03\0\0\0\0\0\0\x80"), "ST_FOREIGN", "GGUF");
    await refused(latin("PK\x03\x04\x14\0\0\x08\0\0"), "ST_PICKLE", "convert once in Python");
    await refused(latin("\x80\x02\x8a\nl\xfc\x9cF\xf9"), "ST_PICKLE", "save_file");
  });
});

describe("the text of the header", () => {
  it("S6: is UTF-8", () => rejected(file(latin('{"a\xff":{}}')), "ST_HEADER_UTF8", "not UTF-8 at byte 11"));

  it("S7: has no byte order mark", () => rejected(file("\ufeff{}"), "ST_HEADER_START", "byte order mark"));

  it("S8: is not padded with NUL", () =>
    rejected(file("{}\0\0"), "ST_HEADER_JSON", "U+0000 after the end of the value at byte 10"));

  it("S9: may begin and end with white space, as real files do", async () => {
    const opened = await open(file(` \t${JSON.stringify({ a: F32() })}  \n`, 4));
    expect([...opened.tensors.keys()]).toEqual(["a"]);
  });

  it.each(["[]", "1", "null", '"x"', "true"])("S10: is an object, not %s", (text) =>
    rejected(file(text), "ST_HEADER_TYPE", "expected an object"),
  );

  it.each([
    ["{} x", "ST_HEADER_JSON", "byte 11"],
    ["{/* */}", "ST_HEADER_JSON", "byte 9"],
    ["{'a':1}", "ST_HEADER_JSON", "byte 9"],
    ["{", "ST_HEADER_JSON", "end of the text"],
    ["{,}", "ST_HEADER_JSON", "a key in double quotes"],
    ['{"a":{"x":NaN}}', "ST_HEADER_JSON", "expected a number"],
    ['{"a":{"x":01}}', "ST_HEADER_JSON", "malformed number"],
    ['{"a":{"x":1,}}', "ST_HEADER_JSON", "a key in double quotes"],
  ])("S11: is strict JSON: %s", (text, code, message) => rejected(file(text), code, message));

  it("S12: names each tensor once", async () => {
    const a = JSON.stringify(F32());
    await refused(file(`{"a":${a},"a":${a}}`, 4), "ST_DUPLICATE_NAME", 'tensor "a" occurs twice');
    await refused(file(`{"a":${a},"\\u0061":${a.replace("F32", "I32")}}`, 4), "ST_DUPLICATE_NAME", 'tensor "a"');
  });

  it("S13: has each field once", async () => {
    await refused(
      file('{"a":{"dtype":"F32","dtype":"F32","shape":[1],"data_offsets":[0,4]}}', 4),
      "ST_DUPLICATE_FIELD",
      '"dtype" occurs twice',
    );
    await refused(file('{"__metadata__":{},"__metadata__":{}}'), "ST_DUPLICATE_FIELD", "__metadata__");
    await refused(file('{"__metadata__":{"k":"1","k":"2"}}'), "ST_DUPLICATE_FIELD", '"k"');
  });

  it("S14: has strings as metadata", async () => {
    await refused(file('{"__metadata__":{"step":1}}'), "ST_METADATA_TYPE", '"step"');
    await refused(file('{"__metadata__":{"deep":{}}}'), "ST_METADATA_TYPE", '"deep"');
    await refused(file('{"__metadata__":[]}'), "ST_METADATA_TYPE", "not an object");
    expect([...(await open(file('{"__metadata__":{"format":"pt"}}'))).metadata]).toEqual([["format", "pt"]]);
  });

  it("S35: has no lone surrogates", async () => {
    await refused(file(`{"\\ud800":${JSON.stringify(F32())}}`, 4), "ST_HEADER_JSON", "lone surrogate");
    await refused(file(`{"\\udc00":${JSON.stringify(F32())}}`, 4), "ST_HEADER_JSON", "lone surrogate");
    expect([...(await open(file(`{"\\ud83d\\ude00":${JSON.stringify(F32())}}`, 4))).tensors.keys()]).toEqual(["😀"]);
  });

  it("does not recurse without end", () =>
    rejected(file(`{"a":{"x":${"[".repeat(100_000)}`), "ST_HEADER_JSON", "nested deeper"));
});

describe("an entry", () => {
  it("S15: has a known dtype, in capitals", async () => {
    for (const dtype of ["F31", "f32"]) {
      const error = await refused(
        file({ w: entry(dtype, [1], 0, 4) }, 4),
        "ST_DTYPE",
        `unknown dtype "${dtype}"; known are BOOL`,
      );
      expect(error.message).toContain('tensor "w"');
    }
    await refused(file({ w: { ...F32(), dtype: 3 } }, 4), "ST_DTYPE", "unknown dtype number");
  });

  it.each([
    ["F4", [2], 1],
    ["F6_E2M3", [4], 3],
    ["F8_E8M0", [1], 1],
    ["F8_E4M3", [1], 1],
    ["C64", [1], 8],
  ])("S16: %s is listed, and refused only when it is read", async (dtype, shape, size) => {
    const { readTensors } = await import("../src/keymap/read-tensors.ts");
    const bytes = file({ x: entry(dtype, shape, 0, size), y: entry("U8", [1], size, size + 1) }, size + 1);
    expect([...(await open(bytes)).tensors.keys()]).toEqual(["x", "y"]);
    expect([...(await readTensors(bytes, { names: ["y"] })).keys()]).toEqual(["y"]);
    await failure(
      () => readTensors(bytes, { names: ["x"] }),
      "DTypeError",
      "ST_DTYPE_UNSUPPORTED",
      `"x" is stored as ${dtype}`,
    );
  });

  it.each(["dtype", "shape", "data_offsets"])("S17: has the field %s", async (field) => {
    const { [field]: _, ...rest } = F32() as Record<string, unknown>;
    await refused(file({ w: rest }, 4), "ST_FIELD_MISSING", `tensor "w": field ${field} is missing`);
  });

  it("S17: has fields of the right kind", async () => {
    await refused(file({ w: 1 }), "ST_FIELD_TYPE", 'tensor "w"');
    await refused(file({ w: { ...F32(), shape: 4 } }, 4), "ST_FIELD_TYPE", "shape is not a list");
    await refused(file({ w: { ...F32(), data_offsets: 4 } }, 4), "ST_OFFSETS", "not two numbers");
  });

  it.each([
    ["[-1]", "dimension 0 is -1"],
    ["[-1,-1]", "dimension 0 is -1"],
    ["[1.0]", "dimension 0 is 1.0"],
    ["[1e0]", "dimension 0 is 1e0"],
    ["[-0]", "dimension 0 is -0"],
    ['["1"]', "dimension 0 is"],
    ["[1,null]", "dimension 1 is null"],
  ])("S18, S19: has whole dimensions, not %s", (shape, message) =>
    rejected(file(withShape(shape), 4), "ST_DIM", message),
  );

  it.each([
    "[18446744073709551616]",
    "[2,18446744073709551614]",
    "[2,9223372036854775807]",
    "[9223372036854775808,9223372036854775808,0]",
    "[0,9223372036854775808,9223372036854775808]",
  ])("S20, S21: has no more elements than a file can hold: %s", (shape) =>
    rejected(file(withShape(shape), 4), "ST_SHAPE_OVERFLOW", "more elements than any file"),
  );

  it("S20: counts bytes too", () =>
    rejected(
      file('{"a":{"dtype":"F64","shape":[4503599627370496],"data_offsets":[0,4]}}', 4),
      "ST_SHAPE_OVERFLOW",
      "a",
    ));

  it("S22: has at most 64 dimensions", async () => {
    await refused(file(withShape(`[${Array(1_000_000).fill(1).join()}]`), 4), "ST_RANK", "more than 64 dimensions");
    expect((await open(file(withShape(`[${Array(64).fill(1).join()}]`), 4))).tensors.get("a")?.shape.length).toBe(64);
  });

  it.each(["[-1,4]", "[4,0]", "[0]", "[]", "[0,4,8]", "[0.0,4]", '["0",4]', "[1e1,20]"])(
    "S23: has offsets begin ≤ end, not %s",
    (offsets) => rejected(file(withShape("[1]", offsets), 4), "ST_OFFSETS", 'tensor "a": data_offsets'),
  );

  it("S29: has as many bytes as shape and dtype need", () =>
    rejected(
      file({ w: entry("F32", [2, 3], 0, 20) }, 20),
      "ST_SIZE",
      'tensor "w": F32 [2 3] takes 24 bytes, its offsets hold 20',
    ));

  it("S30: fills whole bytes", () =>
    rejected(file({ w: entry("F4", [3], 0, 2) }, 2), "ST_SUBBYTE", "3 elements of F4"));
});

describe("the layout", () => {
  it("S24: lies within the file", async () => {
    const error = await refused(file({ w: entry("F32", [250], 0, 1000) }, 8), "ST_TRUNCATED", 'tensor "w" needs');
    expect(error.details).toMatchObject({ tensor: "w" });
    await refused(
      file(withShape("[1]", "[18446744073709551612,18446744073709551616]"), 4),
      "ST_TRUNCATED",
      "18446744073709551616",
    );
  });

  it("S25: gives each byte to one tensor", async () => {
    const error = await refused(
      file({ a: F32(), b: F32() }, 4),
      "ST_OVERLAP",
      /"a" \[0, 4\) and "b" \[0, 4\) use the same bytes/,
    );
    expect(error.details.tensors).toEqual(["a", "b"]);
  });

  it("S26: neither overlaps nor leaves holes", async () => {
    await refused(
      file({ a: entry("U8", [16], 0, 16), b: entry("U8", [16], 8, 24) }, 24),
      "ST_OVERLAP",
      /\[0, 16\).*\[8, 24\)/,
    );
    await refused(file({ a: entry("U8", [8], 0, 8), b: entry("U8", [0], 4, 4) }, 8), "ST_OVERLAP", '"b" [4, 4)');
    await refused(file({ a: F32(4) }, 8), "ST_HOLE", "bytes [0, 4)");
    await refused(file({ a: F32(), b: F32(8) }, 12), "ST_HOLE", 'bytes [4, 8) before tensor "b"');
  });

  it("S27: ends where the file ends", () =>
    rejected(file({ a: F32() }, latin("1234PK\x03\x04")), "ST_TRAILING", /4 bytes at offset \d+/));

  it("S28: says how much is missing", () =>
    rejected(file({ a: F32() }, 2), "ST_TRUNCATED", /ends 2 bytes early[\s\S]*download/));

  it.each(["", " ", "  ", "   "])("S31: may be unaligned (header padded by %o)", async (padding) => {
    const { readTensors } = await import("../src/keymap/read-tensors.ts");
    const data = new Uint8Array(9);
    new DataView(data.buffer).setFloat32(1, 1.5, true);
    new DataView(data.buffer).setFloat32(5, -2, true);
    const header = JSON.stringify({ a: entry("U8", [1], 0, 1), b: entry("F32", [2], 1, 9) });
    const { b } = Object.fromEntries(await readTensors(file(header + padding, data)));
    expect(await b?.array()).toEqual([1.5, -2]);
  });
});

describe("names", () => {
  it("S32: may be those of object members", async () => {
    const names = ["__proto__", "constructor", "toString", ""];
    const header = `{${names.map((name, i) => `${JSON.stringify(name)}:${JSON.stringify(F32(4 * i))}`).join()}}`;
    expect([...(await open(file(header, 16))).tensors.keys()]).toEqual(names);
  });

  it("S33: keep the order of the file", async () => {
    const header = `{"b":${JSON.stringify(F32())},"2":${JSON.stringify(F32(4))},"1":${JSON.stringify(F32(8))}}`;
    expect([...(await open(file(header, 12))).tensors.keys()]).toEqual(["b", "2", "1"]);
  });

  it("S34: are escaped and shortened in messages", async () => {
    const long = "x".repeat(1_000_000);
    for (const name of ["a\0b", "a\nb", "\u001b[31m", long]) {
      expect((await open(file({ [name]: F32() }, 4))).tensors.has(name)).toBe(true);
      const error = await refused(file({ [name]: entry("F32", [2], 0, 4) }, 4), "ST_SIZE", "takes 8 bytes");
      expect(error.message.length).toBeLessThan(1000);
      expect([...error.message].every((c) => c >= " " || c === "\n")).toBe(true);
    }
  });

  it("are suggested when one is not there", async () => {
    const opened = await open(file({ "layer.weight": F32() }, 4));
    await failure(() => opened.read(["layer.wieght"]), "ArgumentError", "ST_NO_TENSOR", 'did you mean "layer.weight"?');
  });
});
