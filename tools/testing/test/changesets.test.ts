import { execFileSync } from "node:child_process";
import { cpSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import os from "node:os";
import path from "node:path";
import { fileURLToPath } from "node:url";
import { expect, test } from "vitest";
import { packages } from "../../lib/workspace.ts";

const root = fileURLToPath(new URL("../../..", import.meta.url));

test("a minor release of core leaves every other package at its version", () => {
  const folder = mkdtempSync(path.join(os.tmpdir(), "vlm-changesets-"));
  try {
    for (const file of [".changeset/config.json", "package.json", "pnpm-lock.yaml", "pnpm-workspace.yaml"]) {
      cpSync(path.join(root, file), path.join(folder, file));
    }
    const all = packages();
    for (const { folder: name } of all)
      cpSync(path.join(root, name, "package.json"), path.join(folder, name, "package.json"));
    writeFileSync(path.join(folder, ".changeset", "one.md"), '---\n"@vlm/core": minor\n---\n\nAn op.\n');
    execFileSync(process.execPath, [path.join(root, "node_modules/@changesets/cli/bin.js"), "version"], {
      cwd: folder,
    });
    const changed = all.filter(({ folder: name, manifest }) => {
      const after = JSON.parse(readFileSync(path.join(folder, name, "package.json"), "utf8")) as { version: string };
      return after.version !== manifest.version;
    });
    expect(changed.map(({ id }) => id)).toEqual(["@vlm/core"]);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
});
