import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import os from "node:os";
import path from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { brokenDocumentLinks, brokenLinks } from "../../docs/links.ts";

let folder: string;
beforeAll(() => {
  folder = mkdtempSync(path.join(os.tmpdir(), "vlm-links-"));
  mkdirSync(path.join(folder, "sub"));
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));
const write = (name: string, text: string) => writeFileSync(path.join(folder, name), text);

test("links of a site: pages and places on them", () => {
  write(
    "index.html",
    '<h1 id="top"></h1><a href="sub/a.html#here">1</a><a href="https://elsewhere">2</a><a href="#top">3</a>',
  );
  write("sub/a.html", '<h2 id="here"></h2><a class="x" href="../index.html">1</a>');
  expect(brokenLinks(folder)).toEqual([]);
  write("sub/a.html", '<a href="../gone.html">1</a><a href="../index.html#gone">2</a>');
  expect(brokenLinks(folder).sort()).toEqual([
    "index.html: sub/a.html#here names no place on that page",
    `${path.join("sub", "a.html")}: ../gone.html leads nowhere`,
    `${path.join("sub", "a.html")}: ../index.html#gone names no place on that page`,
  ]);
});

test("links of Markdown: relative files, but not code", () => {
  write("README.md", "[a](sub/b.md#x) [b](https://elsewhere) [c](gone.md)\n```ts\nf[0](nothing)\n```\n");
  write("sub/b.md", "[up](../README.md)");
  expect(brokenDocumentLinks(folder, ["README.md", "sub/b.md"])).toEqual(["README.md: gone.md leads nowhere"]);
});
