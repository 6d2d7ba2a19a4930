import { defineKernel, grad, type Tensor, tensor, useDevice } from "@vlm/core";
import { afterAll, describe, expect, it } from "vitest";

const swish = defineKernel({
  name: "swish",
  reference: (x: Tensor) => x.mul(x.sigmoid()),
  webgpu: ({ wgsl, x, y }) => wgsl`
    @compute @workgroup_size(64)
    fn main(@builtin(global_invocation_id) at: vec3u) {
      if (at.x >= ${y.size}u) { return; }
      ${y}[at.x] = ${x}[at.x] / (1.0 + exp(-${x}[at.x]));
    }`,
});

afterAll(async () => {
  await useDevice("js");
});

describe.each(["js", "wasm", "webgpu"] as const)("an own kernel on %s", (device) => {
  it("equals its reference, with gradients of first and second order", async () => {
    await useDevice(device);
    const x = tensor(Float32Array.from({ length: 130 }, (_, i) => Math.sin(i) * 3));
    const own = swish(x);
    const plain = x.mul(x.sigmoid());
    const [dOwn] = grad(own.square().sum(), [x]);
    const [dPlain] = grad(plain.square().sum(), [x]);
    const [ddOwn] = grad(dOwn.square().sum(), [x]);
    const [ddPlain] = grad(dPlain.square().sum(), [x]);
    for (const [a, b] of [
      [own, plain],
      [dOwn, dPlain],
      [ddOwn, ddPlain],
    ] as const) {
      const [got, want] = [await a.data(), await b.data()];
      got.forEach((value, i) => {
        expect(value).toBeCloseTo(want[i]!, 4);
      });
    }
  });

  it("falls back to its reference for dtypes that the shader does not take", async () => {
    await useDevice(device);
    const y = swish(tensor([1, -1], { dtype: "f16" }));
    expect(y.dtype).toBe("f16");
    expect((await y.data())[0]).toBeCloseTo(0.731, 2);
  });
});
