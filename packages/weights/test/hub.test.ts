import { lstat, mkdir, readdir, readFile, readlink, symlink, writeFile } from "node:fs/promises";
import path from "node:path";
import { useDevice } from "@vlm/core";
import { afterEach, beforeAll, describe, expect, it, vi } from "vitest";
import { readJson } from "../src/json/read-json.ts";
import { readTensors } from "../src/keymap/read-tensors.ts";
import { openWeights } from "../src/safetensors/open-weights.ts";
import { safetensorsBytes } from "../src/safetensors/write-safetensors.ts";
import { parseHubId } from "../src/source/hub-id.ts";
import { openSource } from "../src/source/open-source.ts";
import type { SourceOptions } from "../src/source/source-options.ts";
import { memoryStore } from "../src/store/memory-store.ts";
import { gitId, type Server, sendFile, serve, sha256 } from "./support/bad-server.ts";
import { failure } from "./support/errors.ts";
import { f32 } from "./support/model.ts";
import { temporaryFolder } from "./support/temporary.ts";

beforeAll(() => useDevice("js"));
afterEach(() => vi.unstubAllEnvs());

const COMMIT = "0123456789abcdef0123456789abcdef01234567";
const FAST: SourceOptions = { retryDelay: 1, stallTimeout: 500, onWarning: () => {}, token: false };
const config = new TextEncoder().encode('{"hidden_size": 8}');

type Hub = Server & {
  weights: Uint8Array<ArrayBuffer>;
  cdn: Server;
  broken: ((bytes: Uint8Array) => Uint8Array) | undefined;
};

/** The part of the Hub that is used: listing, files, and weights behind a redirect to another host. */
async function hub(): Promise<Hub> {
  const weights = (await safetensorsBytes([["a", f32([500], 1)]])) as Uint8Array<ArrayBuffer>;
  const cdn = await serve((request, response) => {
    const bytes = self.broken ? self.broken(weights) : weights;
    sendFile(request, response, bytes, { etag: '"cdn"' });
  });
  const server = await serve((request, response) => {
    const url = request.url!;
    if (url.startsWith("/api/models/owner/name/revision/")) {
      const siblings = [
        { rfilename: "config.json", size: config.length, blobId: gitId(config) },
        {
          rfilename: "model.safetensors",
          size: weights.length,
          blobId: "f".repeat(40),
          lfs: { sha256: sha256(weights), size: weights.length },
        },
        { rfilename: "../evil", size: 3, blobId: "../../../evil" },
      ];
      response.writeHead(200, { "content-type": "application/json" }).end(JSON.stringify({ sha: COMMIT, siblings }));
    } else if (url === `/owner/name/resolve/${COMMIT}/config.json`) sendFile(request, response, config);
    else if (url === `/owner/name/resolve/${COMMIT}/model.safetensors`) {
      response.writeHead(302, { location: `${cdn.url}/blob`, "x-linked-etag": `"${sha256(weights)}"` }).end();
    } else response.writeHead(404).end();
  });
  const self: Hub = Object.assign(server, { weights, cdn, broken: undefined });
  return self;
}

const first = async (source: SourceOptions & { endpoint: string }, id = "owner/name") =>
  [...(await (await readTensors(id, source)).get("a")!.data())].slice(0, 2);

