import { isVlmError } from "@vlm/core";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { bytesSource } from "../src/bytes/byte-source.ts";
import { Sha256 } from "../src/bytes/sha256.ts";
import { parseJson } from "../src/json/read-json.ts";
import { concatBlocks, permuteBlock, sliceBlock } from "../src/keymap/block.ts";
import { compilePattern } from "../src/keymap/pattern.ts";
import { parseIndex } from "../src/safetensors/index-file.ts";
import { checkPath } from "../src/safetensors/safe-path.ts";
import { SafetensorsFile } from "../src/safetensors/safetensors-file.ts";
import { safetensorsBytes } from "../src/safetensors/write-safetensors.ts";
import { sha256 } from "./support/bad-server.ts";
import { file } from "./support/vectors.ts";

/** True when `run` succeeds or throws an error of ours. */
async function decent(run: () => unknown): Promise<boolean> {
  try {
    await run();
    return true;
  } catch (error) {
    if (isVlmError(error)) return true;
    throw error;
  }
}

const dtype = fc.constantFrom("F32", "F16", "BF16", "I8", "U8", "BOOL", "F4", "I64", "F31", "");
const number = fc.oneof(fc.nat(20), fc.constantFrom(-1, 1.5, 2 ** 53, 1e300), fc.integer());
const field = fc.oneof(
  fc.record(
    { dtype, shape: fc.array(number, { maxLength: 4 }), data_offsets: fc.array(number, { maxLength: 3 }) },
    { requiredKeys: [] },
  ),
  fc.jsonValue(),
);
const header = fc.dictionary(fc.oneof(fc.string(), fc.constantFrom("__metadata__", "__proto__")), field);

describe("parsers", () => {
  it("give an error of ours, or a result, for any header", () =>
    fc.assert(
      fc.asyncProperty(header, fc.nat(64), (value, size) =>
        decent(() => SafetensorsFile.open(bytesSource(file(value, size)))),
      ),
      { numRuns: 2000 },
    ));

  it("give an error of ours, or a sound result, for a good file with some bytes changed", async () => {
    const good = await safetensorsBytes(
      [
        ["a", { shape: [3, 2], dtype: "f32", data: () => new Float32Array(6) }],
        ["b.c", { shape: [4], dtype: "u8", data: () => new Uint8Array(4) }],
      ],
      { format: "pt" },
    );
    const change = fc.array(
      fc.tuple(
        fc.nat(good.length - 1),
        fc.oneof(fc.nat(255), fc.constantFrom(...'{}[]":,0123456789-.eE\\'.split("").map((c) => c.charCodeAt(0)))),
      ),
      { minLength: 1, maxLength: 4 },
    );
    await fc.assert(
      fc.asyncProperty(change, fc.nat(good.length), fc.boolean(), async (changes, cut, whole) => {
        const bytes = good.slice(0, whole ? good.length : cut);
        for (const [at, byte] of changes) if (at < bytes.length) bytes[at] = byte;
        return decent(async () => {
          const opened = await SafetensorsFile.open(bytesSource(bytes));
          // What was accepted covers the file exactly.
          const total = [...opened.tensors.values()].reduce((sum, { begin, end }) => sum + end - begin, 0);
          expect(total).toBeLessThanOrEqual(bytes.length - 8);
          await opened.read([...opened.tensors.keys()]);
        });
      }),
      { numRuns: 3000 },
    );
  });

  it("give an error of ours, or a result, for any bytes", () =>
    fc.assert(
      fc.asyncProperty(fc.uint8Array({ maxLength: 200 }), async (bytes) => {
        await decent(() => SafetensorsFile.open(bytesSource(bytes)));
        await decent(() => parseIndex(bytes, "index"));
        await decent(() => SafetensorsFile.open(bytesSource(file(bytes))));
        return decent(() => parseJson(bytes));
      }),
      { numRuns: 3000 },
    ));

  it("read JSON as JSON.parse does, where both accept it, and refuse what it refuses", () =>
    fc.assert(
      fc.asyncProperty(
        fc.oneof(
          fc.json(),
          fc
            .tuple(fc.json(), fc.nat(), fc.constantFrom("", ",", "}", "]", "0", "-", "\\", '"', "x", "\u0001"))
            .map(([text, at, c]) => {
              const cut = at % (text.length + 1);
              return text.slice(0, cut) + c + text.slice(cut + 1);
            }),
        ),
        async (text) => {
          let expected: unknown;
          let refused = false;
          try {
            expected = JSON.parse(text);
          } catch {
            refused = true;
          }
          try {
            const got = parseJson(text);
            expect(refused).toBe(false);
            expect(got).toEqual(expected);
          } catch (error) {
            if (!isVlmError(error)) throw error;
            // Stricter in these alone.
            if (!refused) expect(error.message).toMatch(/duplicate key|lone surrogate|nested deeper/);
          }
        },
      ),
      { numRuns: 3000 },
    ));

  it("let no path leave its folder", () =>
    fc.assert(
      fc.property(
        fc.oneof(
          fc.string(),
          fc.webPath(),
          fc
            .array(fc.constantFrom("..", ".", "a", "/", "\\", "%2e", "C:", "~", "\0", "//"))
            .map((parts) => parts.join("")),
        ),
        (text) => {
          try {
            checkPath(text, "test");
          } catch (error) {
            return isVlmError(error);
          }
          const url = new URL(text.split("/").map(encodeURIComponent).join("/"), "https://host.example/folder/");
          return (
            url.href.startsWith("https://host.example/folder/") &&
            url.href.length > "https://host.example/folder/".length
          );
        },
      ),
      { numRuns: 3000 },
    ));
});

