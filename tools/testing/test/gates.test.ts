/**
 * Every gate catches what it is there for: a small workspace of its own is broken in one way at a time, and the real
 * runner is run on it.
 */
import { spawnSync } from "node:child_process";
import { cpSync, mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import os from "node:os";
import path from "node:path";
import { fileURLToPath } from "node:url";
import { afterAll, beforeAll, beforeEach, describe, expect, test } from "vitest";

const root = fileURLToPath(new URL("../../..", import.meta.url));
let folder: string;

beforeAll(() => {
  folder = mkdtempSync(path.join(os.tmpdir(), "vlm-gates-"));
  for (const name of ["tools", "package.json", "tsconfig.base.json", "tsconfig.json", "biome.json", "turbo.json"]) {
    cpSync(path.join(root, name), path.join(folder, name), {
      recursive: true,
      filter: (from) => !/\/tools\/vitest\.config\.ts$/.test(from),
    });
  }
  for (const name of ["vitest.config.ts", "vitest.shared.ts"]) cpSync(path.join(root, name), path.join(folder, name));
  writeFileSync(path.join(folder, ".gitignore"), "node_modules\n.cache\n");
  symlinkSync(path.join(root, "node_modules"), path.join(folder, "node_modules"), "junction");
});

afterAll(() => rmSync(folder, { recursive: true, force: true }));

/** Two sound packages of layer 2, without a dependency on core. */
beforeEach(() => {
  rmSync(path.join(folder, "packages"), { recursive: true, force: true });
  rmSync(path.join(folder, ".cache"), { recursive: true, force: true });
  mkdirSync(path.join(folder, "packages"));
  for (const name of ["one", "two"]) {
    const made = spawnSync(process.execPath, [path.join(root, "tools/new-package.mjs"), "--root", folder, name]);
    expect(made.status).toBe(0);
    write(`packages/${name}/src/${name}.ts`, `/** The name. */\nexport const ${name}: string = "${name}";\n`);
    write(`packages/${name}/src/${name}.test.ts`, testFile(`test("is", () => expect(1).toBe(1));`));
    const file = `packages/${name}/package.json`;
    const manifest = JSON.parse(readFileSync(path.join(folder, file), "utf8"));
    delete manifest.peerDependencies;
    delete manifest.devDependencies;
    manifest.repository = { ...manifest.repository, directory: `packages/${name}` };
    write(file, JSON.stringify(manifest, null, 2));
  }
});

const testFile = (body: string) => `import { expect, test } from "vitest";\n${body}\n`;

function write(file: string, text: string): void {
  mkdirSync(path.dirname(path.join(folder, file)), { recursive: true });
  writeFileSync(path.join(folder, file), text);
}

function npmTest(names: string[], env: Record<string, string> = {}) {
  const { status, stdout } = spawnSync(
    process.execPath,
    ["--import", path.join(root, "node_modules/tsx/dist/loader.mjs"), path.join(folder, "tools/test.ts"), ...names],
    { cwd: folder, encoding: "utf8", env: { ...process.env, CI: "", VLM_ALLOW_SKIP: "", VITEST: "", ...env } },
  );
  return { status, output: stdout, last: stdout.trim().split("\n").at(-1) };
}

describe("a sound workspace", () => {
  test("passes, and is not tested again until something changes", () => {
    const first = npmTest(["layers", "manifests", "size", "one", "two"]);
    expect(first.output).toContain("ok      layers");
    expect(first).toMatchObject({ status: 0, last: "10 passed, 0 failed" });
    const second = npmTest(["layers", "manifests", "size", "one", "two"]);
    expect(second).toMatchObject({ status: 0, last: "10 passed, 0 failed" });
    expect(second.output).toContain("tests of one (1, unchanged)");
    write("packages/one/src/one.ts", `/** Changed. */\nexport const one: string = "1";\n`);
    const third = npmTest(["size", "one", "two"]);
    expect(third.output).not.toContain("tests of one (1, unchanged)");
    expect(third.output).toContain("tests of two (1, unchanged)");
  });
});

describe("layers", () => {
  const breaks = (expected: string) => {
    const { status, output } = npmTest(["layers"]);
    expect(output).toContain(expected);
    expect(status).toBe(1);
  };

  test("an import sideways", () => {
    write("packages/one/src/one.ts", `export { two as one } from "@vlm/two";\n`);
    breaks("imports sideways: @vlm/one is in layer 2, @vlm/two in layer 2");
  });

  test("an import by path", () => {
    write("packages/one/src/one.ts", `export { two as one } from "../../two/src/two.ts";\n`);
    breaks("imports packages/two/src/two.ts by path");
  });

  test("an import upwards that only the manifest tells", () => {
    const manifest = JSON.parse(readFileSync(path.join(folder, "packages/one/package.json"), "utf8"));
    write(
      "packages/one/package.json",
      JSON.stringify({ ...manifest, dependencies: { "@vlm/two": "workspace:^" }, vlm: { ...manifest.vlm, layer: 1 } }),
    );
    breaks("imports upwards: @vlm/one is in layer 1, @vlm/two in layer 2");
  });

  test("a circular import, but not one of types alone", () => {
    write("packages/one/src/b.ts", `import type { A } from "./one.ts";\nexport const one: A = 1;\n`);
    write("packages/one/src/one.ts", `export type A = number;\nexport { one } from "./b.ts";\n`);
    expect(npmTest(["layers"]).status).toBe(0);
    write("packages/one/src/b.ts", `import { a } from "./one.ts";\nexport const one = () => a;\n`);
    write("packages/one/src/one.ts", `export const a = 1;\nexport { one } from "./b.ts";\n`);
    breaks("packages/one/src/one.ts");
  });
});

test("manifests: a dependency on core, an install script, exports that differ", () => {
  const file = "packages/one/package.json";
  const manifest = JSON.parse(readFileSync(path.join(folder, file), "utf8"));
  const broken = {
    ...manifest,
    sideEffects: true,
    dependencies: { "@vlm/core": "workspace:^" },
    scripts: { postinstall: "true" },
  };
  write(file, JSON.stringify({ ...broken, publishConfig: { exports: {} } }));
  const { status, output } = npmTest(["manifests"]);
  expect(status).toBe(1);
  for (const words of [
    "sideEffects should be false",
    "it has an install script",
    "@vlm/core should be a peer",
    "publishConfig.exports should be",
  ]) {
    expect(output).toContain(words);
  }
});

test("size: code that is loaded later counts too", () => {
  // Digits that do not compress.
  const digits = Array.from({ length: 4000 }, (_, i) =>
    Math.abs(Math.sin(i + 1))
      .toString()
      .slice(2, 12),
  ).join("");
  write("packages/one/src/later.ts", `export const digits = "${digits}";\n`);
  write("packages/one/src/one.ts", `export const one = () => import("./later.ts");\n`);
  const { status, output } = npmTest(["size"]);
  expect(status).toBe(1);
  expect(output).toMatch(/@vlm\/one \*: 1\d\.\d kB of 10 kB gzip/);
});

test("snippets: one that does not compile, one that throws, one that wants the network", () => {
  const block = (code: string) => `\n\`\`\`ts\n${code}\n\`\`\`\n`;
  write("packages/one/README.md", `# @vlm/one\n${block("const x: string = 1;")}${block("console.log(1);")}`);
  write(
    "packages/two/README.md",
    `# @vlm/two\n${block('throw new Error("broken");')}${block('await fetch("http://192.0.2.1/");')}`,
  );
  const { status, output, last } = npmTest(["snippets"]);
  expect(status).toBe(1);
  expect(output).toContain("Type 'number' is not assignable to type 'string'");
  expect(output).toContain("Error: broken");
  expect(output).toContain("no network in tests");
  expect(last).toBe("1 passed, 3 failed");
});

describe("tests", () => {
  test("one that is skipped fails the run unless that was asked for, and then the last lines say so", () => {
    write(
      "packages/one/src/one.test.ts",
      testFile(`test("is", () => expect(1).toBe(1));\ntest.skip("is not", () => {});`),
    );
    const silent = npmTest(["one"]);
    expect(silent).toMatchObject({ status: 1, last: "1 passed, 1 failed, 1 skipped" });
    const asked = npmTest(["one"], { VLM_ALLOW_SKIP: "webgpu,browser" });
    expect(asked).toMatchObject({ status: 0, last: "1 passed, 0 failed, 1 skipped" });
    expect(asked.output.split("\n").slice(-6).join("\n")).toContain("Skipped because of VLM_ALLOW_SKIP=webgpu,browser");
  });

  test("a file that does not load fails the run", () => {
    write("packages/one/src/one.test.ts", `import "./nowhere.ts";\n`);
    expect(npmTest(["one"])).toMatchObject({ status: 1, last: "0 passed, 1 failed" });
  });

  test("a name that is neither a package nor a check is answered with those that are", () => {
    const { status } = npmTest(["onne"]);
    expect(status).toBe(1);
  });
});
