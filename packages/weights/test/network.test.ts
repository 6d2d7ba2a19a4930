import { readdir, readFile, writeFile } from "node:fs/promises";
import path from "node:path";
import { useDevice } from "@vlm/core";
import { beforeAll, describe, expect, it, vi } from "vitest";
import { httpSource } from "../src/bytes/http-source.ts";
import { identityMap } from "../src/keymap/key-map.ts";
import { load } from "../src/keymap/load.ts";
import type { HttpOptions } from "../src/net/http-options.ts";
import { openWeights } from "../src/safetensors/open-weights.ts";
import { safetensorsBytes } from "../src/safetensors/write-safetensors.ts";
import { openSource } from "../src/source/open-source.ts";
import type { SourceOptions } from "../src/source/source-options.ts";
import { defaultStore } from "../src/store/default-store.ts";
import { memoryStore } from "../src/store/memory-store.ts";
import { type SendOptions, type Server, sendFile, serve } from "./support/bad-server.ts";
import { failure } from "./support/errors.ts";
import { counting, f32, TestModel } from "./support/model.ts";
import { temporaryFolder } from "./support/temporary.ts";
import { file } from "./support/vectors.ts";

beforeAll(() => useDevice("js"));

const BYTES = Uint8Array.from({ length: 50_000 }, (_, i) => (i * 7 + (i >> 8)) & 255);
/** Compares without what a failed `toEqual` of 50,000 bytes would print. */
const same = (a: Uint8Array, b: Uint8Array): boolean => Buffer.compare(a, b) === 0;
const FAST: HttpOptions = { retryDelay: 1, stallTimeout: 300, onWarning: () => {} };

/** A server of one file that behaves differently at each request: the last behaviour stays. */
async function flaky(turns: SendOptions[], bytes: Uint8Array = BYTES): Promise<Server> {
  let turn = 0;
  return serve((request, response) =>
    sendFile(request, response, bytes, { etag: '"v1"', ...turns[Math.min(turn++, turns.length - 1)] }),
  );
}

/** Downloads `file.bin` through the cache and gives its bytes. */
async function fetched(server: Server, options: SourceOptions = {}): Promise<Uint8Array> {
  const source = await openSource(`${server.url}/models/`, { cache: memoryStore(), ...FAST, ...options });
  const opened = await source.open("file.bin");
  const bytes = await opened.read(0, opened.size);
  await opened.close?.();
  return bytes;
}