describe("a model on the Hub", () => {
  it("is kept where huggingface_hub keeps it", async () => {
    const cache = await temporaryFolder();
    const server = await hub();
    const progress: string[] = [];
    const onProgress: SourceOptions["onProgress"] = ({ file, loaded, total }) =>
      void progress.push(`${file} ${loaded}/${total}`);
    const options = { ...FAST, cache, endpoint: server.url, onProgress };
    expect(await first(options)).toEqual([1, 2]);
    expect(await readJson(await openSource("owner/name", options), "config.json")).toEqual({ hidden_size: 8 });
    const base = path.join(cache, "models--owner--name");
    expect(await readFile(path.join(base, "refs/main"), "utf8")).toBe(COMMIT);
    const link = path.join(base, "snapshots", COMMIT, "model.safetensors");
    expect((await lstat(link)).isSymbolicLink()).toBe(true);
    expect(await readlink(link)).toBe(`../../blobs/${sha256(server.weights)}`);
    expect((await readdir(path.join(base, "blobs"))).sort()).toEqual([sha256(server.weights), gitId(config)].sort());
    expect(progress.at(0)).toBe(`model.safetensors 0/${server.weights.length}`);
    expect(progress).toContain(`model.safetensors ${server.weights.length}/${server.weights.length}`);
  });

  it("N13: needs no request when it is cached, and none at all offline", async () => {
    const cache = await temporaryFolder();
    const server = await hub();
    const options = { ...FAST, cache, endpoint: server.url };
    await first(options);
    const before = server.log.length;
    expect(await first(options, `owner/name@${COMMIT}`)).toEqual([1, 2]);
    vi.stubEnv("HF_HUB_OFFLINE", "1");
    expect(await first(options)).toEqual([1, 2]);
    expect(server.log.length - before).toBeLessThanOrEqual(1);
    await failure(
      () => first({ ...options, revision: "other" }),
      "NetworkError",
      "OFFLINE",
      "this revision is not in the cache",
    );
    await failure(
      async () => (await openSource("owner/name", options)).open("config.json"),
      "NetworkError",
      "OFFLINE",
      "config.json is not in the cache",
    );
  });

  it("is used from the cache when the Hub cannot be reached", async () => {
    const cache = await temporaryFolder();
    const server = await hub();
    await first({ ...FAST, cache, endpoint: server.url });
    server.handle = (_, response) => response.destroy();
    const warnings: string[] = [];
    const onWarning = (message: string) => warnings.push(message);
    expect(await first({ ...FAST, cache, endpoint: server.url, retries: 0, onWarning })).toEqual([1, 2]);
    expect(warnings.join()).toContain("the cached version is used");
  });

  it("reads a cache that huggingface_hub filled", async () => {
    vi.stubEnv("HF_HUB_OFFLINE", "1");
    vi.stubEnv("HF_HOME", await temporaryFolder());
    const base = path.join(process.env.HF_HOME!, "hub", "models--owner--name");
    await mkdir(path.join(base, "refs"), { recursive: true });
    await mkdir(path.join(base, "blobs"));
    await mkdir(path.join(base, "snapshots", COMMIT), { recursive: true });
    await writeFile(path.join(base, "refs/main"), COMMIT);
    await writeFile(path.join(base, "blobs/abc"), await safetensorsBytes([["a", f32([2], 4)]]));
    await symlink("../../blobs/abc", path.join(base, "snapshots", COMMIT, "model.safetensors"));
    expect([...(await (await readTensors("owner/name")).get("a")!.data())]).toEqual([4, 5]);
  });

  it("honours HF_ENDPOINT and HF_TOKEN, and gives the token to no other host", async () => {
    const server = await hub();
    vi.stubEnv("HF_ENDPOINT", `${server.url}/`);
    vi.stubEnv("HF_TOKEN", "hf_SECRET");
    const { token: _, ...rest } = FAST;
    await readTensors("owner/name", { ...rest, cache: memoryStore() });
    expect(server.log.every(({ headers }) => headers.authorization === "Bearer hf_SECRET")).toBe(true);
    expect(JSON.stringify(server.cdn.log)).not.toContain("SECRET");
    expect(server.cdn.log.length).toBe(1);
  });

  it("uses the token that a login saved", async () => {
    const server = await hub();
    const home = await temporaryFolder();
    vi.stubEnv("HF_HOME", home);
    vi.stubEnv("HF_TOKEN", "");
    await writeFile(path.join(home, "token"), "hf_saved\n");
    const { token: _, ...rest } = FAST;
    await readTensors("owner/name", { ...rest, endpoint: server.url });
    expect(server.log[0]!.headers.authorization).toBe("Bearer hf_saved");
  });

  it("N8, N9: is refused when its hash is wrong, after one more try; the wrong bytes are set aside", async () => {
    const cache = await temporaryFolder();
    const server = await hub();
    server.broken = (bytes) => bytes.map((byte, i) => (i > 1000 ? 0 : byte));
    const error = await failure(
      () => first({ ...FAST, cache, endpoint: server.url }),
      "IntegrityError",
      "HASH",
      "not what its host announces",
    );
    expect(error.details.expected).toBe(sha256(server.weights));
    expect(server.cdn.log.length).toBe(2);
    const blobs = await readdir(path.join(cache, "models--owner--name", "blobs"));
    expect(blobs).toEqual([`${sha256(server.weights)}.bad`]);
    let bad = 1;
    server.broken = (bytes) => (bad-- > 0 ? bytes.map((byte) => byte ^ 1) : bytes);
    expect(await first({ ...FAST, cache, endpoint: server.url })).toEqual([1, 2]);
  });

  it("N9: small files are checked too, by their git id", async () => {
    const server = await hub();
    const { handle } = server;
    server.handle = (request, response) =>
      request.url!.endsWith("config.json")
        ? sendFile(
            request,
            response,
            config.map((b) => b ^ 1),
          )
        : handle(request, response);
    const source = await openSource("owner/name", { ...FAST, cache: memoryStore(), endpoint: server.url });
    await failure(() => source.open("config.json"), "IntegrityError", "HASH");
  });

  it("N4: a length other than announced is refused at once", async () => {
    const server = await hub();
    server.broken = (bytes) => bytes.slice(0, -1);
    await failure(
      () => first({ ...FAST, cache: memoryStore(), endpoint: server.url }),
      "NetworkError",
      "LENGTH",
      "the server sends",
    );
  });

  it("N6: is continued by a later process", async () => {
    const cache = await temporaryFolder();
    const server = await hub();
    const { handle } = server.cdn;
    server.cdn.handle = (request, response) =>
      sendFile(request, response, server.weights, { etag: '"cdn"', breakAfter: request.headers.range ? 0 : 700 });
    await failure(() => first({ ...FAST, cache, endpoint: server.url, retries: 1 }), "NetworkError", "CONNECTION");
    server.cdn.handle = handle;
    expect(await first({ ...FAST, cache, endpoint: server.url })).toEqual([1, 2]);
    expect(server.cdn.log.at(-1)!.range).toBe("bytes=700-");
  });

  it("is read by range without a cache", async () => {
    const server = await hub();
    expect(await first({ ...FAST, cache: false, endpoint: server.url })).toEqual([1, 2]);
  });

  it("N1: says how to get access, and what there is", async () => {
    const server = await hub();
    const options = { ...FAST, cache: memoryStore(), endpoint: server.url };
    await failure(() => openWeights("owner/other", options), "NetworkError", "HTTP_404", "check the name");
    const source = await openSource("owner/name", options);
    await failure(
      () => source.open("none.json"),
      "NetworkError",
      "HTTP_404",
      /the model has config.json, model.safetensors/,
    );
    server.handle = (_, response) => response.writeHead(403, { "x-error-code": "GatedRepo" }).end();
    const gated = await failure(
      () => openWeights("owner/name", options),
      "NetworkError",
      "HTTP_403",
      "accept the licence at",
    );
    expect(gated.hint).toContain(`${server.url}/owner/name`);
    server.handle = (_, response) => response.writeHead(401).end();
    await failure(() => openWeights("owner/name", options), "NetworkError", "HTTP_401", "HF_TOKEN");
  });

  it.each(["null", "[]", "{}", '{"sha":"../x","siblings":[]}', `{"sha":"${COMMIT}"}`])(
    "refuses the answer %s",
    async (text) => {
      const server = await hub();
      server.handle = (_, response) => response.writeHead(200).end(text);
      await failure(
        () => openWeights("owner/name", { ...FAST, cache: memoryStore(), endpoint: server.url }),
        "NetworkError",
        "HUB_ANSWER",
      );
    },
  );

  it("X16: refuses a model of pickles with the recipe", async () => {
    const server = await hub();
    const siblings = [{ rfilename: "pytorch_model.bin", size: 1, blobId: "a".repeat(40) }];
    server.handle = (_, response) => response.writeHead(200).end(JSON.stringify({ sha: COMMIT, siblings }));
    const options = { ...FAST, cache: memoryStore(), endpoint: server.url };
    await failure(() => openWeights("owner/name", options), "WeightFormatError", "ST_PICKLE", "save_file");
  });
});

