import { createHash } from "node:crypto";
import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { afterEach } from "vitest";

type Handler = (request: IncomingMessage, response: ServerResponse) => void;

export type Server = {
  readonly url: string;
  /** Method, address and range of every request so far. */
  readonly log: { method: string; path: string; range: string | undefined; headers: IncomingMessage["headers"] }[];
  handle: Handler;
};

const running: (() => void)[] = [];

afterEach(() => {
  for (const stop of running.splice(0)) stop();
});

/** A server on 127.0.0.1 that ends with the test. */
export async function serve(handle: Handler): Promise<Server> {
  const server: Server = { url: "", log: [], handle };
  const http = createServer((request, response) => {
    server.log.push({
      method: request.method!,
      path: request.url!,
      range: request.headers.range,
      headers: request.headers,
    });
    server.handle(request, response);
  });
  await new Promise<void>((resolve) => http.listen(0, "127.0.0.1", resolve));
  running.push(() => {
    http.closeAllConnections();
    http.close();
  });
  return Object.assign(server, { url: `http://127.0.0.1:${(http.address() as AddressInfo).port}` });
}

export const sha256 = (bytes: Uint8Array): string => createHash("sha256").update(bytes).digest("hex");
export const gitId = (bytes: Uint8Array): string =>
  createHash("sha1").update(`blob ${bytes.length}\0`).update(bytes).digest("hex");

export type SendOptions = {
  /** Break the connection after this many bytes of the body. */
  breakAfter?: number;
  /** Send the whole file whatever range was asked for. */
  ignoreRange?: boolean;
  /** Answer with a range that was not asked for. */
  shiftRange?: number;
  /** Announce another length in all. */
  total?: number;
  etag?: string | undefined;
  headers?: Record<string, string>;
  /** Send these bytes and then nothing more. */
  stallAfter?: number;
};

/** Answers with a file, properly or in one of many wrong ways. */
export function sendFile(
  request: IncomingMessage,
  response: ServerResponse,
  bytes: Uint8Array,
  options: SendOptions = {},
): void {
  const headers: Record<string, string> = { "content-type": "application/octet-stream", ...options.headers };
  if (options.etag) headers.etag = options.etag;
  let begin = 0;
  let end = bytes.length;
  const range = /^bytes=(\d+)-(\d*)$/.exec(request.headers.range ?? "");
  const condition = request.headers["if-range"];
  const partial = range && !options.ignoreRange && (condition === undefined || condition === options.etag);
  if (partial) {
    begin = Number(range[1]) + (options.shiftRange ?? 0);
    end = range[2] ? Math.min(Number(range[2]) + 1, bytes.length) : bytes.length;
    if (begin >= bytes.length) {
      response.writeHead(416, { "content-range": `bytes */${bytes.length}` }).end();
      return;
    }
    headers["content-range"] = `bytes ${begin}-${end - 1}/${options.total ?? bytes.length}`;
  }
  const body = bytes.subarray(begin, end);
  headers["content-length"] = String(body.length);
  response.writeHead(partial ? 206 : 200, headers);
  if (request.method === "HEAD") return void response.end();
  const cut = options.breakAfter ?? options.stallAfter;
  if (cut === undefined || cut >= body.length) return void response.end(body);
  response.write(body.subarray(0, cut), () => {
    // The client loses what it has not read when the connection goes: on a busy machine it needs time for that.
    if (options.breakAfter !== undefined) setTimeout(() => response.destroy(), 50);
  });
}
