// Runs code in headless Chromium: bundle an entry with Vite from source, serve it under the headers a careful site
// sends, open it, call what it exports. See "Tests in a browser" in CONTRIBUTING.md.
import { randomUUID } from "node:crypto";
import { createReadStream, existsSync, statSync } from "node:fs";
import { mkdir, rm, writeFile } from "node:fs/promises";
import http from "node:http";
import os from "node:os";
import path from "node:path";
import { fileURLToPath } from "node:url";
import { chromium } from "playwright-core";
import { build, defaultClientConditions } from "vite";
import { findBrowser } from "./find-browser.mjs";
import { gpuEnvironment } from "./gpu.mjs";

export { findBrowser };

/** The policy that every package has to work under. */
export const STRICT_CSP = "script-src 'self' 'wasm-unsafe-eval'; worker-src 'self'";

const FLAGS = ["--no-sandbox", "--disable-background-networking"];
const WEBGPU_FLAGS = ["--enable-unsafe-webgpu", "--use-webgpu-adapter=swiftshader", "--enable-features=Vulkan"];
const NO_WEBGPU_FLAGS = ["--disable-features=WebGPU,WebGPUService"];
const TYPES = {
  ".html": "text/html; charset=utf-8",
  ".js": "text/javascript; charset=utf-8",
  ".mjs": "text/javascript; charset=utf-8",
  ".css": "text/css; charset=utf-8",
  ".json": "application/json",
  ".map": "application/json",
  ".wasm": "application/wasm",
  ".png": "image/png",
  ".jpg": "image/jpeg",
  ".svg": "image/svg+xml",
};

/** Starts headless Chromium, with WebGPU on its software adapter unless `webgpu` is false. */
export async function launchBrowser({ webgpu = true, args = [] } = {}) {
  const executablePath = findBrowser();
  if (!executablePath) {
    throw new Error(
      "no Chromium found: install one (on Debian: apt-get install chromium) or set VLM_BROWSER to its path",
    );
  }
  return chromium.launch({
    executablePath,
    headless: true,
    args: [...FLAGS, ...(webgpu ? WEBGPU_FLAGS : NO_WEBGPU_FLAGS), ...args],
    env: {
      ...process.env,
      XDG_RUNTIME_DIR: process.env.XDG_RUNTIME_DIR ?? gpuEnvironment().XDG_RUNTIME_DIR ?? os.tmpdir(),
    },
  });
}

/** Serves a folder on 127.0.0.1 with cross-origin isolation and the strict policy unless told otherwise. */
export async function serveFolder(folder, { isolated = true, csp = STRICT_CSP, headers = {}, handle } = {}) {
  const root = path.resolve(folder);
  const server = http.createServer((request, response) => {
    const pathname = decodeURIComponent(new URL(request.url ?? "/", "http://localhost").pathname);
    if (isolated) {
      response.setHeader("Cross-Origin-Opener-Policy", "same-origin");
      response.setHeader("Cross-Origin-Embedder-Policy", "require-corp");
      response.setHeader("Cross-Origin-Resource-Policy", "cross-origin");
    }
    if (csp) response.setHeader("Content-Security-Policy", csp);
    for (const [name, value] of Object.entries(headers)) response.setHeader(name, value);
    if (handle?.(request, response)) return;
    let file = path.join(root, pathname);
    if (existsSync(file) && statSync(file).isDirectory()) file = path.join(file, "index.html");
    if (pathname === "/favicon.ico") return void response.writeHead(204).end();
    if (!file.startsWith(root) || !existsSync(file)) return void response.writeHead(404).end("not found");
    response.setHeader("Content-Type", TYPES[path.extname(file)] ?? "application/octet-stream");
    response.setHeader("Content-Length", statSync(file).size);
    createReadStream(file).pipe(response);
  });
  await new Promise((resolve, reject) => server.once("error", reject).listen(0, "127.0.0.1", resolve));
  const address = server.address();
  return {
    url: `http://127.0.0.1:${typeof address === "object" && address ? address.port : 0}/`,
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  };
}

