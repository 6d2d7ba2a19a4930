import { leaks, onDebug, tensor, useDevice } from "@vlm/core";
import { expect, it } from "vitest";

it("in debug mode every live tensor names the line that made it", async () => {
  await useDevice("wasm");
  const stop = onDebug(() => {}, 1);
  try {
    const kept = tensor(new Float32Array(5000)).mul(3); // the line
    await kept.data();
    const found = leaks().find(({ bytes, owner }) => bytes === 20000 && owner === "tensors");
    expect(found?.line).toMatch(/leaks\.test\.ts:8/);
    kept.dispose();
    expect(leaks().some(({ bytes, owner }) => bytes === 20000 && owner === "tensors")).toBe(false);
  } finally {
    stop();
  }
});
