/** A contender in a page of a headless Chromium of its own. */
import { createReadStream, createWriteStream, existsSync, mkdtempSync, rmSync } from "node:fs";
import type { IncomingMessage, ServerResponse } from "node:http";
import os from "node:os";
import path from "node:path";
import { fileURLToPath } from "node:url";
import type { openPage } from "../../../tools/testing/browser.mjs";
import type { Entry } from "./entry.ts";
import type { Channel, Reply, Request } from "./protocol.ts";

/** Loaded by who needs it: a bundler and a browser's driver come with it. */
const testing = () => import("../../../tools/testing/browser.mjs");

type Page = Awaited<ReturnType<typeof openPage>>;

const PACKAGES = fileURLToPath(new URL("../../node_modules", import.meta.url));
const TYPES: Record<string, string> = {
  ".wasm": "application/wasm",
  ".mjs": "text/javascript",
  ".js": "text/javascript",
};

let site: Promise<string> | undefined;

/** The page's files, bundled once. */
async function bundled(): Promise<string> {
  const folder = mkdtempSync(path.join(os.tmpdir(), "vlm-bench-page-"));
  process.on("exit", () => rmSync(folder, { recursive: true, force: true }));
  const { bundleEntry } = await testing();
  return bundleEntry(new URL("./browser-entry.ts", import.meta.url), folder, { minify: true });
}

/** A machine's own GPU is used where it is asked for, as in the tests. */
const FLAGS =
  process.env.VLM_GPU === "hardware" ? ["--use-webgpu-adapter=default", "--enable-gpu", "--ignore-gpu-blocklist"] : [];

export class BrowserChannel implements Channel {
  private readonly opened: Promise<Page>;
  /** Where the page's next results go. */
  private file = "";
  ended: string | null = null;

  constructor({ browser }: Entry) {
    site ??= bundled();
    this.opened = Promise.all([testing(), site]).then(([{ openPage }, folder]) =>
      openPage({
        folder,
        exportsEntry: true,
        webgpu: browser!.webgpu,
        // Other libraries' workers are blobs, and some make code from text.
        csp: "",
        args: FLAGS,
        handle: (request, response) => this.serve(request, response),
      }),
    );
    this.opened.then(
      ({ page }) => page.on("crash", () => this.end("the page crashed")),
      (error: Error) => this.end(error.message.split("\n")[0]!),
    );
  }

  private serve(request: IncomingMessage, response: ServerResponse): boolean {
    const { pathname } = new URL(request.url ?? "/", "http://localhost");
    if (pathname === "/results") {
      request.pipe(createWriteStream(this.file)).on("finish", () => response.end());
      return true;
    }
    const file = path.join(PACKAGES, pathname.slice("/packages".length));
    if (!pathname.startsWith("/packages/") || !file.startsWith(PACKAGES) || !existsSync(file)) return false;
    response.setHeader("Content-Type", TYPES[path.extname(file)] ?? "application/octet-stream");
    createReadStream(file).pipe(response);
    return true;
  }

  private async end(why: string): Promise<void> {
    this.ended ??= why;
    await this.opened.then((page) => page.close()).catch(() => {});
  }

  async ask(request: Request, limitMs = 120_000): Promise<Reply> {
    if (this.ended === null && request.do === "prepare") this.file = request.file;
    return this.within(limitMs, (page) => page.call<Reply>("answer", request));
  }

  /** What the browser says of itself. */
  async describe(): Promise<{ version: string; adapter: string | null }> {
    const page = await this.opened;
    return { version: page.browser.version(), adapter: await page.call<string | null>("adapter") };
  }

  private async within(limitMs: number, call: (page: Page) => Promise<Reply>): Promise<Reply> {
    let timer: ReturnType<typeof setTimeout> | undefined;
    const late = new Promise<never>((_, reject) => {
      timer = setTimeout(() => reject(new Error(`no answer within ${limitMs / 1000} s`)), limitMs);
    });
    try {
      if (this.ended !== null) throw new Error(this.ended);
      return await Promise.race([this.opened.then(call), late]);
    } catch (error) {
      const why = (error as Error).message.split("\n")[0]!;
      void this.end(why);
      return { ok: false, error: why, offered: true };
    } finally {
      clearTimeout(timer);
    }
  }

  resident(): null {
    return null;
  }

  close(): Promise<void> {
    return this.end("closed");
  }
}