describe("round trips", () => {
  it("of safetensors", () =>
    fc.assert(
      fc.asyncProperty(
        fc.uniqueArray(
          fc.tuple(
            fc.string({ unit: "grapheme" }).filter((name) => name !== "__metadata__"),
            fc.array(fc.nat(4), { maxLength: 4 }),
          ),
          { selector: ([name]) => name },
        ),
        async (list) => {
          const tensors = list.map(([name, shape], i) => {
            const size = shape.reduce((product, n) => product * n, 1);
            const data =
              i % 2
                ? Float32Array.from({ length: size }, (_, k) => k + i)
                : Uint8Array.from({ length: size }, (_, k) => k + i);
            return [name, { shape, dtype: i % 2 ? ("f32" as const) : ("u8" as const), data: () => data }] as const;
          });
          const bytes = await safetensorsBytes(tensors);
          const opened = await SafetensorsFile.open(bytesSource(bytes));
          expect(opened.tensors.size).toBe(list.length);
          for (const [name, { shape, data }] of tensors) {
            const found = opened.tensors.get(name)!;
            expect(found.shape).toEqual(shape);
            expect(found.begin % (data() instanceof Float32Array ? 4 : 1)).toBe(0);
            const [got] = await opened.read([name]);
            expect(got).toEqual(new Uint8Array(data().buffer));
          }
        },
      ),
      { numRuns: 300 },
    ));

  it("of permutations, parts and joins", () =>
    fc.assert(
      fc.property(fc.array(fc.integer({ min: 1, max: 4 }), { minLength: 1, maxLength: 5 }), fc.nat(), (shape, seed) => {
        const data = Float32Array.from({ length: shape.reduce((p, n) => p * n, 1) }, (_, i) => i);
        const order = shape.map((_, i) => i).sort((a, b) => ((a * 7 + seed) % 5) - ((b * 7 + seed) % 5) || a - b);
        const inverse = order.map((_, axis) => order.indexOf(axis));
        expect(permuteBlock(permuteBlock({ shape, data }, order), inverse)).toEqual({ shape, data });
        const axis = seed % shape.length;
        const middle = seed % (shape[axis]! + 1);
        const halves = [
          sliceBlock({ shape, data }, axis, 0, middle),
          sliceBlock({ shape, data }, axis, middle, shape[axis]!),
        ];
        expect(concatBlocks(halves, axis)).toEqual({ shape, data });
      }),
    ));

  it("of patterns", () =>
    fc.assert(
      fc.property(fc.nat(1000), fc.stringMatching(/^[a-z_]{1,8}$/), (i, leaf) => {
        const pattern = compilePattern("a.{i}.b{j+2}.*.**");
        const key = `a.${i}.b${i + 2}.${leaf}.x.${leaf}`;
        expect(pattern.fill(pattern.match(key)!)).toBe(key);
      }),
    ));
});

describe("SHA-256 in plain JavaScript", () => {
  it("agrees with the machine's own, whatever the pieces", () =>
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 400 }), fc.nat(100), (bytes, cut) => {
        const hash = new Sha256();
        for (let at = 0; at < bytes.length; at += cut + 1) hash.update(bytes.subarray(at, at + cut + 1));
        return hash.hex() === sha256(bytes);
      }),
      { numRuns: 500 },
    ));
});
