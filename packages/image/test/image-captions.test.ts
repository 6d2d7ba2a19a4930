import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { randomFlip } from "../src/augment/augment.ts";
import { parseCsv } from "../src/data/csv.ts";
import { imageCaptions } from "../src/data/image-captions.ts";
import { parseJsonLines } from "../src/data/json-lines.ts";
import { encodePng } from "../src/out/png.ts";
import type { Preprocessor } from "../src/preprocessor.ts";
import { caught, fixture } from "./files.ts";
import { source } from "./source.ts";

const preprocess: Preprocessor = {
  resize: { kind: "exact", height: 8, width: 6 },
  filter: "bilinear",
  rescale: 1 / 255,
};
let folder: string;

beforeEach(async () => {
  folder = mkdtempSync(join(tmpdir(), "captions-"));
  mkdirSync(join(folder, "pets"));
  for (const [i, name] of ["b", "a", "pets/c"].entries()) {
    writeFileSync(join(folder, `${name}.png`), await encodePng(source(10, 7, 3, i)));
    writeFileSync(join(folder, `${name}.txt`), `a photo of ${name}\n`);
  }
});
afterEach(() => rmSync(folder, { recursive: true }));

const write = (name: string, content: string): string => {
  writeFileSync(join(folder, name), content);
  return join(folder, name);
};

async function failure(source: Parameters<typeof imageCaptions>[0]): Promise<Awaited<ReturnType<typeof caught>>> {
  return caught(async () => {
    for await (const batch of imageCaptions(source, { preprocess })) expect(batch.id.length).toBe(1);
  });
}

describe("imageCaptions", () => {
  it("reads a folder with text files, in the order of names, into tensors", async () => {
    const data = imageCaptions(folder, { preprocess, batch: 2, tokenize: (captions) => captions.map((c) => c.length) });
    const batches = [];
    for await (const batch of data) batches.push(batch);
    expect(batches.map((batch) => batch.id)).toEqual([["a.png", "b.png"], ["pets/c.png"]]);
    expect(batches[0]!.caption).toEqual(["a photo of a", "a photo of b"]);
    expect(batches[0]!.tokens).toEqual([12, 12]);
    expect([...batches[0]!.image.shape]).toEqual([2, 3, 8, 6]);
    expect(await data.size()).toBe(3);
  });

  it("takes captions from a function of the path", async () => {
    const data = imageCaptions(folder, { preprocess, caption: (path) => (path.includes("/") ? "pet" : "thing") });
    const captions = [];
    for await (const batch of data) captions.push(...batch.caption);
    expect(captions).toEqual(["thing", "thing", "pet"]);
  });

  it("reads CSV, TSV and JSON Lines beside the pictures, several captions for one picture too", async () => {
    const tables = [
      write("pairs.csv", '\ufefffile_name,text\r\na.png,"one, ""two"""\r\npets/c.png,"two\nlines"\r\na.png,again\r\n'),
      write("pairs.tsv", 'title\tfilepath\none, "two"\ta.png\n"two\nlines"\tpets/c.png\nagain\ta.png\n'),
      write(
        "pairs.jsonl",
        '{"image":"a.png","caption":"one, \\"two\\""}\n\n{"image":"pets/c.png","caption":"two\\nlines"}\n{"image":"a.png","caption":"again","more":{"image":1}}\n',
      ),
    ];
    for (const table of tables) {
      const captions = [];
      for await (const batch of imageCaptions(table, { preprocess, batch: 3 })) captions.push(...batch.caption);
      expect(captions).toEqual(['one, "two"', "two\nlines", "again"]);
    }
  });

  it("prefers a table in the folder to text files", async () => {
    write("metadata.csv", "file_name,text\na.png,from the table\n");
    const captions = [];
    for await (const batch of imageCaptions(folder, { preprocess })) captions.push(...batch.caption);
    expect(captions).toEqual(["from the table"]);
  });

  it("reads an array of whatever readImage reads", async () => {
    const items = [
      { image: source(5, 5, 3, 1), caption: "pixels" },
      { image: fixture("jpeg"), caption: "bytes", id: "second" },
    ];
    for await (const batch of imageCaptions(items, { preprocess, batch: 2 })) {
      expect(batch.id).toEqual(["0", "second"]);
      expect((await batch.image.data()).length).toBe(2 * 3 * 8 * 6);
    }
  });

  it("draws random changes by key: the same seed gives the same batch, the next epoch another", async () => {
    const epochs = async (key: number): Promise<number[][]> => {
      const data = imageCaptions(folder, { preprocess, batch: 3, key, epochs: 4, augment: randomFlip() });
      const result = [];
      for await (const batch of data) result.push([...(await batch.image.data())]);
      return result;
    };
    const first = await epochs(1);
    expect(await epochs(1)).toEqual(first);
    expect(new Set(first.map(String)).size).toBeGreaterThan(1);
  });

  it("does not follow a link to its own folder", async () => {
    symlinkSync(folder, join(folder, "pets", "loop"));
    expect(await imageCaptions(folder).size()).toBe(3);
  });
});

