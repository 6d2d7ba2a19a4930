/** Every example runs, at reduced size, and says one sentence when something is wrong. */
import { copyFileSync, existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import os from "node:os";
import path from "node:path";
import { CLIP, createCLIP } from "@vlm/clip";
import { type Color, clipPreprocessor, createImage, writePng } from "@vlm/image";
import { trainBpe } from "@vlm/tokenizers";
import { openWeights } from "@vlm/weights";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { runExample } from "./run.ts";

const folder = mkdtempSync(path.join(os.tmpdir(), "vlm-examples-"));
const at = (...parts: string[]): string => path.join(folder, ...parts);
const model = at("model");

/** A tiny model, and pictures of three colours with words, in one folder and in a folder per class. */
beforeAll(async () => {
  const colors: Record<string, Color> = { red: [220, 30, 30], green: [30, 200, 60], blue: [40, 60, 220] };
  mkdirSync(at("photos"), { recursive: true });
  for (const [name, color] of Object.entries(colors)) {
    mkdirSync(at("classes", name), { recursive: true });
    for (let i = 0; i < 4; i++) {
      const data = Uint8Array.from({ length: 40 * 32 * 3 }, (_, at) => color[at % 3]! + ((at * (i + 3)) % 20));
      const file = at("classes", name, `${i}.png`);
      await writePng(file, createImage(data, { width: 40, height: 32, channels: 3 }));
      copyFileSync(file, at("photos", `${name}-${i}.png`));
      writeFileSync(at("photos", `${name}-${i}.txt`), `a ${name} picture`);
    }
  }
  const tokenizer = trainBpe(["a red picture", "a green picture", "a blue picture"], { vocabSize: 530 });
  const clip = createCLIP({
    image: { kind: "vit", imageSize: 32, patchSize: 16, width: 32, depth: 2, heads: 2 },
    text: {
      ...{ vocabSize: tokenizer.vocabSize, context: 16, width: 32, depth: 1, heads: 2 },
      endId: tokenizer.tokenToId("<|endoftext|>")!,
    },
    embed: 32,
  });
  const size = { resize: { kind: "shortest", size: 32 }, crop: { width: 32, height: 32 } } as const;
  await new CLIP({ model: clip, tokenizer, preprocessor: { ...clipPreprocessor, ...size } }).save(model);
});

afterAll(() => rmSync(folder, { recursive: true, force: true }));

describe("npm start", () => {
  const small = ["--steps", "4", "--batch", "8"];

  it("trains, measures, saves, reloads, searches and reports", async () => {
    const { code, out, err } = await runExample("start/main.ts", [...small, "--out", at("start")]);
    expect([code, err]).toEqual([0, ""]);
    expect(out).toMatch(/1344 emoji to learn from, 300 held out/);
    expect(out).toMatch(/text to image R@10 +\d+\.\d % {3}\[ *\d+\.\d %, +\d+\.\d %\] {3}chance +3\.3 %/);
    expect(out).toMatch(/black line art/);
    expect(out).toMatch(/"a sad face" +\S/);
    const report = readFileSync(at("start", "report.html"), "utf8");
    for (const title of ["Loss", "Words to pictures", "Where it looks", "Groups"]) expect(report).toContain(title);
    const config = JSON.parse(readFileSync(at("start", "model", "config.json"), "utf8"));
    expect(config.model_type).toBe("clip"); // Hugging Face's CLIPModel opens it
    expect(existsSync(at("start", "model", "tokenizer.json"))).toBe(true);
  });

  it("stops at Ctrl-C, says how to go on, and goes on with the same losses", async () => {
    const whole = await runExample("start/main.ts", ["--steps", "30", "--batch", "4", "--out", at("whole")]);
    expect(whole.code).toBe(0);
    const args = ["--steps", "30", "--batch", "4", "--out", at("parts")];
    const first = await runExample("start/main.ts", args, { interruptWhen: / 3\/30 / });
    expect(first.code).toBe(130);
    const command = /npm start -- (.*--resume)/.exec(first.out)![1]!;
    const second = await runExample("start/main.ts", command.split(" "));
    expect(second.code).toBe(0);
    const losses = (name: string): unknown => JSON.parse(readFileSync(at(name, "losses.json"), "utf8"));
    expect(losses("parts")).toEqual(losses("whole"));
  });

  it("trains with SigLIP's loss", async () => {
    const { code, out } = await runExample("start/main.ts", [
      ...small,
      "--loss",
      "siglip",
      "--out",
      at("siglip-start"),
    ]);
    expect(code).toBe(0);
    expect(out).toMatch(/text to image R@10/);
  });

  it("prints its options", async () => {
    const { code, out } = await runExample("start/main.ts", ["--help"]);
    expect(code).toBe(0);
    for (const flag of ["--device", "--steps", "--seed", "--out", "--resume", "--loss"]) expect(out).toContain(flag);
  });

  it.each([
    [["--device", "cuda"], /--device is webgpu or wasm or js, and not "cuda"/],
    [["--steps", "many"], /--steps is a whole number/],
    [["--loss", "mse"], /--loss is clip or siglip/],
    [["--stepz", "1"], /--stepz.*--help/s],
  ])("says what is wrong with %j", async (args, sentence) => {
    const { code, err } = await runExample("start/main.ts", args);
    expect(code).toBe(1);
    expect(err).toMatch(sentence);
    expect(err.trim().split("\n")).toHaveLength(1);
  });
});

describe("scripts", () => {
  it("classify", async () => {
    const args = ["--model", model, "--labels", "a red picture,a blue picture", at("photos", "red-0.png")];
    const { code, out, err } = await runExample("classify.ts", args);
    expect([code, err]).toEqual([0, ""]);
    expect(out).toMatch(/\d+\.\d % {2}a (red|blue) picture/);
  });

  it("search-photos, leaving out what cannot be read", async () => {
    mkdirSync(at("mixed"));
    copyFileSync(at("photos", "red-0.png"), at("mixed", "red.png"));
    writeFileSync(at("mixed", "broken.png"), "this is no picture");
    const args = [at("mixed"), "a red picture", "--model", model, "--out", at("found.png")];
    const { code, out, err } = await runExample("search-photos.ts", args);
    expect(code).toBe(0);
    expect(out).toMatch(/-?\d\.\d{3} {2}.*red\.png/);
    expect(err).toMatch(/1 of 2 pictures cannot be read/);
    expect([...readFileSync(at("found.png")).subarray(1, 4)]).toEqual([...Buffer.from("PNG")]);
  });

  it("fine-tune, so that the words fit better", async () => {
    const args = [
      at("photos"),
      "--model",
      model,
      "--out",
      at("tuned"),
      "--steps",
      "12",
      "--batch",
      "6",
      "--lr",
      "1e-3",
    ];
    const { code, out, err } = await runExample("fine-tune.ts", args);
    expect([code, err]).toEqual([0, ""]);
    const [first, last] = [...out.matchAll(/loss (\d+\.\d+)/g)].map(([, loss]) => Number(loss));
    expect(last).toBeLessThan(first!);
    expect(existsSync(at("tuned", "model.safetensors"))).toBe(true);
  });

  it("linear-probe", async () => {
    const { code, out, err } = await runExample("linear-probe.ts", [at("classes"), "--model", model]);
    expect([code, err]).toEqual([0, ""]);
    expect(out).toMatch(/9 pictures to learn from, 3 to test, 3 classes/);
    expect(out).toMatch(/linear probe +100\.0 %/); // three plain colours
  });

  it("train-siglip", async () => {
    const { code, out, err } = await runExample("train-siglip.ts", [
      "--steps",
      "3",
      "--batch",
      "8",
      "--out",
      at("siglip"),
    ]);
    expect([code, err]).toEqual([0, ""]);
    expect(out).toMatch(/step 3 +loss \d/);
    expect(JSON.parse(readFileSync(at("siglip", "config.json"), "utf8")).model_type).toBe("siglip");
  });

  it("own-encoder", async () => {
    const { code, out, err } = await runExample("own-encoder.ts", ["--steps", "2", "--batch", "8", "--out", at("own")]);
    expect([code, err]).toEqual([0, ""]);
    expect(out).toMatch(/learnt by heart/);
    const weights = await openWeights(at("own"));
    expect(weights.tensors.has("image.stages.0.conv.weight")).toBe(true);
    await weights.close();
  });

  it.each(["wasm", "webgpu"])("own-kernel on %s", async (device) => {
    const { code, out } = await runExample("own-kernel.ts", ["--device", device]);
    expect(code).toBe(0);
    const [value, gradient] = [...out.matchAll(/difference.* (\d\S*)/g)].map(([, number]) => Number(number));
    expect(value).toBeLessThan(1e-5);
    expect(gradient).toBeLessThan(1e-4);
  });

  it("resume", async () => {
    const { code, out, err } = await runExample("resume.ts", ["--steps", "30", "--out", at("resume")]);
    expect([code, err]).toEqual([0, ""]);
    expect(out).toMatch(/all losses are equal, bit for bit/);
  });

  it("embed-threads", async () => {
    const args = [at("photos"), "--model", model, "--threads", "2", "--out", at("embedded")];
    const { code, out, err } = await runExample("embed-threads.ts", args);
    expect([code, err]).toEqual([0, ""]);
    expect(out).toMatch(/12 images on 2 threads/);
    const weights = await openWeights(at("embedded", "embeddings.safetensors"));
    expect(weights.tensors.get("embeddings")?.shape).toEqual([12, 32]);
    await weights.close();
  });
});

describe("one sentence and exit code 1", () => {
  beforeAll(() => {
    mkdirSync(at("empty"));
    mkdirSync(at("unreadable"));
    writeFileSync(at("unreadable", "a.png"), "no picture");
    writeFileSync(at("unreadable", "b.jpg"), "no picture either");
  });

  it.each([
    [
      "a label list with one item",
      "classify.ts",
      () => ["--model", model, "--labels", "cat", at("photos", "red-0.png")],
      /two labels or more/,
    ],
    ["an absent image", "classify.ts", () => ["--model", model, "--labels", "cat,dog", at("no.png")], /no\.png/],
    ["an absent model", "classify.ts", () => ["--model", at("nowhere"), "--labels", "cat,dog", "x.png"], /nowhere/],
    ["an empty folder", "search-photos.ts", () => [at("empty"), "a cat", "--model", model], /no picture in/],
    ["an absent folder", "search-photos.ts", () => [at("nowhere"), "a cat", "--model", model], /cannot be read/],
    [
      "unreadable images",
      "search-photos.ts",
      () => [at("unreadable"), "a cat", "--model", model],
      /None of the 2 pictures/,
    ],
    ["an empty folder to train on", "fine-tune.ts", () => [at("empty"), "--model", model], /.+/],
    ["a class alone", "linear-probe.ts", () => [at("photos"), "--model", model], /0 folders/],
    ["unreadable images on threads", "embed-threads.ts", () => [at("unreadable"), "--model", model], /a\.png|b\.jpg/],
  ])("%s", async (_, file, args, sentence) => {
    const { code, err } = await runExample(file, args());
    expect(code).toBe(1);
    expect(err).toMatch(sentence);
    expect(err).not.toMatch(/^\s+at /m);
  });

  it("an absent device", async () => {
    const { code, err } = await runExample("start/main.ts", ["--device", "webgpu"], {
      env: { VK_DRIVER_FILES: at("no-driver.json"), VK_ICD_FILENAMES: at("no-driver.json") },
    });
    expect(code).toBe(1);
    // Before it Dawn writes its own lines about drivers.
    expect(err.trim().split("\n").at(-1)).toMatch(/^webgpu: no adapter: .+\.$/);
  });
});
