import { expect, test } from "vitest";
import { unfilterRows } from "../src/decode/png-filter.ts";
import { unfilterFast } from "../src/decode/png-filter-wasm.ts";

let state = 1;
const random = (): number => {
  state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
  return state >>> 24;
};

test.each([1, 2, 3, 4, 6, 8])(
  "rows of %s-byte pixels come out alike in WebAssembly and in JavaScript",
  (pixelBytes) => {
    for (const pixels of [1, 2, 5, 16, 33, 700]) {
      const line = pixels * pixelBytes;
      // More rows than one band holds, for the widest.
      const height = pixels === 700 ? 200 : 25;
      const offset = 3;
      const raw = Uint8Array.from({ length: offset + height * (line + 1) }, random);
      for (let y = 0; y < height; y++) raw[offset + y * (line + 1)] = random() % 5;
      const [fast, slow] = [new Uint8Array(height * line), new Uint8Array(height * line)];
      expect(unfilterFast(raw, offset, height, line, pixelBytes, fast)).toBe(true);
      unfilterRows(raw, offset, height, line, pixelBytes, slow);
      expect(Buffer.compare(fast, slow)).toBe(0);
    }
  },
);
