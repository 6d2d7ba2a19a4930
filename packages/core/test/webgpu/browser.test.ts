import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { openPage, type TestPage } from "../../../../tools/testing/browser.mjs";

describe("in headless Chromium, under a strict content policy", () => {
  let page: TestPage;
  beforeAll(async () => {
    page = await openPage({ entry: new URL("./browser-page.ts", import.meta.url) });
  }, 120_000);
  afterAll(() => page?.close());

  it("random kernels give what the interpreter gives", async () => {
    const { adapter, wrong } = await page.call<{ adapter: string; wrong: string[] }>("randomKernels", [1, 2, 3, 4]);
    expect(adapter).not.toBe("");
    expect(wrong).toEqual([]);
  });

  it.each([
    ["elementwise", 200],
    ["reductions", 12],
    ["composites", 60],
  ])("%s ops give what the reference gives", { timeout: 240_000 }, async (part, least) => {
    const { compared, wrong } = await page.call<{ compared: number; wrong: string[] }>("conformance", part);
    expect(wrong).toEqual([]);
    expect(compared).toBeGreaterThanOrEqual(least);
  });

  it("attention and its gradients equal the reference", async () => {
    const [want, got] = [
      await page.call<number[][]>("attentionLoss", "js"),
      await page.call<number[][]>("attentionLoss", "webgpu"),
    ];
    want!.forEach((values, i) => {
      const scale = Math.max(...values.map(Math.abs));
      values.forEach((value, k) => {
        expect(Math.abs(got![i]![k]! - value)).toBeLessThanOrEqual(4e-6 * scale);
      });
    });
  });

  it("a destroyed device is told", async () => {
    expect(await page.call<string>("afterDestroy")).toBe("DisposedError");
    expect(page.errors).toEqual([]);
  });
});
