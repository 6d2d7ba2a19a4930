import { type DType, type Tensor, useDevice } from "@vlm/core";
import { beforeAll, describe, expect, it } from "vitest";
import { concat, part, reshape, transpose } from "../src/keymap/expression.ts";
import { identityMap, type KeyRule, keyMap, prefixed } from "../src/keymap/key-map.ts";
import { load } from "../src/keymap/load.ts";
import { compilePattern } from "../src/keymap/pattern.ts";
import { readTensors } from "../src/keymap/read-tensors.ts";
import { save } from "../src/keymap/save.ts";
import { safetensorsBytes } from "../src/safetensors/write-safetensors.ts";
import { memoryFolder } from "../src/store/memory-folder.ts";
import { failure } from "./support/errors.ts";
import { counting, f32, TestModel } from "./support/model.ts";

beforeAll(() => useDevice("js"));

type Tensors = Record<string, ReturnType<typeof f32>>;
const bytes = (tensors: Tensors) => safetensorsBytes(Object.entries(tensors));

/** A fused attention and an MLP, in a file with separate q, k, v, and a bare projection. */
const clip = keyMap(
  "test family",
  [
    ["blocks.{i}.qkv.*", concat("enc.{i}.q.*", "enc.{i}.k.*", "enc.{i}.v.*")],
    ["blocks.{i}.norm{j}.*", "enc.{i}.layer_norm{j+1}.*"],
    ["projection", transpose("proj")],
    ["token", reshape("class_embedding", [-1])],
    ["**", "**"],
  ],
  { ignore: ["**.position_ids", "*.num_batches_tracked"], aliases: [["**.gamma", "**.weight"]] },
);

const model = () =>
  new TestModel({
    "blocks.0.qkv.weight": counting([6, 3]),
    "blocks.0.qkv.bias": counting([6]),
    "blocks.0.norm0.weight": counting([3]),
    "blocks.1.norm1.weight": counting([3]),
    projection: counting([2, 3]),
    token: counting([1, 1, 4]),
    scale: counting([]),
  });

const tensors = (): Tensors => ({
  "enc.0.q.weight": f32([2, 3], 0),
  "enc.0.k.weight": f32([2, 3], 100),
  "enc.0.v.weight": f32([2, 3], 200),
  "enc.0.q.bias": f32([2], 0),
  "enc.0.k.bias": f32([2], 10),
  "enc.0.v.bias": f32([2], 20),
  "enc.0.layer_norm1.gamma": f32([3], 5),
  "enc.1.layer_norm2.weight": f32([3], 6),
  proj: f32([3, 2], 0),
  class_embedding: f32([4], 7),
  scale: f32([], 9),
  "enc.position_ids": f32([77]),
});

