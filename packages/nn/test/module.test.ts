import { commit, context, random, type Tensor, tensor } from "@vlm/core";
import {
  Attention,
  Dropout,
  LayerNorm,
  Linear,
  Mlp,
  Module,
  Parameter,
  repeat,
  StateBuffer,
  summary,
  tap,
} from "@vlm/nn";
import { beforeAll, describe, expect, it } from "vitest";
import { testDevice } from "./device.ts";

beforeAll(testDevice);

class Block extends Module {
  readonly norm = new LayerNorm(4);
  attention = new Attention({ width: 4, heads: 2 });
  readonly mlp = new Mlp({ width: 4, hidden: 6 });
  forward(x: Tensor): Tensor {
    x = x.add(x.pipe(this.norm).pipe(this.attention));
    return x.add(x.pipe(this.mlp));
  }
}

class Tower extends Module {
  readonly config = { width: 4, unused: new Linear(1, 1) };
  readonly scale = new Parameter(tensor(1));
  readonly blocks = repeat(2, () => new Block());
  readonly heads = { image: new Linear(4, 2), text: new Linear(4, 3, { bias: false }) };
  readonly seen = new StateBuffer(tensor([0, 0]));
  forward(x: Tensor): Tensor {
    for (const block of this.blocks) x = x.pipe(block);
    return x.mul(this.scale).pipe(this.heads.image);
  }
}

describe("paths", () => {
  it("are property paths, through arrays and plain objects, without config", () => {
    const model = new Tower();
    const paths = [...model.namedParameters().keys()];
    expect(paths[0]).toBe("scale");
    expect(paths).toContain("blocks.1.attention.qkv.weight");
    expect(paths).toContain("heads.text.weight");
    expect(paths).not.toContain("heads.text.bias");
    expect(paths.some((path) => path.includes("config") || path.includes("seen"))).toBe(false);
    expect([...model.namedBuffers().keys()]).toEqual(["seen"]);
    expect([...model.stateDict().keys()].sort()).toEqual([...paths, "seen"].sort());
    expect([...model.namedModules().keys()].slice(0, 3)).toEqual(["", "blocks.0", "blocks.0.norm"]);
  });

  it("choose parameters", () => {
    const model = new Tower();
    expect(model.parameters(/^heads\./)).toHaveLength(3);
    expect([...model.namedParameters((_, { rank }) => rank === 0).keys()]).toEqual(["scale"]);
  });

  it("count a shared parameter once", () => {
    class Tied extends Module {
      readonly up = new Linear(2, 2);
      readonly down = this.up;
    }
    expect([...new Tied().namedParameters().keys()]).toEqual(["up.weight", "up.bias"]);
  });

  it("are in errors", () => {
    const model = new Tower();
    model.blocks[1]!.attention = new Attention({ width: 5, heads: 1 });
    expect(() => tensor([[[1, 2, 3, 4]]]).pipe(model)).toThrowErrorMatchingInlineSnapshot(`
      [ShapeError: [SHAPE_EXPECTED] a tensor [B N D] with D = 5 is needed, got [1 1 4]
        in Tower.blocks.1.attention
        axis 2 does not fit]
    `);
  });

  it("are whole in methods too, once the parameters were listed", () => {
    class Pair extends Module {
      readonly left = new Tower();
      features(x: Tensor): Tensor {
        return x.pipe(this.left);
      }
    }
    const model = new Pair();
    model.trainable();
    expect(() => model.features(tensor([[[1, 2]]]))).toThrowError(
      /in Pair\.left\.blocks\.0\.norm|in Pair\.left\.blocks\.0/,
    );
  });
});

describe("tap", () => {
  const x = tensor([[[1, -2, 3, 0.5]]]);

  it("names every intermediate in the order of computation", async () => {
    const model = new Tower();
    const taps = tap(model, x);
    const names = [...taps.keys()];
    expect(names.slice(0, 3)).toEqual(["blocks.0.norm", "blocks.0.attention.qkv", "blocks.0.attention.out"]);
    expect(names.at(-1)).toBe("");
    expect(names.at(-2)).toBe("heads.image");
    expect(await taps.get("")!.array()).toEqual(await x.pipe(model).array());
  });

  it("takes calls of methods, repeated modules and outputs with parts", () => {
    class Twice extends Module {
      readonly layer = new Linear(4, 4);
      readonly parts = new Parts();
      encode(input: Tensor): unknown {
        return input.pipe(this.layer).pipe(this.layer).pipe(this.parts);
      }
    }
    class Parts extends Module {
      forward(input: Tensor): { tokens: Tensor; pooled: Tensor } {
        return { tokens: input, pooled: input.mean(1) };
      }
    }
    const model = new Twice();
    expect([...tap(model, () => model.encode(x)).keys()]).toEqual(["layer", "layer#2", "parts.tokens", "parts.pooled"]);
  });
});

