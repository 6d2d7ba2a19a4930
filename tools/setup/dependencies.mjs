// Installs the workspace with the pnpm that package.json pins, whether or not pnpm is on PATH.
// A no-op (a few milliseconds) when node_modules already fits the lockfile.
import { spawnSync } from "node:child_process";
import { createHash } from "node:crypto";
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import os from "node:os";
import path from "node:path";
import { fileURLToPath } from "node:url";
import { Problem, sentenceFor } from "./problem.mjs";

export const root = fileURLToPath(new URL("../..", import.meta.url));
const at = (...parts) => path.join(root, ...parts);

/** Installs unless the stamp of the last installation fits; `update` lets pnpm rewrite the lockfile. */
export function installDependencies({ update = false } = {}) {
  const pnpm = JSON.parse(readFileSync(at("package.json"), "utf8")).packageManager.split("+")[0];
  const stamp = at("node_modules", ".vlm-setup");
  const installed = existsSync(at("node_modules", ".modules.yaml")) && existsSync(stamp);
  if (!update && installed && readFileSync(stamp, "utf8") === fingerprint(pnpm)) return;

  console.log(`Installing dependencies with ${pnpm} (the first time takes about half a minute) ...`);
  const output = runPnpm(pnpm, ["install", update ? "--no-frozen-lockfile" : "--frozen-lockfile", "--prod=false"]);
  if (output !== undefined) {
    const sentence = sentenceFor(output);
    if (!sentence) console.error(output.trim().split("\n").slice(-30).join("\n"));
    throw new Problem(sentence ?? "pnpm could not install the dependencies; its own words are above.");
  }
  writeFileSync(stamp, fingerprint(pnpm));
}

/** Runs the pinned pnpm on the workspace; undefined when it succeeded, else what it printed. */
function runPnpm(pnpm, args) {
  const windows = process.platform === "win32";
  // The working folder is outside the repository on purpose: inside it npx would take node_modules/.bin/pnpm,
  // which deletes itself when pnpm decides to make node_modules anew.
  const cwd = mkdtempSync(path.join(os.tmpdir(), "vlm-setup-"));
  try {
    const result = spawnSync(
      windows ? "npx.cmd" : "npx",
      ["--yes", "--prefer-offline", pnpm, "--dir", root, ...args, "--config.fetch-retry-mintimeout=1000"],
      {
        cwd,
        encoding: "utf8",
        shell: windows,
        maxBuffer: 64 * 2 ** 20,
        stdio: ["ignore", "pipe", "pipe"],
        // Two quick tries: without a network the sentence should come in seconds, not minutes.
        env: { ...process.env, npm_config_fetch_retries: "1", npm_config_fetch_retry_mintimeout: "1000" },
      },
    );
    if (result.error) return `${result.error.code} ${result.error.message}`;
    return result.status === 0 ? undefined : `${result.stdout}\n${result.stderr}`;
  } finally {
    rmSync(cwd, { recursive: true, force: true });
  }
}

/** Everything that decides what node_modules holds. */
function fingerprint(pnpm) {
  const hash = createHash("sha256").update(pnpm);
  const folders = ["packages", "examples"].flatMap((group) =>
    existsSync(at(group)) ? readdirSync(at(group)).map((name) => path.join(group, name)) : [],
  );
  const manifests = [".", "benchmarks", ...folders.sort()].map((folder) => path.join(folder, "package.json"));
  for (const file of [...manifests, "pnpm-lock.yaml", "pnpm-workspace.yaml"]) {
    if (existsSync(at(file))) hash.update(file).update(readFileSync(at(file)));
  }
  return `${hash.digest("hex")}\n`;
}
