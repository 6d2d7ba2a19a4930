import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { afterAll, afterEach, beforeAll, describe, expect, it, vi } from "vitest";
import { createImage, imageFromFloats } from "../src/image.ts";
import type { PixelSource } from "../src/pixel-source.ts";
import { type ImageSource, readImage } from "../src/read-image.ts";
import { caught, fixture } from "./files.ts";
import { sha256 } from "./source.ts";

const bytes = fixture("png-rgb");
const folder = mkdtempSync(join(tmpdir(), "image-"));
const file = join(folder, "cat.png");
let server: Server;
let base: string;

beforeAll(async () => {
  writeFileSync(file, bytes);
  server = createServer((request, response) => {
    const path = request.url?.split("?")[0];
    if (path === "/cat.png") response.end(bytes);
    else if (path === "/page.jpg") response.end("<html>please log in</html>");
    else if (path === "/huge.png") response.writeHead(200, { "content-length": 10 ** 10 }).write("x");
    else if (path === "/endless.png") {
      const timer = setInterval(() => response.write(Buffer.alloc(1000)), 1);
      response.on("close", () => clearInterval(timer));
    } else if (path === "/short.png") {
      response.writeHead(200, { "content-length": bytes.length });
      response.write(bytes.subarray(0, 50), () => response.destroy());
    } else if (path === "/stalled.png") response.write(bytes.subarray(0, 50));
    else response.writeHead(path === "/broken.png" ? 503 : 404).end("no");
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  base = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
});

afterAll(() => {
  server.closeAllConnections();
  server.close();
  rmSync(folder, { recursive: true });
});

afterEach(() => vi.unstubAllGlobals());

describe("readImage reads", () => {
  const sources: [string, () => ImageSource][] = [
    ["a path", () => file],
    ["a file URL", () => pathToFileURL(file)],
    ["a file URL as text", () => pathToFileURL(file).href],
    ["an http URL", () => `${base}/cat.png`],
    ["a URL object", () => new URL(`${base}/cat.png`)],
    ["a data URL", () => `data:image/png;base64,${Buffer.from(bytes).toString("base64")}`],
    [
      "a percent-encoded data URL's bytes",
      () => `data:;base64,${encodeURIComponent(Buffer.from(bytes).toString("base64"))}`,
    ],
    ["bytes", () => bytes],
    ["a Buffer", () => Buffer.from(bytes)],
    ["an ArrayBuffer", () => bytes.slice().buffer],
    ["a Blob of the wrong type", () => new Blob([bytes as Uint8Array<ArrayBuffer>], { type: "image/jpeg" })],
    ["a File", () => new File([bytes as Uint8Array<ArrayBuffer>], "cat.jpg")],
  ];
  for (const [name, make] of sources) {
    it(name, async () => {
      expect(sha256((await readImage(make())).data)).toBe(sha256((await readImage(bytes)).data));
    });
  }

  it("ImageData, by shape", async () => {
    const data = new Uint8ClampedArray([1, 2, 3, 255, 4, 5, 6, 0]);
    const image = await readImage({ width: 2, height: 1, data, colorSpace: "srgb" } as ImageData);
    expect([...image.data]).toEqual([1, 2, 3, 4, 5, 6]);
  });

  it("an Image, with its channels changed", async () => {
    const image = createImage(Uint8Array.from([10, 20, 30, 128]), { width: 1, height: 1, channels: 4 });
    expect([...(await readImage(image)).data]).toEqual([10, 20, 30]);
    expect((await readImage(image, { channels: 1 })).data[0]).toBe(18);
  });
});

describe("sources that fail", () => {
  it("a missing file, a folder", async () => {
    const missing = await caught(() => readImage(join(folder, "dog.png")));
    expect([missing.name, missing.code]).toEqual(["StorageError", "IM_NOT_FOUND"]);
    expect(missing.message).toMatch(/no such file\n.*dog\.png\n.*relative paths/);
    const directory = await caught(() => readImage(folder));
    expect([directory.name, directory.code]).toEqual(["StorageError", "IM_READ"]);
  });

  const cases: [string, string, string, RegExp, object?][] = [
    ["/gone.png", "NetworkError", "IM_HTTP", /404/],
    ["/broken.png", "NetworkError", "IM_HTTP", /503/],
    ["/page.jpg", "ImageDecodeError", "IM_FORMAT", /text\/html/],
    ["/huge.png", "ImageLimitError", "IM_BYTES", /10000000000/],
    ["/endless.png", "ImageLimitError", "IM_BYTES", /limit is 50000/, { maxBytes: 50_000 }],
    ["/short.png", "NetworkError", "IM_FETCH", /download failed/],
    ["/stalled.png", "NetworkError", "IM_TIMEOUT", /no byte arrived for 100 ms/, { timeout: 100 }],
  ];
  for (const [path, name, code, message, options] of cases) {
    it(`a server: ${path}`, async () => {
      const error = await caught(() => readImage(`${base}${path}?token=secret`, options));
      expect([error.name, error.code]).toEqual([name, code]);
      expect(error.message).toMatch(message);
      expect(error.message).toContain(path);
      expect(error.message).not.toContain("secret");
    });
  }

  it("cancelling ends a stalled download at once, with the caller's reason", async () => {
    const controller = new AbortController();
    setTimeout(() => controller.abort(), 30);
    const error = await caught(() => readImage(`${base}/stalled.png`, { signal: controller.signal }));
    expect(error.name).toBe("AbortError");
    const early = await caught(() => readImage(bytes, { signal: AbortSignal.abort() }));
    expect(early.name).toBe("AbortError");
  });

  it("a data URL that is none", async () => {
    for (const url of ["data:image/png;base64", "data:image/png;base64,%%%", "data:image/png;base64,ab*c"]) {
      expect((await caught(() => readImage(url))).code).toBe("IM_FORMAT");
    }
  });

  it("values that are no source", async () => {
    for (const value of [null, undefined, 5, {}, []] as unknown as ImageSource[]) {
      const error = await caught(() => readImage(value));
      expect([error.name, error.code]).toEqual(["ArgumentError", "IM_SOURCE"]);
    }
  });
});

describe("pixels from the platform", () => {
  const platform = (kind: string, fields: object): PixelSource =>
    ({ ...fields, [Symbol.toStringTag]: kind }) as unknown as PixelSource;

  it("ImageData of the wrong length or type", async () => {
    const wrong = { width: 2, height: 2, data: new Uint8ClampedArray(15) } as unknown as ImageData;
    const error = await caught(() => readImage(wrong));
    expect([error.name, error.code]).toEqual(["ShapeError", "IM_LENGTH"]);
    expect(error.message).toMatch(/16 values, this one 15/);
    const halves = { width: 1, height: 1, data: new Float32Array(4) } as unknown as ImageData;
    expect((await caught(() => readImage(halves))).code).toBe("IM_DTYPE");
  });

  it("closed bitmaps and frames, and canvases of no size", async () => {
    for (const [source, name, code] of [
      [platform("ImageBitmap", { width: 0, height: 0 }), "DisposedError", "IM_CLOSED"],
      [platform("VideoFrame", { displayWidth: 0, displayHeight: 0 }), "DisposedError", "IM_CLOSED"],
      [platform("HTMLCanvasElement", { width: 0, height: 5 }), "ShapeError", "IM_DIMENSION"],
      [platform("HTMLCanvasElement", { width: 9000, height: 9000 }), "ImageLimitError", "IM_PIXELS"],
    ] as const) {
      const error = await caught(() => readImage(source));
      expect([error.name, error.code]).toEqual([name, code]);
    }
  });

  it("a canvas tainted by another site says how to serve the picture", async () => {
    vi.stubGlobal(
      "OffscreenCanvas",
      class {
        getContext(kind: string): unknown {
          if (kind === "webgl2") return null;
          return {
            drawImage: () => undefined,
            getImageData: () => {
              throw new DOMException("tainted", "SecurityError");
            },
          };
        }
      },
    );
    const error = await caught(() => readImage(platform("HTMLCanvasElement", { width: 2, height: 2 })));
    expect([error.name, error.code]).toEqual(["ImageDecodeError", "IM_CORS"]);
    expect(error.message).toMatch(/Access-Control-Allow-Origin/);
  });
});

describe("pixels made by hand", () => {
  it("are checked", async () => {
    const size = (width: number, height: number, channels: number) => ({ width, height, channels: channels as 3 });
    const cases: [() => unknown, string, string][] = [
      [() => createImage(new Uint8Array(11), size(2, 2, 3)), "ShapeError", "IM_LENGTH"],
      [() => createImage(new Uint8Array(8), size(2, 2, 2)), "ShapeError", "IM_CHANNELS"],
      [() => createImage(new Uint8Array(20), size(2, 2, 5)), "ShapeError", "IM_CHANNELS"],
      [() => createImage(new Uint8Array(12), size(2.5, 2, 3)), "ShapeError", "IM_DIMENSION"],
      [() => createImage(new Uint8Array(0), size(0, 2, 3)), "ShapeError", "IM_DIMENSION"],
      [() => createImage(new Float32Array(3) as unknown as Uint8Array, size(1, 1, 3)), "DTypeError", "IM_DTYPE"],
      [() => imageFromFloats([0, Number.NaN, 1], size(1, 1, 3)), "NonFiniteError", "IM_NON_FINITE"],
    ];
    for (const [action, name, code] of cases) {
      const error = await caught(action);
      expect([error.name, error.code]).toEqual([name, code]);
    }
    expect([...imageFromFloats([0, 0.5, 2], size(1, 1, 3)).data]).toEqual([0, 128, 255]);
  });
});