describe("a Hub id", () => {
  it("names owner, model and revision", () => {
    expect(parseHubId("openai/clip-vit-base-patch32")).toEqual({
      repo: "openai/clip-vit-base-patch32",
      revision: "main",
    });
    expect(parseHubId("a/b@refs/pr/3")).toEqual({ repo: "a/b", revision: "refs/pr/3" });
    expect(parseHubId("hf:gpt2", "v1")).toEqual({ repo: "gpt2", revision: "v1" });
  });

  it.each(["a/b/c", "../b", "a/..", "a--b/c", "/x", "a/", "a b/c", "a/b.lock/.."])("is not %s", async (id) => {
    await failure(() => parseHubId(id), "ArgumentError", "HUB_ID");
  });

  it.each(["..", "a/../b", "a//b", "/etc", ".", "a\\b", "x y"])("has no revision %s", async (revision) => {
    await failure(() => parseHubId("a/b", revision), "UnsafePathError", "HUB_REVISION");
  });

  it("has one revision", async () => {
    await failure(() => parseHubId("a/b@v1", "v2"), "ArgumentError", "HUB_REVISION", "two revisions");
  });

  it("gives way to a folder of that name", async () => {
    const folder = await temporaryFolder();
    await mkdir(path.join(folder, "owner/name"), { recursive: true });
    await writeFile(path.join(folder, "owner/name/config.json"), "{}");
    const before = process.cwd();
    process.chdir(folder);
    try {
      const source = await openSource("owner/name");
      expect(await source.list()).toEqual(["config.json"]);
    } finally {
      process.chdir(before);
    }
  });
});
