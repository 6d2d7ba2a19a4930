import type { IncomingMessage, ServerResponse } from "node:http";
import type { Browser, Page } from "playwright-core";

export { findBrowser } from "./find-browser.mjs";

/** The policy that every package has to work under. */
export const STRICT_CSP: string;

export type ServeOptions = {
  /** Send COOP and COEP, so that SharedArrayBuffer exists; default true. */
  isolated?: boolean;
  /** Content-Security-Policy; empty for none; default STRICT_CSP. */
  csp?: string;
  headers?: Record<string, string>;
  /** Answers a request itself and returns true, or returns false to serve the file. */
  handle?: (request: IncomingMessage, response: ServerResponse) => boolean;
};

export type Served = { url: string; close(): Promise<void> };

/** Starts headless Chromium, with WebGPU on its software adapter unless `webgpu` is false. */
export function launchBrowser(options?: { webgpu?: boolean; args?: string[] }): Promise<Browser>;

/** Serves a folder on 127.0.0.1 with cross-origin isolation and the strict policy unless told otherwise. */
export function serveFolder(folder: string, options?: ServeOptions): Promise<Served>;

/** Bundles a module from source with a page that puts its exports on `globalThis.entry`. */
export function bundleEntry(
  entry: string | URL,
  outDir: string,
  options?: { conditions?: string[]; root?: string; minify?: boolean },
): Promise<string>;

export type TestPage = {
  page: Page;
  browser: Browser;
  url: string;
  /** Uncaught errors and console errors so far, policy violations among them. */
  errors: string[];
  /** Runs an export of the entry in the page; arguments and result travel as JSON. */
  call<T = unknown>(name: string, ...args: unknown[]): Promise<T>;
  close(): Promise<void>;
};

/** Opens a page that has loaded `entry` (a .ts or .js module, bundled from source) or `folder` (already built). */
export function openPage(
  options: ({ entry: string | URL; folder?: never } | { folder: string; entry?: never }) & {
    webgpu?: boolean;
    args?: string[];
    /** Wait until a folder's own script has set `globalThis.entry`, so that `call` works. */
    exportsEntry?: boolean;
  } & Omit<ServeOptions, "headers">,
): Promise<TestPage>;