describe("data that are wrong name the file and the line", () => {
  it("a picture without words, or with empty ones", async () => {
    rmSync(join(folder, "a.txt"));
    const missing = await failure(folder);
    expect([missing.name, missing.code]).toEqual(["DataError", "DATA_CAPTION_MISSING"]);
    expect(missing.message).toMatch(/no caption\n.*a\.png\n.*onError/);
    write("a.txt", "  \n");
    expect((await failure(folder)).message).toMatch(/caption is empty/);
    const table = write("t.csv", "image,caption\na.png,x\nb.png,\n");
    expect((await failure(table)).message).toMatch(/t\.csv:3/);
    expect((await failure([{ image: source(2, 2, 3, 1), caption: "" }])).code).toBe("DATA_CAPTION_MISSING");
  });

  it("two of one name", async () => {
    write("a.jpg", "x");
    const stems = await failure(folder);
    expect(stems.code).toBe("DATA_DUPLICATE_KEY");
    expect(stems.message).toMatch(/"a\.jpg" and "a\.png"/);
    const cases: [string, string, RegExp][] = [
      ["t.csv", "id,image,caption\n1,a.png,x\n1,b.png,y\n", /"1" is already on line 2\n.*t\.csv:3/],
      ["t.csv", "image,caption\na.png,x\na.png,x\n", /"a\.png" with this caption is already on line 2/],
      ["t.csv", "image,caption,image\na.png,x,b.png\n", /two columns are named "image"/],
      ["t.jsonl", '{"image":"a.png","caption":"x","caption":"y"}\n', /key "caption" occurs twice\n.*t\.jsonl:1/],
    ];
    for (const [name, content, message] of cases) {
      const error = await failure(write(name, content));
      expect([error.name, error.code]).toEqual(["DataError", "DATA_DUPLICATE_KEY"]);
      expect(error.message).toMatch(message);
    }
    const pixels = source(2, 2, 3, 1);
    const twice = await failure([
      { id: "x", image: pixels, caption: "1" },
      { id: "x", image: pixels, caption: "2" },
    ]);
    expect(twice.code).toBe("DATA_DUPLICATE_KEY");
  });

  it("tables that cannot be read", async () => {
    const cases: [string, string, string, RegExp][] = [
      ["t.csv", 'image,caption\na.png,"never ends\n', "DATA_CSV", /quoted cell never ends\n.*t\.csv:2/],
      ["t.csv", "image,caption\na.png,x,y\n", "DATA_ROW", /3 cells, the header 2\n.*t\.csv:2/],
      ["t.csv", "picture,words\na.png,x\n", "DATA_COLUMN", /no column for the image; there are picture, words/],
      ["t.csv", "image,caption\n,x\n", "DATA_IMAGE_MISSING", /t\.csv:2/],
      ["t.csv", "image,caption\n", "DATA_EMPTY", /not one sample/],
      ["t.csv", "", "DATA_EMPTY", /not one sample/],
      ["t.jsonl", '{"image":"a.png"\n', "DATA_ROW", /no JSON.*\n.*t\.jsonl:1/],
      ["t.jsonl", "[1]\n", "DATA_ROW", /no JSON object/],
    ];
    for (const [name, content, code, message] of cases) {
      const error = await failure(write(name, content));
      expect([content, error.name, error.code]).toEqual([content, "DataError", code]);
      expect(error.message).toMatch(message);
    }
    writeFileSync(join(folder, "t.csv"), Buffer.from([0x61, 0xff, 0xfe]));
    expect((await failure(join(folder, "t.csv"))).code).toBe("DATA_UTF8");
    const typo = await caught(() =>
      imageCaptions(write("u.csv", "img,text\na.png,x\n"), { columns: { image: "imgs" } }).size(),
    );
    expect(typo.message).toMatch(/did you mean img\?/);
  });

  it("paths that leave the folder", async () => {
    for (const path of ["../secret.png", "/etc/passwd", "pets/../../x.png"]) {
      const error = await failure(write("t.csv", `image,caption\n${path},x\n`));
      expect([error.name, error.code]).toEqual(["UnsafePathError", "DATA_PATH"]);
    }
  });

  it("folders that are not there, or hold no picture", async () => {
    const missing = await failure(join(folder, "nowhere"));
    expect([missing.name, missing.code]).toEqual(["StorageError", "DATA_FOLDER"]);
    mkdirSync(join(folder, "empty"));
    expect((await failure(join(folder, "empty"))).code).toBe("DATA_EMPTY");
    expect((await failure("https://example.org/photos/")).code).toBe("DATA_SOURCE");
  });

  it("are skipped and counted on request, broken pictures too", async () => {
    write("broken.png", "<html>");
    write("broken.txt", "words");
    rmSync(join(folder, "b.txt"));
    const data = imageCaptions(folder, { preprocess, onError: "skip" });
    const ids = [];
    for await (const batch of data) ids.push(...batch.id);
    expect(ids).toEqual(["a.png", "pets/c.png"]);
    expect(data.skipped.byCode).toEqual({ DATA_CAPTION_MISSING: 1, IM_FORMAT: 1 });
    expect(data.skipped.first.map(({ sample }) => sample)).toEqual([join(folder, "b.png"), "broken.png"]);
  });

  it("a broken picture names its file", async () => {
    write("a.png", "<html>");
    const error = await failure(folder);
    expect(error.code).toBe("IM_FORMAT");
    expect(error.message).toContain(join(folder, "a.png"));
  });

  it("pictures that come out in different sizes", async () => {
    const free: Preprocessor = { filter: "bicubic", rescale: 1 / 255 };
    const items = [source(4, 4, 3, 1), source(5, 4, 3, 1)].map((image) => ({ image, caption: "x" }));
    const error = await caught(async () => {
      for await (const batch of imageCaptions(items, { preprocess: free, batch: 2 })) expect(batch).toBeDefined();
    });
    expect([error.name, error.code]).toEqual(["ShapeError", "IM_BATCH_SHAPE"]);
  });
});

describe("tables", () => {
  it("CSV keeps empty cells, quotes and line numbers", () => {
    expect(parseCsv('a,b\n"",x\n"p\nq",""""\n\n1,2', "t")).toEqual([
      { line: 2, values: { a: "", b: "x" } },
      { line: 3, values: { a: "p\nq", b: '"' } },
      { line: 6, values: { a: "1", b: "2" } },
    ]);
  });

  it("JSON Lines sees a doubled key only in the outermost object", () => {
    expect(parseJsonLines('{"a":{"b":1},"b":"{\\"a\\":2}","c":[{"a":1}]}', "t")[0]!.values.b).toBe('{"a":2}');
  });
});
