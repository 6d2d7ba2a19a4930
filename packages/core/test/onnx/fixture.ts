/** Reads cases.bin.gz, which tools/reference/onnx_cases.py writes. */
import { readFileSync } from "node:fs";
import { gunzipSync } from "node:zlib";
import { type DType, fromHost, type HostArray, type Tensor } from "../../src/index.ts";

/** [ONNX element type, shape, offset of the numbers]. */
export type Stored = readonly [dtype: string, shape: readonly number[], offset: number];
export type Attribute = number | string | readonly number[] | readonly string[] | { tensor: Stored };
export type OnnxNode = readonly [
  op: string,
  inputs: readonly string[],
  outputs: readonly string[],
  attributes: Readonly<Record<string, Attribute>>,
];

export type OnnxCase = {
  name: string;
  opset: number;
  nodes: readonly OnnxNode[];
  initializers: readonly (readonly [string, Stored])[];
  inputs: readonly (readonly [string, Stored])[];
  outputs: readonly (readonly [string, Stored])[];
  rtol: number;
  atol: number;
};

const bytes = gunzipSync(readFileSync(new URL("./cases.bin.gz", import.meta.url)));
const buffer = bytes.buffer.slice(bytes.byteOffset, bytes.byteOffset + bytes.byteLength) as ArrayBuffer;
const headerLength = new DataView(buffer).getUint32(0, true);
const header = JSON.parse(new TextDecoder().decode(new Uint8Array(buffer, 4, headerLength))) as {
  onnx: string;
  cases: OnnxCase[];
  skipped: [string, string][];
};

export const { onnx: version, cases, skipped } = header;

/** Our dtype for ONNX's; 64-bit integers were checked to fit 32 bits. */
export const DTYPES: Readonly<Record<string, DType>> = {
  float32: "f32",
  float16: "f16",
  bfloat16: "bf16",
  int32: "i32",
  int64: "i32",
  uint32: "u32",
  uint64: "u32",
  uint8: "u8",
  bool: "bool",
};

/** The numbers of a stored array. */
export function numbersOf([dtype, shape, offset]: Stored): HostArray {
  const size = shape.reduce((a, b) => a * b, 1);
  const at = 4 + headerLength + offset;
  const kind = DTYPES[dtype]!;
  if (kind === "i32") return new Int32Array(buffer, at, size);
  if (kind === "u32") return new Uint32Array(buffer, at, size);
  if (kind === "u8" || kind === "bool") return new Uint8Array(buffer, at, size);
  return new Float32Array(buffer, at, size);
}

export const tensorOf = (stored: Stored): Tensor => fromHost(numbersOf(stored), stored[1], DTYPES[stored[0]]!);