describe("a key map", () => {
  it("loads by patterns, joins, transposes and reshapes", async () => {
    const loaded = model();
    const report = await load(loaded, await bytes(tensors()), clip);
    expect(report).toMatchObject({ parameters: 7, ignored: ["enc.position_ids"], tied: [] });
    const values = await loaded.values();
    expect([...values["blocks.0.qkv.weight"]!]).toEqual([
      0, 1, 2, 3, 4, 5, 100, 101, 102, 103, 104, 105, 200, 201, 202, 203, 204, 205,
    ]);
    expect([...values["blocks.0.qkv.bias"]!]).toEqual([0, 1, 10, 11, 20, 21]);
    expect([...values.projection!]).toEqual([0, 2, 4, 1, 3, 5]);
    expect([...values.token!]).toEqual([7, 8, 9, 10]);
    expect([...values["blocks.0.norm0.weight"]!]).toEqual([5, 6, 7]);
    expect([...values.scale!]).toEqual([9]);
  });

  it("saves what it loads, under the file's names and shapes", async () => {
    const loaded = model();
    await load(loaded, await bytes(tensors()), clip);
    const folder = memoryFolder();
    await save(loaded, folder, clip);
    const back = await readTensors(folder.files.get("model.safetensors")!);
    const expected = tensors();
    expected["enc.0.layer_norm1.weight"] = expected["enc.0.layer_norm1.gamma"]!;
    for (const gone of ["enc.0.layer_norm1.gamma", "enc.position_ids"]) delete expected[gone];
    expect([...back.keys()].sort()).toEqual(Object.keys(expected).sort());
    for (const [name, { shape, data }] of Object.entries(expected)) {
      expect([name, back.get(name)!.shape, [...(await back.get(name)!.data())]]).toEqual([name, shape, [...data()]]);
    }
  });

  it("splits what the file holds fused, and fuses it again", async () => {
    const map = keyMap("fused", [
      ["{i}.q", part("{i}.in_proj_weight", 0, 3)],
      ["{i}.k", part("{i}.in_proj_weight", 1, 3)],
      ["{i}.v", part("{i}.in_proj_weight", 2, 3)],
      ["left", part("wide", 0, 2, 1)],
      ["right", part("wide", 1, 2, 1)],
    ]);
    const split = new TestModel({
      "0.v": counting([1, 2]),
      "0.q": counting([1, 2]),
      "0.k": counting([1, 2]),
      right: counting([2, 2]),
      left: counting([2, 2]),
    });
    const data = await bytes({ "0.in_proj_weight": f32([3, 2]), wide: f32([2, 4]) });
    await load(split, data, map);
    const values = await split.values();
    expect([[...values["0.q"]!], [...values["0.k"]!], [...values["0.v"]!]]).toEqual([
      [0, 1],
      [2, 3],
      [4, 5],
    ]);
    expect([[...values.left!], [...values.right!]]).toEqual([
      [0, 1, 4, 5],
      [2, 3, 6, 7],
    ]);
    const folder = memoryFolder();
    await save(split, folder, map, { metadata: {} });
    const back = await readTensors(folder.files.get("model.safetensors")!);
    expect(await back.get("wide")!.array()).toEqual([
      [0, 1, 2, 3],
      [4, 5, 6, 7],
    ]);
    expect(await back.get("0.in_proj_weight")!.array()).toEqual([
      [0, 1],
      [2, 3],
      [4, 5],
    ]);
    const half = new TestModel({ "0.q": counting([1, 2]), "0.k": counting([1, 2]) });
    await failure(() => save(half, memoryFolder(), map), "ArgumentError", "KM_MAP", "made from 2 parameters");
  });

  it("joins unequal parts by their ratio, along any axis, and permutes any axes", async () => {
    const rules: KeyRule[] = [
      ["kv", concat("q", "k", "v", { ratio: [2, 1, 1] })],
      ["wide", concat("a", "b", { axis: 1 })],
      ["kernel", transpose("conv", [3, 2, 0, 1])],
      ["patch", reshape("conv2", ([out]) => [out!, 3, 2, 2])],
      ["both", transpose(reshape("flat", [6]), [0])],
    ];
    const map = keyMap("shapes", rules);
    const start = () =>
      new TestModel({
        kv: counting([4, 1]),
        wide: counting([2, 3]),
        kernel: counting([2, 3, 4, 5]),
        patch: counting([2, 12]),
        both: counting([6]),
      });
    const file = {
      q: f32([2, 1]),
      k: f32([1, 1], 5),
      v: f32([1, 1], 6),
      a: f32([2, 1]),
      b: f32([2, 2], 10),
      conv: f32([4, 5, 3, 2]),
      conv2: f32([2, 3, 2, 2]),
      flat: f32([6]),
    };
    const loaded = start();
    await load(
      loaded,
      await bytes(file),
      keyMap(
        "shapes",
        rules.map(([left, right]) =>
          left === "wide" ? [left, concat("a", "b", { axis: 1, ratio: [1, 2] })] : [left, right],
        ),
      ),
    );
    const values = await loaded.values();
    expect([...values.kv!]).toEqual([0, 1, 5, 6]);
    expect([...values.wide!]).toEqual([0, 10, 11, 1, 12, 13]);
    // Element [a b c d] comes from [c d b a] of the file.
    expect(values.kernel![((1 * 3 + 2) * 4 + 3) * 5 + 4]).toBe(((3 * 5 + 4) * 3 + 2) * 2 + 1);
    expect(values.kernel![((0 * 3 + 1) * 4 + 2) * 5 + 3]).toBe(((2 * 5 + 3) * 3 + 1) * 2 + 0);
    const folder = memoryFolder();
    const saving = keyMap(
      "shapes",
      rules.map(([left, right]) =>
        left === "wide" ? [left, concat("a", "b", { axis: 1, ratio: [1, 2] })] : [left, right],
      ),
    );
    await save(loaded, folder, saving);
    const again = start();
    await load(again, folder.files.get("model.safetensors")!, saving);
    expect(await again.values()).toEqual(values);
    await failure(
      async () => load(start(), await bytes(file), map),
      "WeightMismatchError",
      "WM_MISMATCH",
      "the parts [2 1], [2 2] do not fit together",
    );
  });

  it("X11, X12: lists all that is missing, unused and mis-shaped at once, with nearest names, and loads nothing", async () => {
    const loaded = model();
    const before = await loaded.values();
    const file = tensors();
    file["enc.0.k.wieght"] = file["enc.0.k.weight"]!;
    delete file["enc.0.k.weight"];
    delete file.scale;
    file.extra = f32([1]);
    file.proj = f32([2, 3]);
    file.class_embedding = f32([5]);
    const error = await failure(
      async () => load(loaded, await bytes(file), clip),
      "WeightMismatchError",
      "WM_MISMATCH",
      'by the map "test family"',
    );
    expect(error.message).toContain('"enc.0.k.weight" for blocks.0.qkv.weight; similar and unused: "enc.0.k.wieght"');
    expect(error.message).toContain('projection from "proj": [2 3] expected, [3 2] in the file');
    expect(error.message).toContain(
      'token from "class_embedding": [1 1 4] expected, [5] in the file, [4] expected there',
    );
    expect(error.details.unused).toEqual(["enc.0.k.wieght", "extra"]);
    expect((error.details.missing as { key: string }[]).map(({ key }) => key)).toEqual(["enc.0.k.weight", "scale"]);
    expect((error.details.shapes as unknown[]).length).toBe(2);
    expect(await loaded.values()).toEqual(before);
  });

  it("X11: shows the first twenty of each list and counts the rest", async () => {
    const many = Object.fromEntries(Array.from({ length: 50 }, (_, i) => [`p${i}`, f32([1])]));
    const error = await failure(
      async () => load(new TestModel({ a: counting([1]) }), await bytes(many), identityMap),
      "WeightMismatchError",
      "WM_MISMATCH",
      "… and 30 more",
    );
    expect((error.details.unused as string[]).length).toBe(50);
  });

  it("X13: casts nothing silently", async () => {
    const int = await safetensorsBytes([["x", { shape: [2], dtype: "i32" as DType, data: () => Int32Array.of(1, 2) }]]);
    await failure(
      () => load(new TestModel({ x: counting([2]) }), int, identityMap),
      "DTypeError",
      "WM_DTYPE",
      'x is f32, "x" is stored as I32',
    );
    await failure(
      async () => load(new TestModel({ x: counting([2], 0, "i32") }), await bytes({ x: f32([2]) }), identityMap),
      "DTypeError",
      "WM_DTYPE",
      "x is i32",
    );
    await failure(
      async () => load(new TestModel({ x: counting([2], 0, "u8") }), int, identityMap),
      "DTypeError",
      "WM_DTYPE",
    );
  });

  it("X14: ties what the file holds once", async () => {
    const map = keyMap(
      "tied",
      [
        ["head", "lm_head.weight"],
        ["embed", "embed.weight"],
      ],
      { tied: { "lm_head.weight": "embed.weight" } },
    );
    const tied = new TestModel({ head: counting([2]), embed: counting([2]) });
    const report = await load(tied, await bytes({ "embed.weight": f32([2], 3) }), map);
    expect(report.tied).toEqual(["lm_head.weight"]);
    expect(await tied.values()).toEqual({ head: Float32Array.of(3, 4), embed: Float32Array.of(3, 4) });
    await load(tied, await bytes({ "embed.weight": f32([2], 3), "lm_head.weight": f32([2], 8) }), map);
    expect((await tied.values()).head).toEqual(Float32Array.of(8, 9));
  });

  it("names parameters that no row covers, and keys that two spellings collide in", async () => {
    const narrow = keyMap("narrow", [["a", "a"]], { aliases: [["old.*", "*"]] });
    await failure(
      async () => load(new TestModel({ a: counting([1]), b: counting([1]) }), await bytes({ a: f32([1]) }), narrow),
      "WeightMismatchError",
      "WM_MISMATCH",
      '1 parameters without a row in the map:\n      "b"',
    );
    await failure(
      async () => load(new TestModel({ a: counting([1]) }), await bytes({ a: f32([1]), "old.a": f32([1]) }), narrow),
      "WeightMismatchError",
      "WM_MISMATCH",
      'are both "a"',
    );
    await failure(
      () => save(new TestModel({ b: counting([1]) }), memoryFolder(), narrow),
      "ArgumentError",
      "KM_MAP",
      "no row for parameter b",
    );
  });

  it("can stand under a prefix", async () => {
    const inner = keyMap("inner", [["w.{i}.*", concat("a.{i}.*", "b.{i}.*")]], { ignore: ["junk"] });
    const outer = prefixed(inner, { parameter: "vision.", key: "visual." });
    const whole = new TestModel({ "vision.w.0.weight": counting([2]) });
    await load(
      whole,
      await bytes({ "visual.a.0.weight": f32([1], 1), "visual.b.0.weight": f32([1], 2), "visual.junk": f32([1]) }),
      outer,
    );
    expect(await whole.values()).toEqual({ "vision.w.0.weight": Float32Array.of(1, 2) });
    const folder = memoryFolder();
    await save(whole, folder, outer);
    expect([...(await readTensors(folder.files.get("model.safetensors")!)).keys()]).toEqual([
      "visual.a.0.weight",
      "visual.b.0.weight",
    ]);
  });

  it("that cannot be read backwards is refused when it is made", async () => {
    await failure(() => keyMap("m", [["a.{i}", "b"]]), "ArgumentError", "KM_MAP", "leaves out {i}");
    await failure(() => keyMap("m", [["a", "b.{i}"]]), "ArgumentError", "KM_MAP", "does not bind");
    await failure(() => keyMap("m", [["a.*", "b"]]), "ArgumentError", "KM_MAP");
    await failure(() => compilePattern("a.{i"), "ArgumentError", "KM_PATTERN");
    await failure(() => concat("a"), "ArgumentError", "KM_MAP", "two or more");
    await failure(() => transpose("a", [0, 2]), "ArgumentError", "KM_MAP", "no order of axes");
  });
});