describe("a download", () => {
  it("N3: begins again when the server ignores ranges, and never joins the two", async () => {
    const server = await flaky([{ breakAfter: 20_000 }, { ignoreRange: true }]);
    const warnings: string[] = [];
    expect(same(await fetched(server, { onWarning: (message) => warnings.push(message) }), BYTES)).toBe(true);
    expect(server.log.map(({ range }) => range)).toEqual([undefined, "bytes=20000-"]);
    expect(warnings.join()).toContain("sent the whole file instead of the rest");
  });

  it("N4: discards what it has when the server answers with another range or total, or 416", async () => {
    for (const turn of [{ shiftRange: 10 }, { shiftRange: 40_000 }] satisfies SendOptions[]) {
      const server = await flaky([{ breakAfter: 20_000 }, turn, {}]);
      expect(same(await fetched(server), BYTES)).toBe(true);
      expect(server.log.at(-1)!.range).toBeUndefined();
    }
    const always = await serve((request, response) => {
      request.headers.range ??= "bytes=0-";
      sendFile(request, response, BYTES, { shiftRange: 10 });
    });
    await failure(() => fetched(always, { retries: 1 }), "NetworkError", "RANGE", "asked for bytes from");
  });

  it("N4: does not start again for ever", async () => {
    const server = await serve((request, response) =>
      sendFile(request, response, BYTES, {
        etag: '"v1"',
        ...(request.headers.range ? { shiftRange: 1 } : { breakAfter: 20_000 }),
      }),
    );
    await failure(() => fetched(server, { retries: 3 }), "NetworkError", /RANGE|CONNECTION/);
    expect(server.log.length).toBeLessThan(10);
  });

  it("N5: begins again when the content changed meanwhile", async () => {
    const other = BYTES.map((byte) => byte ^ 255);
    let first = true;
    const server = await serve((request, response) => {
      sendFile(
        request,
        response,
        first ? BYTES : other,
        first ? { etag: '"v1"', breakAfter: 20_000 } : { etag: '"v2"' },
      );
      first = false;
    });
    expect(same(await fetched(server), other)).toBe(true);
    expect(server.log[1]!.headers["if-range"]).toBe('"v1"');
  });

  it("N5: is not continued when nothing identifies the content", async () => {
    const server = await flaky([{ breakAfter: 20_000, etag: undefined }, { etag: undefined }]);
    expect(same(await fetched(server), BYTES)).toBe(true);
    expect(server.log.map(({ range }) => range)).toEqual([undefined, undefined]);
  });

  it("N6: survives a break at any byte", async () => {
    for (const k of [0, 1, 2, 7, 8, 100, 4095, 4096, 4097, 25_000, 49_998, 49_999]) {
      const server = await flaky([{ breakAfter: k }, {}]);
      expect(same(await fetched(server), BYTES), `break at ${k}`).toBe(true);
    }
  });

  it("N6: goes on as long as each connection brings something", async () => {
    const server = await flaky([{ breakAfter: 3_000 }]);
    // Each answer is cut after 3,000 bytes of it: seventeen connections, with a limit of two failures in a row.
    expect(same(await fetched(server, { retries: 2 }), BYTES)).toBe(true);
    expect(server.log.length).toBe(17);
  });

  it("N6: says how far it came when it gives up, and goes on from there next time", async () => {
    const cache = memoryStore();
    const server = await flaky([{ breakAfter: 20_000 }, { breakAfter: 0 }]);
    const error = await failure(
      () => fetched(server, { cache, retries: 2 }),
      "NetworkError",
      /./.source === "." ? "CONNECTION" : "SHORT",
    );
    expect(error.recoverable).toBe(true);
    server.handle = (request, response) => sendFile(request, response, BYTES, { etag: '"v1"' });
    expect(same(await fetched(server, { cache }), BYTES)).toBe(true);
    expect(server.log.at(-1)!.range).toBe("bytes=20000-");
  });

  it("N7: is not complete when fewer bytes came than announced, and is when they were compressed", async () => {
    const server = await serve((_, response) => {
      response.writeHead(200, { "content-length": "5", connection: "close" });
      response.write("123");
      setTimeout(() => response.socket?.end(), 5);
    });
    const error = await failure(() => fetched(server, { retries: 1 }), "NetworkError", "CONNECTION");
    expect(error.recoverable).toBe(true);
    const { gzipSync } = await import("node:zlib");
    const zipped = gzipSync(BYTES);
    const packed = await serve((_, response) =>
      response.writeHead(200, { "content-encoding": "gzip", "content-length": String(zipped.length) }).end(zipped),
    );
    expect(same(await fetched(packed), BYTES)).toBe(true);
  });

  it("N1: names status and address, without what is secret in it", async () => {
    for (const status of [400, 401, 403, 404, 410]) {
      const server = await serve((_, response) => response.writeHead(status).end());
      const secret = `${server.url.replace("//", "//user:pass@")}/models/?sig=SECRET`;
      const error = await failure(
        async () => (await openSource(`${server.url}/models/?sig=SECRET`, { cache: false, ...FAST })).open("file.bin"),
        "NetworkError",
        `HTTP_${status}`,
      );
      expect(error.message).toContain(`${server.url}/models/file.bin`);
      expect(JSON.stringify([error.message, error.details])).not.toContain("SECRET");
      expect(secret).toContain("SECRET");
      expect(server.log.length).toBe(1);
    }
  });

  it("N2: is refused when a web page comes", async () => {
    const page = "<html>Please log in</html>";
    const server = await serve((_, response) =>
      response.writeHead(200, { "content-type": "text/html; charset=utf-8" }).end(page),
    );
    const cache = memoryStore();
    await failure(() => fetched(server, { cache }), "WeightFormatError", "HTTP_HTML", "got text/html");
    server.handle = (request, response) => sendFile(request, response, BYTES);
    expect(same(await fetched(server, { cache }), BYTES)).toBe(true);
  });

  it("N10: ends in a redirect loop, and does not leave https", async () => {
    const server = await serve((request, response) => response.writeHead(302, { location: request.url! }).end());
    await failure(() => fetched(server), "NetworkError", "REDIRECT", "more than 10 redirects");
    const fetch: typeof globalThis.fetch = async () =>
      new Response(null, { status: 302, headers: { location: "http://plain.example/x" } });
    await failure(
      () => openSourceAt("https://secure.example/x.bin", { fetch }),
      "NetworkError",
      "REDIRECT",
      "from https: to http:",
    );
    const toFile: typeof globalThis.fetch = async () =>
      new Response(null, { status: 302, headers: { location: "file:///etc/passwd" } });
    await failure(
      () => openSourceAt("https://secure.example/x.bin", { fetch: toFile }),
      "NetworkError",
      "REDIRECT",
      "to file:",
    );
  });

  it("N10: sends headers to the declared origin only", async () => {
    const other = await serve((request, response) => sendFile(request, response, BYTES));
    const server = await serve((_, response) => response.writeHead(302, { location: `${other.url}/cdn` }).end());
    expect(same(await fetched(server, { headers: { authorization: "Bearer SECRET", "x-key": "SECRET" } }), BYTES)).toBe(
      true,
    );
    expect(server.log[0]!.headers).toMatchObject({ authorization: "Bearer SECRET", "x-key": "SECRET" });
    expect(JSON.stringify(other.log)).not.toContain("SECRET");
    expect(other.log.length).toBe(1);
  });

  it("N11: gives up a connection that stalls, at the head or in the body, but not a slow one", async () => {
    const server = await flaky([{ stallAfter: 100 }, {}]);
    expect(same(await fetched(server), BYTES)).toBe(true);
    const silent = await serve(() => {});
    const error = await failure(() => fetched(silent, { retries: 0, stallTimeout: 50 }), "NetworkError", "CONNECTION");
    expect((error.cause as Error).message).toContain("nothing came for 0.05 s");
    const slow = await serve((_, response) => {
      response.writeHead(200, { "content-length": "6" });
      let sent = 0;
      const timer = setInterval(() => {
        response.write(String(sent));
        if (++sent === 6) clearInterval(timer);
      }, 40);
    });
    const progress: number[] = [];
    expect(
      (await fetched(slow, { stallTimeout: 150, retries: 0, onProgress: ({ loaded }) => progress.push(loaded) }))
        .length,
    ).toBe(6);
    expect(progress).toEqual([0, 1, 2, 3, 4, 5, 6]);
  });

  it("N12: honours Retry-After, and surfaces one that is too long", async () => {
    let busy = 1;
    const server = await serve((request, response) => {
      if (busy-- > 0) response.writeHead(429, { "retry-after": "1" }).end();
      else sendFile(request, response, BYTES);
    });
    const begun = performance.now();
    expect(same(await fetched(server), BYTES)).toBe(true);
    expect(performance.now() - begun).toBeGreaterThan(950);
    const long = await serve((_, response) => response.writeHead(429, { "retry-after": "3600" }).end());
    const error = await failure(() => fetched(long), "NetworkError", "HTTP_429", "the server answered 429");
    expect([error.details.retryAfter, error.recoverable, long.log.length]).toEqual([3600, true, 1]);
  });

  it.each([500, 502, 503, 408])("tries again after %i, but not for ever", async (status) => {
    let bad = 2;
    const server = await serve((request, response) => {
      if (bad-- > 0) response.writeHead(status).end();
      else sendFile(request, response, BYTES);
    });
    expect(same(await fetched(server), BYTES)).toBe(true);
    const down = await serve((_, response) => response.writeHead(status).end());
    await failure(() => fetched(down, { retries: 2 }), "NetworkError", `HTTP_${status}`);
    expect(down.log.length).toBe(3);
  });

  it("ends at once when the signal says so, and what came is kept", async () => {
    const cache = memoryStore();
    const server = await flaky([{ stallAfter: 20_000 }]);
    const controller = new AbortController();
    const reason = new Error("enough");
    const onProgress = ({ loaded }: { loaded: number }) => void (loaded === 20_000 && controller.abort(reason));
    await expect(fetched(server, { cache, signal: controller.signal, onProgress, stallTimeout: 10_000 })).rejects.toBe(
      reason,
    );
    server.handle = (request, response) => sendFile(request, response, BYTES, { etag: '"v1"' });
    expect(same(await fetched(server, { cache }), BYTES)).toBe(true);
    expect(server.log.at(-1)!.range).toBe("bytes=20000-");
  });

  it("is refused when more comes than was announced", async () => {
    const server = await serve((request, response) =>
      sendFile(request, response, BYTES, {
        etag: '"v1"',
        ...(request.headers.range ? { total: 30_000 } : { breakAfter: 20_000 }),
      }),
    );
    await failure(() => fetched(server), "NetworkError", "LENGTH", "more than the 30000 bytes");
  });
});

