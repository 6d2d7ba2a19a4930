import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { create } from "webgpu";
import { openPage, type TestPage } from "../browser.mjs";
import { skipAllowed } from "../gpu.mjs";

describe.skipIf(skipAllowed("webgpu"))("WebGPU in Node", () => {
  test("Dawn finds the software adapter", async () => {
    const adapter = await create([]).requestAdapter();
    expect(`${adapter?.info.vendor}`).toMatch(/mesa|google|nvidia|amd|intel|apple/);
  });
});

describe.skipIf(skipAllowed("browser"))("Chromium", () => {
  let page: TestPage;
  beforeAll(async () => {
    page = await openPage({ entry: new URL("./probe.ts", import.meta.url) });
  });
  afterAll(() => page.close());

  test("has WebGPU, isolation and WebAssembly under a policy that forbids eval", async () => {
    const found = await page.call<Record<string, unknown>>("probe");
    expect(found).toMatchObject({ isolated: true, evaluated: false, wasm: true });
    expect(found.adapter).toContain("google");
  });

  test("calls exports with arguments", async () => {
    expect(await page.call("add", 2, 3)).toBe(5);
  });

  test("can do without WebGPU and without isolation", async () => {
    const plain = await openPage({ entry: new URL("./probe.ts", import.meta.url), webgpu: false, isolated: false });
    try {
      expect(await plain.call("probe")).toMatchObject({ adapter: null, isolated: false, wasm: true });
      expect(plain.errors).toEqual([]);
    } finally {
      await plain.close();
    }
  });
});