describe("a pattern", () => {
  it("binds numbers, names and rests, each to one thing", () => {
    const match = (pattern: string, key: string) =>
      Object.fromEntries(compilePattern(pattern).match(key) ?? [["no", "match"]]);
    expect(match("b.{i}.c.*", "b.10.c.weight")).toEqual({ i: "10", "*0": "weight" });
    expect(match("b.{i}.*", "b.x.weight")).toEqual({ no: "match" });
    expect(match("b.{i}.*", "b.01.weight")).toEqual({ no: "match" });
    expect(match("b.*", "b.a.b")).toEqual({ no: "match" });
    expect(match("b.**", "b.a.b")).toEqual({ "*0": "a.b" });
    expect(match("{i}.{i}", "1.2")).toEqual({ no: "match" });
    expect(match("layer{i+1}.{j}", "layer3.0")).toEqual({ i: "2", j: "0" });
    expect(match("a+b(c)", "a+b(c)")).toEqual({});
    expect(match("a.b", "aXb")).toEqual({ no: "match" });
  });
});

describe("dtype", () => {
  it.each(["f16", "bf16"] as const)("%s is kept, and converted on the way to f32", async (dtype) => {
    const values = Float32Array.of(1, -2.5, 0.333984375, 65504);
    const stored = await safetensorsBytes([["x", { shape: [4], dtype, data: () => values }]]);
    const kept = new TestModel({ x: counting([4], 0, dtype) });
    await load(kept, stored, identityMap);
    const wide = new TestModel({ x: counting([4]) });
    await load(wide, stored, identityMap);
    expect((await kept.values()).x).toEqual((await wide.values()).x);
    expect((await readTensors(stored)).get("x")!.dtype).toBe(dtype);
    const folder = memoryFolder();
    await save(wide, folder, identityMap, { dtype });
    expect(folder.files.get("model.safetensors")!.slice(-8)).toEqual(stored.slice(-8));
  });

  it("16-bit floats are uploaded as the bits in the file, also where the parameter is f32", async () => {
    const half = (dtype: DType) => ({ shape: [2, 2], dtype, data: () => Float32Array.of(1, -2, 3, 0.5) });
    const stored = await safetensorsBytes([
      ["q", half("bf16")],
      ["k", half("bf16")],
      ["x", half("f16")],
    ]);
    for (const [name, value] of await readTensors(stored)) {
      expect([name, value.node.attributes.host]).toEqual([name, expect.any(Uint16Array)]);
    }
    const map = keyMap("fused", [
      ["qk", concat("q", "k")],
      ["x", transpose("x")],
    ]);
    const hosts: unknown[] = [];
    const parameter = (shape: number[]) => ({
      shape,
      dtype: "f32" as const,
      value: counting(shape),
      assign: (value: Tensor) => {
        expect(value.dtype).toBe("f32");
        hosts.push(value.node.inputs[0]!.attributes.host);
      },
    });
    const state = [
      ["qk", parameter([4, 2])],
      ["x", parameter([2, 2])],
    ] as const;
    await load({ stateDict: () => state }, stored, map);
    expect(hosts).toEqual([expect.any(Uint16Array), expect.any(Uint16Array)]);
  });

  it("of parts may differ: they meet in f32", async () => {
    const part = (dtype: DType, from: number) => ({ shape: [2], dtype, data: () => Float32Array.of(from, from + 0.5) });
    const stored = await safetensorsBytes([
      ["a", part("f16", 1)],
      ["b", part("bf16", 2)],
      ["c", part("f32", 3)],
    ]);
    const map = keyMap("mixed", [["all", concat("a", "b", "c")]]);
    for (const dtype of ["f32", "f16"] as const) {
      const mixed = new TestModel({ all: counting([6], 0, dtype) });
      await load(mixed, stored, map);
      expect([...(await mixed.values()).all!]).toEqual([1, 1.5, 2, 2.5, 3, 3.5]);
    }
  });

  it("of a parameter that cannot change it is a clear error", async () => {
    const x = new TestModel({ x: counting([2]) });
    await failure(
      async () => load(x, await bytes({ x: f32([2]) }), identityMap, { dtype: "f16" }),
      "DTypeError",
      "LOAD_DTYPE",
      "x is f32 and cannot become f16",
    );
  });

  it("of a parameter that can is changed", async () => {
    const changed: string[] = [];
    const x = {
      shape: [2],
      dtype: "f32" as const,
      value: counting([2]),
      assign: () => {},
      replace: (value: { dtype: DType }) => void changed.push(value.dtype),
    };
    await load({ stateDict: () => [["x", x]] }, await bytes({ x: f32([2]) }), identityMap, { dtype: "bf16" });
    expect(changed).toEqual(["bf16"]);
  });
});