const openSourceAt = async (url: string, options: SourceOptions) =>
  (await openSource(url, { cache: false, ...FAST, ...options })).open("x.bin");

describe("the cache of addresses", () => {
  it("C4, C5: downloads once for all who ask, also when the first of them leaves", async () => {
    const cache = memoryStore();
    const server = await serve((request, response) => setTimeout(() => sendFile(request, response, BYTES), 50));
    const controller = new AbortController();
    const first = fetched(server, { cache, signal: controller.signal });
    const others = [fetched(server, { cache }), fetched(server, { cache })];
    setTimeout(() => controller.abort(), 10);
    await expect(first).rejects.toMatchObject({ name: "AbortError" });
    expect((await Promise.all(others)).every((bytes) => same(bytes, BYTES))).toBe(true);
    expect(server.log.length).toBe(1);
  });

  it("C4: gives everybody a source of his own, which others do not close", async () => {
    const cache = await temporaryFolder();
    const server = await serve((request, response) => setTimeout(() => sendFile(request, response, BYTES), 20));
    const source = await openSource(`${server.url}/models/`, { cache, ...FAST });
    const [first, second] = await Promise.all([source.open("file.bin"), source.open("file.bin")]);
    await first.close?.();
    expect(same(await second.read(0, second.size), BYTES)).toBe(true);
    await second.close?.();
    expect(server.log.length).toBe(1);
  });

  it("uses what it has when the server says that it is the same, and when the server cannot be reached", async () => {
    const cache = memoryStore();
    const server = await flaky([{}]);
    await fetched(server, { cache });
    expect(same(await fetched(server, { cache }), BYTES)).toBe(true);
    expect(server.log.map(({ method }) => method)).toEqual(["GET", "HEAD"]);
    server.handle = (_, response) => response.destroy();
    const warnings: string[] = [];
    expect(
      same(await fetched(server, { cache, retries: 0, onWarning: (message) => warnings.push(message) }), BYTES),
    ).toBe(true);
    expect(warnings.join()).toContain("the cached file is used");
    server.handle = (request, response) => sendFile(request, response, BYTES.slice(0, 100), { etag: '"v2"' });
    expect((await fetched(server, { cache })).length).toBe(100);
  });

  it("N13: works offline without a request, from a folder on disk too", async () => {
    const folder = await temporaryFolder();
    const server = await flaky([{}]);
    await fetched(server, { cache: folder });
    const before = server.log.length;
    expect(same(await fetched(server, { cache: folder, offline: true }), BYTES)).toBe(true);
    expect(server.log.length).toBe(before);
    await failure(
      () => fetched(server, { cache: memoryStore(), offline: true }),
      "NetworkError",
      "OFFLINE",
      "not in the cache",
    );
    const left = (await readdir(folder, { recursive: true })).filter((name) => /lock|incomplete|tmp/.test(name));
    expect(left).toEqual([]);
  });

  it("N15: is filled by one process at a time; an abandoned lock does not stop it", async () => {
    const folder = await temporaryFolder();
    const server = await serve((request, response) =>
      setTimeout(() => sendFile(request, response, BYTES, { etag: '"v1"' }), 30),
    );
    // Two stores do not know of each other, as two processes do not.
    const both = await Promise.all([fetched(server, { cache: folder }), fetched(server, { cache: folder })]);
    expect(both.every((bytes) => same(bytes, BYTES))).toBe(true);
    const [blob] = (await readdir(folder, { recursive: true })).filter((name) => name.endsWith("file"));
    const dead = JSON.stringify({ pid: 2 ** 22 - 3, host: (await import("node:os")).hostname(), id: "x", since: "" });
    await writeFile(path.join(folder, `${blob}.lock`), dead);
    server.handle = (request, response) => sendFile(request, response, BYTES, { etag: '"v3"' });
    expect(same(await fetched(server, { cache: folder }), BYTES)).toBe(true);
    expect(same(await readFile(path.join(folder, blob!)), BYTES)).toBe(true);
  });

  it("N14: keeps files in memory when the disk is full", async () => {
    const server = await flaky([{}]);
    const store = memoryStore();
    const full = {
      ...store,
      partial: async (name: string, signal?: AbortSignal) => ({
        ...(await store.partial(name, signal)),
        write: async () => {
          throw storageError(Object.assign(new Error("full"), { name: "QuotaExceededError" }), "write", name);
        },
        reset: async () => {},
        size: 0,
        validator: undefined,
      }),
    };
    const { storageError } = await import("../src/store/storage-error.ts");
    const warnings: string[] = [];
    expect(same(await fetched(server, { cache: full, onWarning: (message) => warnings.push(message) }), BYTES)).toBe(
      true,
    );
    expect(warnings.join()).toContain("is kept in memory");
    const error = await failure(
      () => fetched(server, { cache: full, persist: true }),
      "StorageError",
      "QuotaExceededError",
      "the browser's storage quota is used up",
    );
    expect(error.recoverable).toBe(true);
  });

  it("N14: a page without storage keeps files in memory and says so, or fails where they must be kept", async () => {
    vi.stubGlobal("process", undefined);
    vi.stubGlobal("navigator", {
      storage: { getDirectory: () => Promise.reject(new DOMException("no", "SecurityError")) },
    });
    try {
      const warnings: string[] = [];
      expect((await defaultStore((message) => warnings.push(message))).name).toBe(memoryStore().name);
      expect(warnings).toEqual([expect.stringContaining("this page may not keep files")]);
      await failure(() => defaultStore(() => {}, true), "StorageError", "NO_STORAGE", "this page may not keep files");
    } finally {
      vi.unstubAllGlobals();
    }
  });

  it.each(["ENOTFOUND", "CERT_HAS_EXPIRED", "ECONNREFUSED"])("N13: %s is named, after the retries", async (reason) => {
    let requests = 0;
    const fetch: typeof globalThis.fetch = async () => {
      requests++;
      throw new TypeError("fetch failed", { cause: Object.assign(new Error(reason), { code: reason }) });
    };
    const error = await failure(
      () => openSourceAt("https://models.example/x.bin?token=SECRET", { fetch, retries: 2 }),
      "NetworkError",
      "CONNECTION",
      new RegExp(`the connection failed \\(${reason}\\)`),
    );
    expect([requests, error.recoverable, error.where]).toEqual([3, true, "https://models.example/x.bin"]);
    expect(error.message).not.toContain("SECRET");
  });
});

