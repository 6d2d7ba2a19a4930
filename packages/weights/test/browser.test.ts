import { afterAll, beforeAll, expect, it } from "vitest";
import { openPage, type TestPage } from "../../../tools/testing/browser.mjs";
import { safetensorsBytes } from "../src/safetensors/write-safetensors.ts";
import { gitId, sendFile, serve, sha256 } from "./support/bad-server.ts";
import { f32 } from "./support/model.ts";

let page: TestPage;

beforeAll(async () => {
  page = await openPage({ entry: new URL("./support/browser-entry.ts", import.meta.url), webgpu: false, csp: "" });
}, 120_000);
afterAll(() => page?.close());

const cors = {
  "access-control-allow-origin": "*",
  "access-control-allow-headers": "*",
  "access-control-expose-headers": "*",
  "cross-origin-resource-policy": "cross-origin",
};

it("a browser keeps downloads in its file system, and uses them without a request", async () => {
  const commit = "a".repeat(40);
  const weights = await safetensorsBytes([["a", f32([200_000], 3)]]);
  const config = new TextEncoder().encode('{"width":4}');
  let broken = 1;
  const server = await serve((request, response) => {
    for (const [name, value] of Object.entries(cors)) response.setHeader(name, value);
    if (request.method === "OPTIONS") return void response.writeHead(204).end();
    if (request.url!.startsWith("/api/")) {
      const siblings = [
        { rfilename: "config.json", size: config.length, blobId: gitId(config) },
        {
          rfilename: "model.safetensors",
          size: weights.length,
          blobId: "b".repeat(40),
          lfs: { sha256: sha256(weights) },
        },
      ];
      return void response.end(JSON.stringify({ sha: commit, siblings }));
    }
    if (request.url!.endsWith("config.json")) return sendFile(request, response, config);
    // Behind a redirect, as on the Hub, and broken once.
    if (request.url!.includes("/resolve/")) return void response.writeHead(302, { location: "/cdn" }).end();
    sendFile(request, response, weights, broken-- > 0 ? { breakAfter: 100_000 } : {});
  });
  const options = { endpoint: server.url, token: "hf_token" };
  expect(await page.call("firstNumbers", "owner/name", options)).toEqual([3, 4]);
  const before = server.log.length;
  expect(await page.call("firstNumbers", "owner/name", { ...options, offline: true })).toEqual([3, 4]);
  expect(server.log.length).toBe(before);
  // N14: what the browser evicted is not there, and comes again.
  expect(await page.call("evict")).toBe(1);
  expect(await page.call("firstNumbers", "owner/name", { ...options, offline: true })).toBe("NetworkError OFFLINE");
  expect(await page.call("firstNumbers", "owner/name", options)).toEqual([3, 4]);
  expect(await page.call("firstNumbers", "owner/name", { ...options, offline: true })).toEqual([3, 4]);
  expect(await page.call("firstNumbers", "owner/name", { ...options, cache: false })).toEqual([3, 4]);
  expect(await page.call("firstNumbers", "owner/name", { ...options, revision: "v2", offline: true })).toBe(
    "NetworkError OFFLINE",
  );
  expect(
    await page.call("firstNumbers", "owner/name", { ...options, cache: false, headers: { "x-secret": "1" } }),
  ).toBe("NetworkError REDIRECT");
});

it("a browser writes checkpoints and models to its file system", async () => {
  expect(await page.call("checkpoints")).toEqual({
    locked: "CK_LOCKED",
    latest: 3,
    names: ["latest", "step-00000002", "step-00000003"],
    after: 2,
    state: { step: 2 },
  });
  expect(await page.call("saved")).toEqual([5, ["a"]]);
});

it("N16: a server without CORS headers is an error that says so", async () => {
  const server = await serve((request, response) => sendFile(request, response, new Uint8Array(100)));
  expect(await page.call("firstNumbers", `${server.url}/model.safetensors`, { retries: 0 })).toBe(
    "NetworkError CONNECTION",
  );
});
