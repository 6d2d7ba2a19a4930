/** A picture of a megapixel with the statistics of a photograph: noise of five sizes, each with less contrast. */
import sharp from "sharp";

const [WIDTH, HEIGHT] = [1152, 864];
const OCTAVES = [
  [4, 90],
  [16, 50],
  [64, 25],
  [288, 10],
  [1152, 4],
] as const;

export type File = { name: string; bytes: Uint8Array<ArrayBuffer> };

export async function photographs(): Promise<File[]> {
  let state = 7;
  const random = (): number => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return state >>> 24;
  };
  const sums = new Float32Array(WIDTH * HEIGHT * 3).fill(128);
  for (const [cells, contrast] of OCTAVES) {
    const height = Math.ceil((cells * HEIGHT) / WIDTH);
    const coarse = Uint8Array.from({ length: cells * height * 3 }, random);
    const layer = await sharp(coarse, { raw: { width: cells, height, channels: 3 } })
      .resize(WIDTH, HEIGHT, { fit: "fill", kernel: "cubic" })
      .raw()
      .toBuffer();
    for (let i = 0; i < sums.length; i++) sums[i]! += ((layer[i]! - 128) / 128) * contrast;
  }
  const picture = () => sharp(Uint8ClampedArray.from(sums), { raw: { width: WIDTH, height: HEIGHT, channels: 3 } });
  const files = {
    JPEG: picture().jpeg({ quality: 90 }),
    WebP: picture().webp({ quality: 85 }),
    "PNG, filtered rows": picture().png({ adaptiveFiltering: true }),
    "PNG, plain rows": picture().png(),
    "PNG with alpha": picture().ensureAlpha().png({ adaptiveFiltering: true }),
  };
  return Promise.all(
    Object.entries(files).map(async ([name, file]) => ({ name, bytes: Uint8Array.from(await file.toBuffer()) })),
  );
}
