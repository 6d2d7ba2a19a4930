import { execFile } from "node:child_process";
import { mkdir, symlink, writeFile } from "node:fs/promises";
import path from "node:path";
import { promisify } from "node:util";
import { useDevice } from "@vlm/core";
import { beforeAll, describe, expect, it } from "vitest";
import { identityMap } from "../src/keymap/key-map.ts";
import { load } from "../src/keymap/load.ts";
import { parseIndex } from "../src/safetensors/index-file.ts";
import { openWeights } from "../src/safetensors/open-weights.ts";
import { safetensorsBytes } from "../src/safetensors/write-safetensors.ts";
import { openSource } from "../src/source/open-source.ts";
import { sendFile, serve } from "./support/bad-server.ts";
import { bundled } from "./support/bundle.ts";
import { failure } from "./support/errors.ts";
import { counting, f32, TestModel } from "./support/model.ts";
import { temporaryFolder } from "./support/temporary.ts";

beforeAll(() => useDevice("js"));

const index = (map: unknown) =>
  new TextEncoder().encode(typeof map === "string" ? map : JSON.stringify({ weight_map: map }));
const parse = (map: unknown) => parseIndex(index(map), "model.safetensors.index.json");

/** A folder with shards a and b, and an index. */
async function sharded(map: unknown, shards: Record<string, string[]>): Promise<string> {
  const folder = await temporaryFolder();
  await writeFile(path.join(folder, "model.safetensors.index.json"), index(map));
  for (const [name, keys] of Object.entries(shards)) {
    await writeFile(
      path.join(folder, name),
      await safetensorsBytes(keys.map((key, i) => [key, f32([2], 10 * i)] as const)),
    );
  }
  return folder;
}

describe("paths in an index", () => {
  it.each([
    "../outside.safetensors",
    "a/../../x.safetensors",
    "/etc/passwd",
    "C:\\x.safetensors",
    "c:x.safetensors",
    "\\\\host\\x",
    "file:///etc/passwd",
    "https://evil.example/x.safetensors",
    "//evil.example/x",
    "a\\..\\b.safetensors",
    "%2e%2e/x.safetensors",
    "a\0b",
    "con",
    "CON.safetensors",
    "sub/nul.txt",
    "",
    ".",
    "a//b",
    "./a",
    "~/x",
    "x?y",
    "x#y",
    "a\nb",
    "trailing. /x",
    "x".repeat(2000),
  ])("X1, X2: cannot lead out of the folder: %j", async (shard) => {
    const error = await failure(
      () => parse({ "a.weight": shard }),
      "UnsafePathError",
      "UNSAFE_PATH",
      '"a.weight" is said to be in',
    );
    expect(error.details).toEqual({ path: shard, key: "a.weight" });
  });

  it("may lead into a folder beside it", () => {
    expect(parse({ a: "shards/model-00001-of-00002.safetensors" }).shards).toEqual([
      "shards/model-00001-of-00002.safetensors",
    ]);
  });

  it("X1: are checked before a shard is looked for", async () => {
    const folder = await sharded({ a: "../outside.safetensors" }, {});
    await writeFile(path.join(folder, "..", "outside.safetensors"), await safetensorsBytes([["a", f32([1])]]));
    await failure(() => openWeights(folder), "UnsafePathError", "UNSAFE_PATH", "../outside.safetensors");
  });

  it("X3: cannot follow links out of the folder, save those of the Hub's cache into its blobs", async () => {
    const root = await temporaryFolder();
    const snapshot = path.join(root, "models--a--b", "snapshots", "c0ffee");
    const blobs = path.join(root, "models--a--b", "blobs");
    await mkdir(snapshot, { recursive: true });
    await mkdir(blobs);
    await writeFile(path.join(root, "secret"), "secret");
    await writeFile(path.join(blobs, "b10b"), "{}");
    await symlink("../../blobs/b10b", path.join(snapshot, "config.json"));
    await symlink("../../../secret", path.join(snapshot, "stolen.json"));
    const source = await openSource(snapshot);
    const config = await source.open("config.json");
    expect(config.size).toBe(2);
    await config.close?.();
    await failure(() => source.open("stolen.json"), "UnsafePathError", "UNSAFE_LINK", "leads out of its folder");
    await failure(() => source.open("../c0ffee/config.json"), "UnsafePathError", "UNSAFE_PATH");
  });
});

