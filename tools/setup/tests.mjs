// What `npm test` needs besides the dependencies: a browser, and a WebGPU adapter that Dawn can use in Node.
import { spawnSync } from "node:child_process";
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import os from "node:os";
import path from "node:path";
import { fileURLToPath } from "node:url";
import { findBrowser } from "../testing/find-browser.mjs";
import { gpuEnvironment, MESA_AT_LEAST, skipAllowed } from "../testing/gpu.mjs";
import { Problem, sentenceFor } from "./problem.mjs";

/** Makes sure that both exist: installs software ones on Debian and Ubuntu as root, else says what to install. */
export function prepareTests() {
  const needs = { browser: !skipAllowed("browser"), webgpu: !skipAllowed("webgpu") };
  const missing = () => ({ browser: needs.browser && !findBrowser(), webgpu: needs.webgpu && !hasAdapter() });
  const before = missing();
  if (!before.browser && !before.webgpu) return;
  if (canInstall()) install(before);
  const after = canInstall() ? missing() : before;
  if (after.browser || after.webgpu) throw new Problem(advice(after));
}

function advice({ browser, webgpu }) {
  const wanted = [
    webgpu && `a WebGPU adapter (libvulkan1 with mesa-vulkan-drivers ${MESA_AT_LEAST} or newer)`,
    browser && "a Chromium (chromium, or VLM_BROWSER=path of one)",
  ].filter(Boolean);
  const skip = [webgpu && "webgpu", browser && "browser"].filter(Boolean).join(",");
  return `npm test needs ${wanted.join(" and ")}: install it, or leave those tests out with VLM_ALLOW_SKIP=${skip}.`;
}

/** Asks Dawn in a process of its own: a driver that crashes must not end the set-up. */
function hasAdapter() {
  const probe = fileURLToPath(new URL("./probe-adapter.mjs", import.meta.url));
  const env = { ...process.env, ...gpuEnvironment() };
  return spawnSync(process.execPath, [probe], { env, stdio: "ignore", timeout: 60_000 }).status === 0;
}

function canInstall() {
  const root = process.getuid?.() === 0;
  return root && existsSync("/etc/debian_version") && spawnSync("apt-get", ["--version"]).status === 0;
}

function install({ browser, webgpu }) {
  const what = [webgpu && "a software WebGPU adapter", browser && "Chromium"].filter(Boolean).join(" and ");
  console.log(`Installing ${what} for the tests with apt-get ...`);
  apt(["update"]);
  if (browser) installChromium();
  if (webgpu) installDriver();
}

function installChromium() {
  if (candidate("chromium")) return apt(["install", "chromium"]);
  // Ubuntu has Chromium only as a snap, which does not start in containers: Playwright brings its own build.
  const cli = fileURLToPath(new URL("../../node_modules/playwright-core/cli.js", import.meta.url));
  run(process.execPath, [cli, "install", "--with-deps", "chromium"]);
}

function installDriver() {
  if (Number.parseInt(candidate("mesa-vulkan-drivers") ?? "0", 10) >= MESA_AT_LEAST) {
    return apt(["install", "libvulkan1", "mesa-vulkan-drivers"]);
  }
  apt(["install", "libvulkan1"]);
  withBackports((options, suite) => apt([...options, "install", "-t", suite, "mesa-vulkan-drivers"]));
  // Where there are no backports either, the SwiftShader of Chromium serves.
  if (!hasAdapter() && candidate("chromium")) apt(["install", "chromium"]);
}

/**
 * Calls `use` with apt options under which the release's backports are known too. They live in a temporary folder, so
 * the machine's own list of sources stays as it is; the mirror is the one that the machine already uses.
 */
function withBackports(use) {
  const codename = /VERSION_CODENAME=(\w+)/.exec(readFileSync("/etc/os-release", "utf8"))?.[1];
  const line = codename && debianSource(codename);
  if (!line) return;
  const folder = mkdtempSync(path.join(os.tmpdir(), "vlm-apt-"));
  try {
    writeFileSync(path.join(folder, "backports.list"), `${line} ${codename}-backports main\n`);
    copySources(folder);
    const options = ["-o", `Dir::Etc::SourceParts=${folder}`];
    try {
      apt([...options, "update"]);
      use(options, `${codename}-backports`);
    } catch {
      // No backports for this release on this mirror: the caller goes on without.
    }
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

const SOURCES = "/etc/apt/sources.list.d";

function copySources(folder) {
  for (const file of existsSync(SOURCES) ? readdirSync(SOURCES) : []) {
    writeFileSync(path.join(folder, file), readFileSync(path.join(SOURCES, file)));
  }
}

/** `deb [options] URI` of the source that serves the release itself, from either format of apt's lists. */
function debianSource(codename) {
  const files = existsSync(SOURCES) ? readdirSync(SOURCES).map((file) => path.join(SOURCES, file)) : [];
  for (const file of ["/etc/apt/sources.list", ...files].filter((name) => existsSync(name))) {
    const text = readFileSync(file, "utf8").replace(/^#.*\n/gm, "");
    if (!file.endsWith(".sources")) {
      const found = new RegExp(`^deb (\\[[^\\]]*\\] )?(\\S+) ${codename} .*\\bmain\\b`, "m").exec(text);
      if (found) return `deb ${found[1] ?? ""}${found[2]}`;
      continue;
    }
    for (const stanza of text.split(/\n\s*\n/)) {
      const field = (name) => new RegExp(`^${name}: *(.+)$`, "m").exec(stanza)?.[1]?.trim();
      if (!field("Suites")?.split(/\s+/).includes(codename)) continue;
      const key = field("Signed-By");
      return `deb ${key ? `[signed-by=${key}] ` : ""}${field("URIs")?.split(/\s+/)[0]}`;
    }
  }
  return undefined;
}

/** The version that apt-get would install, or undefined. */
function candidate(name) {
  const found = spawnSync("apt-cache", ["policy", name], { encoding: "utf8", env: { ...process.env, LC_ALL: "C" } });
  const version = /Candidate: (?:\d+:)?(\S+)/.exec(found.stdout ?? "")?.[1];
  return version === "(none)" ? undefined : version;
}

const apt = (args) => run("apt-get", ["-y", "-q", "--no-install-recommends", ...args]);

function run(command, args) {
  const env = { ...process.env, DEBIAN_FRONTEND: "noninteractive", LC_ALL: "C" };
  const result = spawnSync(command, args, { encoding: "utf8", env, maxBuffer: 64 * 2 ** 20 });
  if (result.status === 0) return;
  const output = `${result.error?.message ?? ""}\n${result.stdout}\n${result.stderr}`;
  const sentence = sentenceFor(output);
  if (!sentence) console.error(output.trim().split("\n").slice(-20).join("\n"));
  throw new Problem(sentence ?? `\`${command} ${args.join(" ")}\` failed; its own words are above.`);
}
