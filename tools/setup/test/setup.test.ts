import { execFileSync, spawnSync } from "node:child_process";
import { chmodSync, cpSync, existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import os from "node:os";
import path from "node:path";
import { fileURLToPath } from "node:url";
import { afterEach, beforeEach, describe, expect, test } from "vitest";

const root = fileURLToPath(new URL("../../..", import.meta.url));
let folder: string;

beforeEach(() => {
  folder = mkdtempSync(path.join(os.tmpdir(), "vlm-setup-test-"));
  cpSync(path.join(root, "tools", "setup.mjs"), path.join(folder, "tools", "setup.mjs"));
  cpSync(path.join(root, "tools", "setup"), path.join(folder, "tools", "setup"), { recursive: true });
  cpSync(path.join(root, "tools", "testing"), path.join(folder, "tools", "testing"), { recursive: true });
  for (const file of ["package.json", "pnpm-lock.yaml", "pnpm-workspace.yaml"]) {
    cpSync(path.join(root, file), path.join(folder, file));
  }
});

afterEach(() => rmSync(folder, { recursive: true, force: true }));

/** Runs the set-up of a copy of the workspace. `npx` is what stands in for the real one on PATH. */
function setUp(options: { npx?: string; env?: Record<string, string>; nodeArgs?: string[]; args?: string[] } = {}) {
  const bin = path.join(folder, "bin");
  mkdirSync(bin, { recursive: true });
  if (options.npx !== undefined) {
    writeFileSync(path.join(bin, "npx"), `#!/bin/sh\n${options.npx}\n`);
    chmodSync(path.join(bin, "npx"), 0o755);
  }
  const { status, stdout, stderr } = spawnSync(
    process.execPath,
    [...(options.nodeArgs ?? []), path.join(folder, "tools", "setup.mjs"), ...(options.args ?? [])],
    { encoding: "utf8", env: { ...process.env, ...options.env, PATH: `${bin}:/usr/bin:/bin:${process.env.PATH}` } },
  );
  return { status, stdout, said: stderr.trim() };
}

/** An npx that behaves as if pnpm had installed; its fifth argument is the workspace (--yes --prefer-offline pnpm --dir). */
const SUCCEEDS = 'mkdir -p "$5/node_modules" && touch "$5/node_modules/.modules.yaml" && echo "$@" >> "$5/calls"';

describe("installing", () => {
  test("runs the pinned pnpm with a frozen lockfile once, and again only when a manifest changes", () => {
    const npx = SUCCEEDS;
    expect(setUp({ npx })).toMatchObject({ status: 0, said: "" });
    expect(setUp({ npx })).toMatchObject({ status: 0, said: "", stdout: "" });
    const calls = () => readFileSync(path.join(folder, "calls"), "utf8").trim().split("\n");
    expect(calls()).toHaveLength(1);
    expect(calls()[0]).toMatch(/^--yes --prefer-offline pnpm@\d+\.\d+\.\d+ --dir \S+ install --frozen-lockfile/);
    mkdirSync(path.join(folder, "packages", "new"), { recursive: true });
    writeFileSync(path.join(folder, "packages", "new", "package.json"), "{}");
    expect(setUp({ npx }).status).toBe(0);
    expect(calls()).toHaveLength(2);
  });

  test.each([
    ["no network", "npm error code ENOTFOUND", /^The package registry cannot be reached: connect/],
    [
      "no network for pnpm",
      "ERR_PNPM_META_FETCH_FAIL GET: request failed, reason: getaddrinfo EAI_AGAIN",
      /^The package registry/,
    ],
    ["a full disk", "ENOSPC: no space left on device, write", /^The disk is full: free some space/],
    ["a read-only folder", "EROFS: read-only file system, mkdir", /^A folder cannot be written/],
    ["a lockfile that does not fit", "ERR_PNPM_OUTDATED_LOCKFILE  Cannot install", /^pnpm-lock.yaml does not fit/],
  ])("%s ends with one sentence", (_what, output, sentence) => {
    const { status, said } = setUp({ npx: `echo "${output}" >&2; exit 1` });
    expect(status).toBe(1);
    expect(said).toMatch(sentence);
    expect(said.split("\n")).toHaveLength(1);
  });

  test("an unknown failure shows what pnpm said, then a sentence", () => {
    const { status, said } = setUp({ npx: "echo something odd >&2; exit 3" });
    expect(status).toBe(1);
    expect(said).toBe("something odd\npnpm could not install the dependencies; its own words are above.");
  });

  test("a machine that is really offline", () => {
    const npx = path.join(path.dirname(process.execPath), "npx");
    const registry = "http://127.0.0.1:9/";
    const env = { npm_config_registry: registry, npm_config_cache: path.join(folder, "cache") };
    const { status, said } = setUp({ npx: `exec ${npx} "$@"`, env });
    expect(status).toBe(1);
    expect(said).toMatch(/^The package registry cannot be reached[^\n]*$/);
  });
});

describe("Node", () => {
  test.each(["12.22.0", "18.20.4", "20.18.3"])("%s is refused in one sentence", (version) => {
    const fake = path.join(folder, "fake.cjs");
    writeFileSync(fake, `Object.defineProperty(process, "versions", { value: { node: "${version}" } });`);
    const { status, said } = setUp({ nodeArgs: ["--require", fake] });
    expect(status).toBe(1);
    expect(said).toBe(
      `vlm needs Node 20.19 or newer, and this is Node ${version}: install a newer one and run the command again.`,
    );
  });
});

describe("what the tests need", () => {
  const prepare = (env: Record<string, string>, npx = SUCCEEDS) => setUp({ npx, args: ["--tests"], env });

  test("without a browser and without the right to install one: says what to install", () => {
    // An apt-get that fails, as for a user who is not root.
    mkdirSync(path.join(folder, "bin"), { recursive: true });
    writeFileSync(path.join(folder, "bin", "apt-get"), "#!/bin/sh\nexit 1\n");
    chmodSync(path.join(folder, "bin", "apt-get"), 0o755);
    const { status, said } = prepare({ VLM_BROWSER: "/nowhere/chromium", VLM_ALLOW_SKIP: "webgpu" });
    expect(status).toBe(1);
    expect(said).toBe(
      "npm test needs a Chromium (chromium, or VLM_BROWSER=path of one): install it, or leave those tests out with VLM_ALLOW_SKIP=browser.",
    );
  });

  test("nothing is asked for when skipping was asked for", () => {
    expect(prepare({ VLM_BROWSER: "/nowhere/chromium", VLM_ALLOW_SKIP: "webgpu, browser" }).status).toBe(0);
  });
});

test("new:package makes a package that the checks accept, and changes no file", () => {
  mkdirSync(path.join(folder, "packages", "vit"), { recursive: true });
  cpSync(path.join(root, "packages/vit/package.json"), path.join(folder, "packages/vit/package.json"));
  const make = (...args: string[]) =>
    spawnSync(process.execPath, [path.join(root, "tools/new-package.mjs"), "--root", folder, ...args], {
      encoding: "utf8",
    });
  expect(make("two-words", "--layer", "3", "--description", "Two words.").status).toBe(0);
  const made = path.join(folder, "packages", "two-words");
  for (const file of [
    "README.md",
    "package.json",
    "src/index.ts",
    "src/two-words.ts",
    "tsconfig.json",
    "vitest.config.ts",
  ]) {
    expect(existsSync(path.join(made, file)), file).toBe(true);
  }
  const manifest = JSON.parse(readFileSync(path.join(made, "package.json"), "utf8"));
  expect(manifest).toMatchObject({ name: "@vlm/two-words", sideEffects: false, vlm: { layer: 3 } });
  expect(manifest.repository.directory).toBe("packages/two-words");
  const biome = path.join(root, "node_modules", ".bin", "biome");
  execFileSync(biome, ["check", "--vcs-enabled=false", `--config-path=${root}`, made], { cwd: folder });
  expect(make("two-words").stderr).toContain("exists already");
  expect(make("Two").stderr).toContain("usage");
  expect(make("three", "--layer", "9").stderr).toContain("layer 1, 2 or 3");
});
