import { fileURLToPath } from "node:url";
import { gzipSync } from "node:zlib";
import { build, type Rollup } from "vite";
import { expect, test } from "vitest";
import { RANGES } from "../src/unicode/ranges.generated.ts";

const DATA = gzipSync(Object.values(RANGES).join(""), { level: 9 }).length;

/** What an application downloads before its first text; rare formats and the regex engine come in chunks of their own. */
test("the code is at most 25 kB gzip, without the character tables", async () => {
  const result = (await build({
    configFile: false,
    logLevel: "silent",
    build: {
      write: false,
      minify: true,
      target: "es2022",
      modulePreload: false,
      rolldownOptions: {
        input: fileURLToPath(new URL("../src/index.ts", import.meta.url)),
        preserveEntrySignatures: "strict",
      },
    },
  })) as Rollup.RollupOutput;
  const chunks = new Map(result.output.flatMap((o) => (o.type === "chunk" ? [[o.fileName, o] as const] : [])));
  const initial = new Set<string>();
  const visit = (name: string) => {
    if (initial.has(name)) return;
    initial.add(name);
    for (const next of chunks.get(name)!.imports) visit(next);
  };
  visit([...chunks.values()].find((c) => c.isEntry)!.fileName);
  const code = [...initial].map((name) => chunks.get(name)!.code).join("\n");
  const size = gzipSync(code, { level: 9 }).length - DATA;
  expect(size).toBeGreaterThan(10_000);
  expect(size).toBeLessThanOrEqual(25_000);
  expect(code).not.toMatch(/\beval\(|new Function/);
});