describe("an index", () => {
  it("X4: may name half a million tensors, in bounded memory", { timeout: 60_000 }, async () => {
    const bundle = await bundled("./read-index.ts");
    // The text alone is 57 MB. Reading it takes less than 100 in all; JSON.parse does not do with 120.
    const { stdout } = await promisify(execFile)(process.execPath, ["--max-old-space-size=120", bundle]);
    expect(JSON.parse(stdout)).toEqual({ tensors: 497_000, shards: 163, last: "model-00.safetensors" });
  });

  it("X5: names at most 10,000 files", async () => {
    const map = Object.fromEntries(Array.from({ length: 10_001 }, (_, i) => [`k${i}`, `s${i}.safetensors`]));
    await failure(() => parse(map), "ResourceLimitError", "IX_SHARDS", "more than 10000 files");
  });

  it.each([
    ["[]", "IX_TYPE", "the index is not an object"],
    ['{"weight_map":["a"]}', "IX_TYPE", '"weight_map" is not an object'],
    ["{}", "IX_TYPE", '"weight_map" is missing'],
    ['{"weight_map":{"a":1}}', "IX_TYPE", 'the file of "a" is not a string'],
    ['{"weight_map":{"a":"x","a":"y"}}', "IX_DUPLICATE", '"a" occurs twice'],
    ['{"weight_map":{},"weight_map":{}}', "IX_DUPLICATE", "occurs twice"],
    ['{"weight_map":{', "IX_JSON", "end of the text"],
    ["<html>", "IX_JSON", "at character 0"],
  ])("X6: is an object with a map of strings, not %s", async (text, code, message) => {
    await failure(() => parse(text), "WeightFormatError", code, message);
  });

  it("X7: whose shard is missing says what it should hold", async () => {
    const keys = Array.from({ length: 7 }, (_, i) => `layer.${i}.weight`);
    const folder = await sharded(Object.fromEntries(keys.map((key) => [key, "b.safetensors"])), {});
    const error = await failure(
      () => openWeights(folder),
      "StorageError",
      "ENOENT",
      "shard b.safetensors is missing; it should hold 7 tensors",
    );
    expect(error.details).toEqual({ shard: "b.safetensors", tensors: keys.slice(0, 5), count: 7 });
  });

  it("X7: whose shard the server does not have says so too, before any weight is read", async () => {
    const weights = await safetensorsBytes([["x", f32([2])]]);
    const text = JSON.stringify({ weight_map: { x: "a.safetensors", y: "b.safetensors", z: "b.safetensors" } });
    const server = await serve((request, response) => {
      if (request.url!.endsWith("index.json")) return sendFile(request, response, new TextEncoder().encode(text));
      if (request.url!.endsWith("a.safetensors")) return sendFile(request, response, weights);
      response.writeHead(404).end();
    });
    const model = new TestModel({ x: counting([2], 7), y: counting([2], 7), z: counting([2], 7) });
    const before = await model.values();
    const error = await failure(
      () => load(model, `${server.url}/m/model.safetensors.index.json`, identityMap, { cache: false, retryDelay: 1 }),
      "NetworkError",
      "HTTP_404",
      'shard b.safetensors is missing; it should hold 2 tensors: "y", "z"',
    );
    expect(error.details).toEqual({ shard: "b.safetensors", tensors: ["y", "z"], count: 2 });
    expect(await model.values()).toEqual(before);
  });

  it("X8: puts each tensor in its shard", async () => {
    const folder = await sharded(
      { x: "a.safetensors", y: "a.safetensors", z: "b.safetensors" },
      { "a.safetensors": ["x"], "b.safetensors": ["y", "z"] },
    );
    await failure(
      () => openWeights(folder),
      "WeightMismatchError",
      "IX_WRONG_SHARD",
      '"y" is listed in a.safetensors but lies in b.safetensors',
    );
  });

  it("X9: names what the shards hold", async () => {
    const folder = await sharded({ x: "a.safetensors", gone: "a.safetensors" }, { "a.safetensors": ["x"] });
    await failure(
      () => openWeights(folder),
      "WeightMismatchError",
      "IX_MISSING",
      '"gone" is listed in a.safetensors but lies in no shard',
    );
    const more = await sharded({ x: "a.safetensors" }, { "a.safetensors": ["x", "extra"] });
    const warnings: string[] = [];
    const store = await openWeights(more, { onWarning: (message) => warnings.push(message) });
    expect([...store.tensors.keys()]).toEqual(["x"]);
    expect(warnings.join()).toContain('1 tensors lie in a shard but are not listed: "extra"');
    await store.close();
  });

  it("X10: lets no tensor lie in two shards", async () => {
    const folder = await sharded(
      { x: "a.safetensors", y: "b.safetensors" },
      { "a.safetensors": ["x"], "b.safetensors": ["x", "y"] },
    );
    await failure(() => openWeights(folder), "WeightMismatchError", "IX_DUPLICATE", '"x" lies in both');
  });

  it("is read across shards", async () => {
    const folder = await sharded(
      { x: "a.safetensors", y: "b.safetensors", z: "a.safetensors" },
      { "a.safetensors": ["x", "z"], "b.safetensors": ["y"] },
    );
    const store = await openWeights(folder);
    const [z, y] = await store.read(["z", "y"]);
    expect([...new Float32Array(z!.buffer), ...new Float32Array(y!.buffer)]).toEqual([10, 11, 0, 1]);
    await store.close();
  });
});

describe("a folder without safetensors", () => {
  it.each(["pytorch_model.bin", "model.pt", "model.ckpt", "model.pth"])(
    "X16: refuses %s with the recipe to convert it",
    async (name) => {
      const folder = await temporaryFolder();
      await writeFile(path.join(folder, name), "PK\x03\x04....");
      for (const source of [folder, path.join(folder, name)]) {
        const error = await failure(
          () => openWeights(source),
          "WeightFormatError",
          "ST_PICKLE",
          "pickle is not supported",
        );
        expect(error.hint).toContain(`torch.load("${name}"`);
      }
    },
  );

  it("says what was expected", async () => {
    const folder = await temporaryFolder();
    await failure(() => openWeights(folder), "WeightFormatError", "NO_WEIGHTS", "there are no safetensors weights");
    await writeFile(path.join(folder, "a.safetensors"), "");
    await writeFile(path.join(folder, "b.safetensors"), "");
    await failure(() => openWeights(folder), "WeightFormatError", "AMBIGUOUS_WEIGHTS", "a.safetensors, b.safetensors");
  });
});
