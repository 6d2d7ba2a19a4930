import { open, readFile, rename } from "node:fs/promises";
import { type DType, tensor } from "@vlm/core";
import type { CheckpointStore, RunState } from "@vlm/nn";

type Stored = { step: number; json: unknown; tensors: Record<string, { dtype: DType; shape: number[]; data: string }> };

/** One checkpoint in one file, replaced whole. `slow` writes it byte range by byte range, to be killed in between. */
export function fileStore(path: string, { slow = false } = {}): CheckpointStore & { read(): Promise<Stored | null> } {
  const read = async (): Promise<Stored | null> => {
    const text = await readFile(path, "utf8").catch(() => null);
    return text === null ? null : (JSON.parse(text) as Stored);
  };
  return {
    read,
    async latest() {
      const stored = await read();
      if (!stored) return undefined;
      const tensors = new Map(
        Object.entries(stored.tensors).map(([name, { dtype, shape, data }]) => {
          const bytes = Uint8Array.from(Buffer.from(data, "base64"));
          const values = dtype === "f32" ? new Float32Array(bytes.buffer) : new Uint32Array(bytes.buffer);
          return [name, tensor(dtype === "i32" ? Int32Array.from(values) : values, { shape, dtype })] as const;
        }),
      );
      return { step: stored.step, json: stored.json, tensors };
    },
    async save(step: number, { tensors, json }: RunState) {
      const stored: Stored = { step, json, tensors: {} };
      for (const [name, x] of tensors) {
        const data = await x.data();
        const bytes = Buffer.from(data.buffer, data.byteOffset, data.byteLength);
        stored.tensors[name] = { dtype: x.dtype, shape: [...x.shape], data: bytes.toString("base64") };
      }
      const text = Buffer.from(JSON.stringify(stored));
      const file = await open(`${path}.tmp`, "w");
      const size = slow ? 200 : text.length;
      for (let at = 0; at < text.length; at += size) {
        await file.write(text.subarray(at, at + size));
        if (slow) await new Promise((done) => setTimeout(done, 1));
      }
      await file.sync();
      await file.close();
      await rename(`${path}.tmp`, path);
    },
  };
}
