/** The orientation tag of EXIF data: its value 1 to 8, and where in the file it lies. */
export type Orientation = { value: number; at: number; littleEndian: boolean };

const ORIENTATION_TAG = 0x0112;

/**
 * Finds the orientation in a TIFF structure that starts at `from`. Only the first directory is read, entry by entry
 * within its declared count, so a cyclic or absurd structure ends at once.
 * @returns undefined when there is none, "corrupt" when the structure makes no sense
 */
export function exifOrientation(bytes: Uint8Array, from: number, to: number): Orientation | "corrupt" | undefined {
  const end = Math.min(to, bytes.length);
  if (end - from < 14) return "corrupt";
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  const order = view.getUint16(from);
  if (order !== 0x4949 && order !== 0x4d4d) return "corrupt";
  const littleEndian = order === 0x4949;
  if (view.getUint16(from + 2, littleEndian) !== 42) return "corrupt";
  const directory = from + view.getUint32(from + 4, littleEndian);
  if (directory + 2 > end) return "corrupt";
  const count = view.getUint16(directory, littleEndian);
  for (let i = 0; i < count; i++) {
    const entry = directory + 2 + i * 12;
    if (entry + 12 > end) return "corrupt";
    if (view.getUint16(entry, littleEndian) !== ORIENTATION_TAG) continue;
    const at = entry + 8;
    const value = view.getUint16(at, littleEndian);
    const isShort = view.getUint16(entry + 2, littleEndian) === 3;
    return isShort && value >= 1 && value <= 8 ? { value, at, littleEndian } : "corrupt";
  }
  return undefined;
}
