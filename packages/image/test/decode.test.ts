import { readFileSync } from "node:fs";
import { describe, expect, it } from "vitest";
import { readImage } from "../src/read-image.ts";
import { sha256 } from "./source.ts";

type Row = {
  name: string;
  file: string;
  width: number;
  height: number;
  sha256: string;
  upright?: string;
  size?: [number, number];
  frames?: number;
  /** Pillow's pixels, where the two decoders may differ by a level. */
  pixels?: string;
};

const { rows } = JSON.parse(readFileSync(new URL("./fixtures/files.json", import.meta.url), "utf8")) as { rows: Row[] };
const bytesOf = (row: Row): Uint8Array => new Uint8Array(Buffer.from(row.file, "base64"));

describe("readImage decodes what Pillow decodes", () => {
  for (const row of rows) {
    it(row.name, async () => {
      const image = await readImage(bytesOf(row), { parity: "pillow" });
      expect([image.width, image.height, image.channels]).toEqual([row.width, row.height, 3]);
      if (row.pixels === undefined) expect(sha256(image.data)).toBe(row.sha256);
      else {
        const want = Buffer.from(row.pixels, "base64");
        for (let i = 0; i < want.length; i++) expect(Math.abs(image.data[i]! - want[i]!)).toBeLessThanOrEqual(1);
      }
      expect(image.frames).toBe(row.frames);
    });
  }
});

describe("EXIF orientation is applied by default", () => {
  for (const row of rows.filter((r) => r.upright)) {
    it(row.name, async () => {
      const image = await readImage(bytesOf(row));
      expect([image.width, image.height]).toEqual(row.size);
      expect(sha256(image.data)).toBe(row.upright);
    });
  }
});