describe("load", () => {
  it("lists everything that does not fit, and changes nothing", async () => {
    const model = new Linear(2, 3);
    const before = await model.weight.array();
    const state = { weigth: tensor([[1]]), bias: tensor([1, 2]) };
    await expect(model.load(state)).rejects.toThrowErrorMatchingInlineSnapshot(`
      [WeightMismatchError: [STATE_MISMATCH] load: 3 of 2 tensors do not fit:
          missing weight (is it weigth?)
          unknown weigth (is it weight?)
          bias has shape [2], needed is [3]
        in Linear
        check the model's configuration, or map the names]
    `);
    expect(await model.weight.array()).toEqual(before);
  });

  it("copies a model, converting floats", async () => {
    const [from, to] = [new Tower(), new Tower()];
    await to.load(from.stateDict());
    const x = random.normal(random.key(1), [2, 3, 4]);
    expect(await x.pipe(to).array()).toEqual(await x.pipe(from).array());
    to.convert("f16");
    expect(to.scale.dtype).toBe("f16");
    await to.load(from.stateDict());
    expect(await to.scale.item()).toBe(1);
  });

  it("can be partial", async () => {
    const model = new Linear(2, 2);
    await model.load({ bias: tensor([5, 6]) }, { partial: true });
    expect(await model.bias!.array()).toEqual([5, 6]);
  });
});

describe("parameters", () => {
  it("start from the key in the context", async () => {
    const make = (seed: number) => context({ key: random.key(seed) }, () => new Linear(3, 3)).weight.array();
    expect(await make(1)).toEqual(await make(1));
    expect(await make(1)).not.toEqual(await make(2));
  });

  it("freeze and unfreeze", () => {
    const model = new Tower();
    const count = model.trainable().length;
    model.freeze(/^blocks\.0/);
    expect(model.trainable()).toHaveLength(count - 10);
    model.unfreeze(/norm/);
    expect(model.trainable()).toHaveLength(count - 8);
  });

  it("are tensors that show the current value", async () => {
    const p = new Parameter(tensor([1, 2]));
    const before = p.value;
    const doubled = await p.mul(2).array();
    p.assign(p.add(10));
    await commit();
    expect(doubled).toEqual([2, 4]);
    expect(await p.array()).toEqual([11, 12]);
    await expect(before.array()).rejects.toMatchObject({ code: "STORAGE_GONE" });
    expect(String(p)).toBe("Parameter f32 [2]");
  });

  it("may take another dtype but no other shape", () => {
    const p = new Parameter(tensor([1, 2]));
    p.replace(tensor([3, 4]).cast("f16"));
    expect(p.dtype).toBe("f16");
    expect(() => p.replace(tensor([1]))).toThrowError(expect.objectContaining({ code: "CELL_SHAPE" }));
  });
});

it("drops only in training, and never without a key", async () => {
  const x = tensor(new Float32Array(4000).fill(1));
  const layer = new Dropout(0.25);
  expect(await x.pipe(layer).sum().item()).toBe(4000);
  const y = context({ training: true, key: random.key(3) }, () => x.pipe(layer));
  const values = new Set((await y.data()) as Float32Array);
  expect(values).toEqual(new Set([0, Math.fround(4 / 3)]));
  expect(Math.abs((await y.mean().item()) - 1)).toBeLessThan(0.05);
  expect(() => context({ training: true }, () => x.pipe(layer))).toThrowError(
    expect.objectContaining({ code: "KEY_MISSING", where: "Dropout" }),
  );
  expect(() => new Dropout(1)).toThrowError(expect.objectContaining({ code: "RATE_RANGE" }));
});

it("sums a model up", () => {
  expect(summary(new Tower())).toMatchInlineSnapshot(`
    "Tower           Tower      scale []                  315
      blocks.0 … 1  Block                                146
        norm        LayerNorm  weight [4], bias [4]      8
        attention   Attention                            80
          qkv       Linear     weight [12 4], bias [12]  60
          out       Linear     weight [4 4], bias [4]    20
          dropout   Dropout                              0
        mlp         Mlp                                  58
          up        Linear     weight [6 4], bias [6]    30
          down      Linear     weight [4 6], bias [4]    28
          dropout   Dropout                              0
      heads.image   Linear     weight [2 4], bias [2]    10
      heads.text    Linear     weight [3 4]              12
    315 parameters, 315 trainable"
  `);
});
