/** The pages, built by Vite from source and used in headless Chromium, with WebGPU and without it. */
import { mkdtempSync, rmSync } from "node:fs";
import { mkdir } from "node:fs/promises";
import os from "node:os";
import path from "node:path";
import { fileURLToPath } from "node:url";
import { CLIP, createCLIP } from "@vlm/clip";
import { clipPreprocessor, createImage, encodePng } from "@vlm/image";
import { trainBpe } from "@vlm/tokenizers";
import { build, defaultClientConditions } from "vite";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { openPage, type TestPage } from "../../tools/testing/browser.mjs";
import { skipAllowed } from "../../tools/testing/gpu.mjs";

const folder = mkdtempSync(path.join(os.tmpdir(), "vlm-pages-"));

/** Builds a page of the examples into a folder of its own. */
async function built(name: string): Promise<string> {
  const root = fileURLToPath(new URL(`../${name}`, import.meta.url));
  const outDir = path.join(folder, name);
  const conditions = ["@vlm/source", ...defaultClientConditions];
  await build({ root, logLevel: "error", resolve: { conditions }, build: { outDir, emptyOutDir: true } });
  return outDir;
}

const red = async (): Promise<Buffer> => {
  const data = Uint8Array.from({ length: 40 * 40 * 3 }, (_, i) => (i % 3 === 0 ? 220 : 30));
  return Buffer.from(await encodePng(createImage(data, { width: 40, height: 40, channels: 3 })));
};

async function saveModel(to: string): Promise<void> {
  await mkdir(to, { recursive: true });
  const tokenizer = trainBpe(["a red picture", "a blue picture"], { vocabSize: 520 });
  const model = createCLIP({
    image: { kind: "vit", imageSize: 32, patchSize: 16, width: 32, depth: 1, heads: 2 },
    text: {
      ...{ vocabSize: tokenizer.vocabSize, context: 16, width: 32, depth: 1, heads: 2 },
      endId: tokenizer.tokenToId("<|endoftext|>")!,
    },
    embed: 32,
  });
  const size = { resize: { kind: "shortest", size: 32 }, crop: { width: 32, height: 32 } } as const;
  await new CLIP({ model, tokenizer, preprocessor: { ...clipPreprocessor, ...size } }).save(to);
}

describe.skipIf(skipAllowed("browser"))("pages", () => {
  afterAll(() => rmSync(folder, { recursive: true, force: true }));

  describe.each([{ webgpu: true }, { webgpu: false }])("the page that trains, webgpu: $webgpu", ({ webgpu }) => {
    let site: TestPage;
    beforeAll(async () => {
      site = await openPage({ folder: await built("browser"), webgpu });
    });
    afterAll(() => site.close());

    it("trains, says where, pauses and goes on, searches, describes, offline and by keyboard", async () => {
      const { page } = site;
      const step = (): Promise<number> => page.evaluate(() => Number(document.body.dataset.step ?? 0));
      const begun = () =>
        Number(document.body.dataset.step ?? 0) >= 3 || document.querySelector("#problem")!.textContent !== "";
      await page.waitForFunction(begun, null, { timeout: 600_000 });
      expect(await page.textContent("#problem")).toBe("");
      expect(await page.textContent("#device")).toMatch(webgpu ? /WebGPU/ : /WebAssembly/);
      await page.context().setOffline(true);
      await page.focus("#pause");
      await page.keyboard.press("Enter");
      expect(await page.textContent("#pause")).toBe("Resume");
      await page.fill("#words", "red fruit");
      await page.keyboard.press("Enter");
      await page.waitForSelector("#hits li", { timeout: 300_000 });
      expect(await page.locator("#hits li").count()).toBe(12);
      await page.focus("#pad");
      for (let i = 0; i < 4; i++) await page.keyboard.press("ArrowRight");
      await page.waitForSelector("#captions li", { timeout: 300_000 });
      expect(await page.textContent("#captions li")).toMatch(/\p{L}+ \(-?\d\.\d\d\)$/u);
      const before = await step();
      await page.focus("#pause");
      await page.keyboard.press("Enter");
      await page.waitForFunction((at) => Number(document.body.dataset.step) > at + 1, before, { timeout: 300_000 });
      expect(await page.textContent("#problem")).toBe("");
      expect(site.errors).toEqual([]);
    });

    it("reads in light and dark", async () => {
      const { page } = site;
      const colors = [];
      for (const colorScheme of ["light", "dark"] as const) {
        await page.emulateMedia({ colorScheme });
        colors.push(await page.evaluate(() => getComputedStyle(document.body).backgroundColor));
        const shots = process.env.VLM_SCREENSHOTS;
        if (shots)
          await page.screenshot({
            path: path.join(shots, `${colorScheme}-${webgpu ? "webgpu" : "wasm"}.png`),
            fullPage: true,
          });
      }
      expect(colors[0]).not.toBe(colors[1]);
    });
  });

  it("classifies in a Vite page", async () => {
    const site = await built("vite-page");
    await saveModel(path.join(site, "model"));
    const { page, errors, close } = await openPage({ folder: site, webgpu: false });
    await page.setInputFiles("#file", { name: "red.png", mimeType: "image/png", buffer: await red() });
    await page.waitForFunction(() => /%.*%/.test(document.querySelector("output")!.value), null, { timeout: 180_000 });
    expect(await page.textContent("#answer")).toMatch(/a (red|blue) picture: \d+\.\d %, a (red|blue) picture/);
    // Files that a model may have or not are asked for; a browser notes each absent one.
    expect(errors.filter((error) => !error.includes("404"))).toEqual([]);
    await close();
  });

  it("searches in a web worker", async () => {
    const site = await built("web-worker");
    await saveModel(path.join(site, "model"));
    const { page, errors, close } = await openPage({ folder: site, webgpu: false });
    await page.setInputFiles("#files", { name: "red.png", mimeType: "image/png", buffer: await red() });
    await page.waitForFunction(() => /red\.png \(/.test(document.querySelector("output")!.value), null, {
      timeout: 180_000,
    });
    expect(errors).toEqual([]);
    await close();
  });
});