/** Bundles a module from source (the @vlm/source condition) with a page that puts its exports on `globalThis.entry`. */
export async function bundleEntry(entry, outDir, { conditions = ["@vlm/source"], root, minify = false } = {}) {
  const file = entry instanceof URL ? fileURLToPath(entry) : path.resolve(entry);
  const id = "virtual:vlm-entry";
  const code = `import * as entry from ${JSON.stringify(file.replaceAll("\\", "/"))};\nglobalThis.entry = entry;\n`;
  await build({
    configFile: false,
    envFile: false,
    root: root ?? path.dirname(file),
    base: "./",
    logLevel: "error",
    publicDir: false,
    resolve: { conditions: [...conditions, ...defaultClientConditions] },
    plugins: [
      {
        name: "vlm-entry",
        resolveId: (source) => (source === id ? `\0${id}` : null),
        load: (loaded) => (loaded === `\0${id}` ? code : null),
      },
    ],
    worker: { format: "es" },
    build: {
      outDir,
      emptyOutDir: true,
      target: "esnext",
      minify,
      modulePreload: { polyfill: false },
      rolldownOptions: { input: { entry: id }, output: { entryFileNames: "entry.js" } },
    },
  });
  await writeFile(
    path.join(outDir, "index.html"),
    '<!doctype html><meta charset="utf-8"><title>test</title><script type="module" src="./entry.js"></script>\n',
  );
  return outDir;
}

/**
 * Opens a page that has loaded `entry` (a .ts or .js module) or `folder` (already built).
 * `call(name, ...args)` runs an export of the entry in the page; arguments and result travel as JSON.
 * A folder built elsewhere may offer exports too: it sets `globalThis.entry`, and `exportsEntry` waits for that.
 * `errors` collects uncaught errors and console errors, policy violations among them.
 */
export async function openPage({
  entry,
  folder,
  exportsEntry,
  webgpu = true,
  isolated = true,
  csp = STRICT_CSP,
  args,
  handle,
} = {}) {
  const made = entry ? path.join(os.tmpdir(), `vlm-page-${randomUUID()}`) : undefined;
  const closers = [];
  const close = async () => {
    for (const closer of closers.reverse()) await closer();
    closers.length = 0;
  };
  try {
    if (made) {
      await mkdir(made, { recursive: true });
      closers.push(() => rm(made, { recursive: true, force: true }));
      await bundleEntry(entry, made);
    }
    const server = await serveFolder(made ?? folder, { isolated, csp, handle });
    closers.push(server.close);
    const browser = await launchBrowser({ webgpu, args });
    closers.push(() => browser.close());
    const page = await browser.newPage();
    const errors = [];
    const uncaught = [];
    page.on("pageerror", (error) => {
      errors.push(String(error.stack ?? error));
      uncaught.push(error);
    });
    page.on("console", (message) => message.type() === "error" && errors.push(message.text()));
    await page.goto(server.url);
    if (entry ?? exportsEntry) await waitForEntry(page, errors, uncaught);
    const call = async (name, ...callArgs) => {
      const json = await page.evaluate(
        async ([which, parameters]) => JSON.stringify((await globalThis.entry[which](...parameters)) ?? null),
        [name, callArgs],
      );
      return JSON.parse(json);
    };
    return { page, browser, url: server.url, errors, call, close };
  } catch (error) {
    await close();
    throw error;
  }
}

/** Polls by the debugger's protocol, which a policy against eval does not stop. */
async function waitForEntry(page, errors, uncaught, timeout = 30_000) {
  const deadline = Date.now() + timeout;
  while (!(await page.evaluate(() => globalThis.entry !== undefined))) {
    if (uncaught.length > 0 || Date.now() > deadline) {
      throw new Error(`the page did not load its entry: ${errors.join("\n") || `nothing after ${timeout} ms`}`);
    }
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}
