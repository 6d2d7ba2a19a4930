/**
 * Stable sorting of rows by a bitonic network (Batcher 1968) over pairs of key and position. Blocks that fit are sorted
 * in workgroup memory; longer rows go through global memory for the wide steps.
 */
import { computeType } from "../../../dtype.ts";
import type { TensorSpec } from "../../../op.ts";
import type { WebGpuKernel, WebGpuPass } from "../custom.ts";
import { powerOfTwo } from "../render/grid.ts";
import { Pass } from "./pass.ts";

/** Pairs in workgroup memory: 16 kB. */
const BLOCK = 2048;
const THREADS = 256;

/** Whether the kernel takes these rows. */
export const sortFits = ([x]: readonly TensorSpec[]): boolean =>
  ["f32", "i32", "u32"].includes(x!.dtype) && x!.shape[0]! * x!.shape[1]! > 0;

/** Values in order and where they were. NaN counts as greatest. */
export const sortWebGpu: WebGpuKernel = (context) => {
  const { inputs, outputs, attributes } = context;
  const x = inputs[0]!;
  const [rows, n] = x.shape as [number, number];
  const padded = Math.max(2, powerOfTwo(n));
  const block = Math.min(BLOCK, padded);
  const blocks = (rows * padded) / block;
  const scratch: TensorSpec = { shape: [rows, padded], dtype: "i32" };
  const many = padded > block;
  const passes: WebGpuPass[] = [inBlocks(2, block, true, !many)];
  for (let size = block * 2; size <= padded; size *= 2) {
    for (let step = size / 2; step >= block; step /= 2) passes.push(wideStep(size, step));
    passes.push(inBlocks(size, size, false, size === padded));
  }
  return { passes, scratch: many ? [rows * padded, rows * padded] : [] };

  function begin(): Pass {
    const pass = new Pass(context);
    const { shader } = pass;
    shader.define("struct Pair { key: i32, place: i32 }");
    // Places break ties, so that equal keys stay in order; what pads a row comes after all of it.
    shader.define(
      "fn after(a: Pair, b: Pair) -> bool { return a.key > b.key || (a.key == b.key && a.place > b.place); }",
    );
    return pass;
  }

  /** Integers in the order of the values: floats by their bits, negative ones flipped. */
  function keyOf(pass: Pass): string {
    const type = computeType(x.dtype);
    const last = "0x7fffffff";
    let body = `let key = ${pass.get("x", "at")};`;
    if (type === "u32") body = `let key = bitcast<i32>(${pass.get("x", "at")} ^ 0x80000000u);`;
    if (type === "f32") {
      body = `let bits = bitcast<i32>(${pass.get("x", "at")});
  let ordered = bits ^ ((bits >> 31u) & ${last});
  let key = select(select(ordered, 0, (bits & ${last}) == 0), ${last}, (bits & ${last}) > 0x7f800000);`;
    }
    return `${body}\n  return ${attributes.descending ? "~key" : "key"};`;
  }

  /** All steps of sizes `from` … `to` whose partners lie in one block. The first pass reads x, the last writes results. */
  function inBlocks(from: number, to: number, first: boolean, last: boolean): WebGpuPass {
    const pass = begin();
    const { shader } = pass;
    if (first || last) pass.bind("x", { input: 0 }, x);
    if (many) {
      pass.bind("keys", { scratch: 0, read: last && !first }, scratch);
      pass.bind("places", { scratch: 1, read: last && !first }, scratch);
    }
    if (last) {
      pass.bind("values", { output: 0 }, outputs[0]!);
      pass.bind("indices", { output: 1 }, outputs[1]!);
    }
    const length = shader.integer(n);
    const width = shader.integer(padded);
    if (first) shader.define(`fn key_at(at: i32) -> i32 {\n  ${keyOf(pass)}\n}`);
    shader.define(`var<workgroup> pairs: array<Pair, ${block}>;`);
    const load = first
      ? `var pair = Pair(0x7fffffff, place);
    if (place < ${length}) { pair.key = key_at(row * ${length} + place); }
    pairs[i] = pair;`
      : `pairs[i] = Pair(${pass.unit("keys", "base + i")}, ${pass.unit("places", "base + i")});`;
    const store = last
      ? `let pair = pairs[i];
    if (place < ${length}) {
      let at = row * ${length} + place;
      ${pass.put("values", "at", pass.get("x", `row * ${length} + pair.place`))}
      ${pass.put("indices", "at", "pair.place")}
    }`
      : `${pass.put("keys", "base + i", "pairs[i].key")} ${pass.put("places", "base + i", "pairs[i].place")}`;
    const body = `  if (group >= u32(${shader.integer(blocks)})) { return; }
  let base = i32(group) * ${block};
  let row = base / ${width};
  let begin = base % ${width};
  for (var i = i32(lid); i < ${block}; i += ${THREADS}) {
    let place = begin + i;
    ${load}
  }
  workgroupBarrier();
  for (var size = ${shader.integer(from)}; size <= ${shader.integer(to)}; size *= 2) {
    for (var step = min(size, ${block}) / 2; step > 0; step /= 2) {
      for (var t = i32(lid); t < ${block / 2}; t += ${THREADS}) {
        let i = (t / step) * step * 2 + t % step;
        let up = ((begin + i) & size) == 0;
        let a = pairs[i];
        let b = pairs[i + step];
        if (after(a, b) == up) { pairs[i] = b; pairs[i + step] = a; }
      }
      workgroupBarrier();
    }
  }
  for (var i = i32(lid); i < ${block}; i += ${THREADS}) {
    let place = begin + i;
    ${store}
  }`;
    return pass.finish("sort", THREADS, blocks, body);
  }

  function wideStep(size: number, step: number): WebGpuPass {
    const pass = begin();
    const { shader } = pass;
    pass.bind("keys", { scratch: 0 }, scratch);
    pass.bind("places", { scratch: 1 }, scratch);
    const half = (rows * padded) / 2;
    const [s, w] = [shader.integer(step), shader.integer(padded)];
    const body = `  let t = i32(group * ${THREADS}u + lid);
  if (t >= ${shader.integer(half)}) { return; }
  let i = (t / ${s}) * ${s} * 2 + t % ${s};
  let up = ((i % ${w}) & ${shader.integer(size)}) == 0;
  let a = Pair(${pass.unit("keys", "i")}, ${pass.unit("places", "i")});
  let b = Pair(${pass.unit("keys", `i + ${s}`)}, ${pass.unit("places", `i + ${s}`)});
  if (after(a, b) == up) {
    ${pass.put("keys", "i", "b.key")} ${pass.put("places", "i", "b.place")}
    ${pass.put("keys", `i + ${s}`, "a.key")} ${pass.put("places", `i + ${s}`, "a.place")}
  }`;
    return pass.finish("sort: wide step", THREADS, Math.ceil(half / THREADS), body);
  }
};
