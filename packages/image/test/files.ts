import { readFileSync } from "node:fs";
import { deflateSync } from "node:zlib";
import { crc32 } from "../src/crc32.ts";

const { rows } = JSON.parse(readFileSync(new URL("./fixtures/files.json", import.meta.url), "utf8")) as {
  rows: { name: string; file: string }[];
};

/** The bytes of a fixture file. */
export function fixture(name: string): Uint8Array {
  return new Uint8Array(Buffer.from(rows.find((row) => row.name === name)!.file, "base64"));
}

export const fixtureNames: readonly string[] = rows.map((row) => row.name);

export function chunk(type: string, body: Uint8Array): Buffer {
  const head = Buffer.alloc(8);
  head.writeUInt32BE(body.length);
  head.write(type, 4, "latin1");
  const tail = Buffer.alloc(4);
  tail.writeUInt32BE(crc32(Buffer.concat([head.subarray(4), body])));
  return Buffer.concat([head, body, tail]);
}

/** A PNG of any declared size, with whatever rows and extra chunks. */
export function png(
  width: number,
  height: number,
  { bits = 8, color = 2, rows = new Uint8Array(0), extra = [] as Buffer[] } = {},
): Uint8Array {
  const header = Buffer.alloc(13);
  header.writeUInt32BE(width);
  header.writeUInt32BE(height, 4);
  header.set([bits, color], 8);
  const signature = Buffer.from([0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a]);
  const parts = [
    signature,
    chunk("IHDR", header),
    ...extra,
    chunk("IDAT", deflateSync(rows)),
    chunk("IEND", new Uint8Array(0)),
  ];
  return new Uint8Array(Buffer.concat(parts));
}

/** What a rejected promise or throwing function is rejected with. */
export async function caught(
  action: () => unknown,
): Promise<{ name: string; code: string; message: string; details: Record<string, unknown> }> {
  try {
    await action();
  } catch (error) {
    return error as Awaited<ReturnType<typeof caught>>;
  }
  throw new Error("nothing was thrown");
}
