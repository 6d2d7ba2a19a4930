import { readFile } from "node:fs/promises";
import path from "node:path";
import { fileURLToPath } from "node:url";
import { isVlmError, useDevice } from "@vlm/core";
import { beforeAll, describe, expect, it } from "vitest";
import { bytesSource } from "../src/bytes/byte-source.ts";
import { load } from "../src/keymap/load.ts";
import { readTensors } from "../src/keymap/read-tensors.ts";
import { save } from "../src/keymap/save.ts";
import { openWeights } from "../src/safetensors/open-weights.ts";
import { SafetensorsFile } from "../src/safetensors/safetensors-file.ts";
import { clipMap, clipModel } from "./support/clip-map.ts";
import { temporaryFolder } from "./support/temporary.ts";

// Written by tools/reference/weights.py.
const fixtures = fileURLToPath(new URL("./fixtures/", import.meta.url));
const json = async (name: string) => JSON.parse(await readFile(path.join(fixtures, name), "utf8"));

beforeAll(() => useDevice("js"));

/** Where we refuse what the reference accepts. There is nothing the other way round. */
const STRICTER: Record<string, string> = {
  "duplicate name": "ST_DUPLICATE_NAME",
  "duplicate name escaped": "ST_DUPLICATE_NAME",
  "zero first hides overflow": "ST_SHAPE_OVERFLOW",
  "duplicate metadata key": "ST_DUPLICATE_FIELD",
  // The reference's JSON library also reads a list as the fields in their order.
  "entry list": "ST_FIELD_TYPE",
  "rank 65": "ST_RANK",
};

describe("against safetensors for Python", () => {
  it("files are accepted and refused alike, but for a reviewed list", async () => {
    const { vectors } = (await json("vectors.json")) as { vectors: Record<string, [string, boolean]> };
    const differences: Record<string, string> = {};
    for (const [name, [base64, accepted]] of Object.entries(vectors)) {
      const verdict = await SafetensorsFile.open(bytesSource(Buffer.from(base64, "base64"))).then(
        () => "accepted",
        (error) => (isVlmError(error) ? error.code : String(error)),
      );
      if ((verdict === "accepted") !== accepted) differences[name] = verdict;
    }
    expect(Object.keys(vectors).length).toBeGreaterThan(450);
    expect(differences).toEqual(STRICTER);
  });

  it("values of every dtype are those that torch wrote", async () => {
    const expected = (await json("dtypes.json")) as Record<string, { shape: number[]; values: string[] }>;
    const store = await openWeights(path.join(fixtures, "dtypes.safetensors"));
    expect(Object.fromEntries(store.metadata)).toEqual({ format: "pt", note: "ünïcode" });
    const tensors = await readTensors(store);
    await store.close();
    expect([...tensors.keys()].sort()).toEqual(Object.keys(expected).sort());
    for (const [name, { shape, values }] of Object.entries(expected)) {
      const tensor = tensors.get(name)!;
      const numbers = values.map(
        (text) =>
          ({ inf: Number.POSITIVE_INFINITY, "-inf": Number.NEGATIVE_INFINITY, True: 1, False: 0 })[text] ??
          Number(text),
      );
      expect([name, tensor.shape, [...(await tensor.data())]]).toEqual([name, shape, numbers]);
    }
  });

  it.each([5e9, 3000])(
    "a transformers model, loaded and saved in files of at most %i bytes, has the same bytes",
    async (shardSize) => {
      const original = await openWeights(path.join(fixtures, "clip"));
      const model = clipModel(original);
      const report = await load(model, original, clipMap);
      expect(report).toMatchObject({ parameters: model.parameters.size, ignored: [] });
      const folder = await temporaryFolder();
      const { files } = await save(model, folder, clipMap, { shardSize });
      expect(files.length > 1).toBe(shardSize === 3000);
      const saved = await openWeights(folder);
      const names = [...original.tensors.keys()];
      expect([...saved.tensors.keys()].sort()).toEqual([...names].sort());
      expect(saved.metadata).toEqual(original.metadata);
      const [before, after] = [await original.read(names), await saved.read(names)];
      for (const [i, name] of names.entries()) {
        expect([name, saved.tensors.get(name)!.shape]).toEqual([name, original.tensors.get(name)!.shape]);
        expect(Buffer.compare(before[i]!, after[i]!)).toBe(0);
      }
      await original.close();
      await saved.close();
    },
  );
});
