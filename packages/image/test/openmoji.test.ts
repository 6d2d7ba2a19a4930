import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { type OpenMoji, openmoji } from "../src/data/openmoji.ts";
import { baseOf } from "../src/data/openmoji-base.ts";
import { caught } from "./files.ts";
import { bytesOf } from "./source.ts";

let cache: string;
let all: OpenMoji[];
let drawn = 0;

beforeAll(async () => {
  cache = mkdtempSync(join(tmpdir(), "openmoji-"));
  all = await openmoji({ size: 12, cache, onProgress: () => drawn++ });
});
afterAll(() => rmSync(cache, { recursive: true }));

describe("openmoji", () => {
  it("gives every emoji once, without skin tones, with words and pixels", () => {
    expect(all.length).toBeGreaterThan(1800);
    expect(new Set(all.map(({ id }) => id)).size).toBe(all.length);
    expect(all.filter(({ id }) => /1F3F[B-F]/.test(id))).toEqual([]);
    const grin = all.find(({ id }) => id === "1F600")!;
    expect(grin).toMatchObject({
      emoji: "😀",
      annotation: "grinning face",
      group: "smileys-emotion",
      subgroup: "face-smiling",
      base: "1F600",
    });
    expect(grin.tags).toContain("smile");
    expect(grin.pixels.data.length).toBe(12 * 12 * 3);
    // White outside, yellow inside.
    expect([...grin.pixels.data.subarray(0, 3)]).toEqual([255, 255, 255]);
    const middle = [...grin.pixels.data.subarray((3 * 12 + 6) * 3, (3 * 12 + 6) * 3 + 3)];
    expect(middle[0]! - middle[2]!).toBeGreaterThan(100);
  });

  it("is drawn once: the second call reads the cache and gives the same", async () => {
    const before = drawn;
    const again = await openmoji({ size: 12, cache, onProgress: () => drawn++ });
    expect(drawn).toBe(before);
    expect(again.length).toBe(all.length);
    expect(bytesOf(again[100]!.pixels).equals(bytesOf(all[100]!.pixels))).toBe(true);
    expect(readdirSync(cache).length).toBe(1);
  });

  it("filters groups and OpenMoji's own", async () => {
    const animals = await openmoji({ size: 12, cache, groups: ["animals-nature"] });
    expect(new Set(animals.map(({ group }) => group))).toEqual(new Set(["animals-nature"]));
    const more = await openmoji({ size: 12, cache, extras: true });
    expect(more.length).toBeGreaterThan(all.length + 300);
  });

  it("draws a damaged cache anew", async () => {
    const file = join(cache, readdirSync(cache)[0]!);
    const whole = readFileSync(file);
    writeFileSync(file, whole.subarray(0, 1000));
    const controller = new AbortController();
    // The first drawing proves that the cache was refused; the rest is not needed.
    const onProgress = (): void => controller.abort();
    expect((await caught(() => openmoji({ size: 12, cache, onProgress, signal: controller.signal }))).name).toBe(
      "AbortError",
    );
    writeFileSync(file, whole);
    expect((await openmoji({ size: 12, cache })).length).toBe(all.length);
  });

  it("refuses impossible options", async () => {
    expect((await caught(() => openmoji({ size: 4, cache }))).code).toBe("OPENMOJI_OPTION");
    expect((await caught(() => openmoji({ style: "blue" as "black", cache }))).code).toBe("OPENMOJI_OPTION");
  });
});

describe("baseOf", () => {
  const cases: [string, string][] = [
    ["1F600", "1F600"],
    ["1F44B-1F3FD", "1F44B"],
    ["1F468-200D-1F4BB", "1F9D1-1F4BB"],
    ["1F469-1F3FB-200D-1F4BB", "1F9D1-1F4BB"],
    ["1F3C3-200D-2640-FE0F-200D-27A1-FE0F", "1F3C3"],
    ["1F468-200D-1F9B0", "1F9D1"],
    ["1F468-200D-1F469-200D-1F466", "1F46A"],
    ["1F46C", "1F9D1-1F91D-1F9D1"],
    ["2640", "2640"],
    ["27A1", "27A1"],
    ["1F1E9-1F1EA", "1F1E9-1F1EA"],
    ["2764", "2764"],
  ];
  for (const [id, base] of cases) it(`${id} is a variant of ${base}`, () => expect(baseOf(id)).toBe(base));

  it("keeps men, women and people of one activity on one side of a split", () => {
    const walkers = all.filter(({ annotation }) => /^(person|man|woman) walking/.test(annotation));
    expect(walkers.length).toBeGreaterThanOrEqual(6);
    expect(new Set(walkers.map(({ base }) => base)).size).toBe(1);
  });
});