describe("a file read by range from a server", () => {
  it("takes only what is asked for", async () => {
    const server = await flaky(
      [{}],
      await safetensorsBytes([
        ["a", f32([1000])],
        ["b", f32([4], 5)],
      ]),
    );
    const store = await openWeights(`${server.url}/m/model.safetensors`, { cache: false, ...FAST });
    const [b] = await store.read(["b"]);
    expect([...new Float32Array(b!.buffer)]).toEqual([5, 6, 7, 8]);
    expect(server.log.length).toBe(3);
    expect(server.log.at(-1)!.range).toMatch(/^bytes=\d+-\d+$/);
  });

  it.each([
    ["S3", "ST_HEADER_LENGTH", 1000n],
    ["S5", "ST_HEADER_TOO_LARGE", 100_000_001n],
  ])("%s: a header that cannot be is refused by the eight bytes of one request", async (_, code, length) => {
    const server = await flaky([{}], file("{}", 60, length));
    await failure(
      () => openWeights(`${server.url}/m/model.safetensors`, { cache: false, ...FAST }),
      "WeightFormatError",
      code,
      `${length} bytes`,
    );
    expect(server.log.map(({ range }) => range)).toEqual(["bytes=0-7"]);
  });

  it("asks again for the first bytes when they broke off", async () => {
    const server = await flaky([{ breakAfter: 3 }, {}]);
    const source = await httpSource(`${server.url}/x`, FAST);
    expect(same(await source.read(0, 8), BYTES.slice(0, 8))).toBe(true);
    expect(server.log.length).toBe(2);
  });

  it("survives breaks, and takes the whole file from a server that ignores ranges", async () => {
    const server = await flaky([{}, { breakAfter: 100 }, { breakAfter: 5 }, {}]);
    const source = await httpSource(`${server.url}/x`, FAST);
    expect(same(await source.read(10, 30_000), BYTES.slice(10, 30_000))).toBe(true);
    const plain = await flaky([{ ignoreRange: true }]);
    const whole = await httpSource(`${plain.url}/x`, FAST);
    expect(same(await whole.read(10, 30_000), BYTES.slice(10, 30_000))).toBe(true);
    expect(plain.log.length).toBe(1);
  });

  it("S39: notices that the file changed between two reads", async () => {
    const server = await flaky([{}]);
    const source = await httpSource(`${server.url}/x`, FAST);
    await source.read(0, 10);
    for (const [bytes, etag] of [
      [BYTES, '"v2"'],
      [BYTES.slice(1), '"v1"'],
      [BYTES.slice(0, 5), '"v1"'],
    ] as const) {
      server.handle = (request, response) => sendFile(request, response, bytes, { etag });
      await failure(() => source.read(10, 20), "IntegrityError", "SOURCE_CHANGED", "changed while it was read");
    }
  });

  it("leaves a model untouched when the connection breaks for good", async () => {
    const bytes = await safetensorsBytes([
      ["a", f32([3_000_00])],
      ["b", f32([300_000])],
    ]);
    let requests = 0;
    const server = await serve((request, response) => {
      if (++requests > 3) response.destroy();
      else sendFile(request, response, bytes, { etag: '"v1"' });
    });
    const model = new TestModel({ a: counting([3], 1), b: counting([3], 1) });
    await failure(
      () => load(model, `${server.url}/model.safetensors`, identityMap, { cache: false, ...FAST, retries: 1 }),
      "WeightMismatchError",
      "WM_MISMATCH",
    );
    const right = new TestModel({ a: counting([300_000], 1), b: counting([300_000], 1) });
    const before = await right.values();
    requests = 0;
    await failure(
      () => load(right, `${server.url}/model.safetensors`, identityMap, { cache: false, ...FAST, retries: 1 }),
      "NetworkError",
      "CONNECTION",
    );
    for (const [name, values] of Object.entries(await right.values())) {
      expect(Buffer.compare(new Uint8Array(values.buffer), new Uint8Array(before[name]!.buffer))).toBe(0);
    }
  });
});
