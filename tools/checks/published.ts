import { execFileSync } from "node:child_process";
import { type Check, failed, isPackageSource, type Outcome, passed } from "../lib/check.ts";
import { type Packed, packAll } from "../lib/pack.ts";
import { inParallel, run } from "../lib/run.ts";
import type { Manifest } from "../lib/workspace.ts";

/** What would be published, judged by publint, by "are the types wrong", and by a look into the tarball. */
export const check: Check = {
  name: "published",
  stage: "late",
  inputs: (file) => isPackageSource(file) || file === "tsup.config.ts",
  run: async () => (await inParallel(await packAll(), 2, inspect)).flat(),
};

async function inspect(item: Packed): Promise<Outcome[]> {
  const publint = await run("publint", [item.tarball, "--strict"]);
  const attw = await run("attw", [item.tarball, "--profile", "esm-only", "--no-color", "--no-emoji", ...untyped(item)]);
  return [
    outcome(`publint ${item.id}`, publint.status === 0, publint.output),
    outcome(`types of ${item.id}`, attw.status === 0, attw.output),
    contents(item),
  ];
}

/** Entries of plain JavaScript, such as a worker that is started by its URL, have no types to judge. */
function untyped({ manifest }: Packed): string[] {
  const keys = Object.entries(manifest.exports ?? {}).flatMap(([key, target]) =>
    typeof target !== "string" && !target.types ? [key] : [],
  );
  return keys.length === 0 ? [] : ["--exclude-entrypoints", ...keys];
}

function outcome(name: string, ok: boolean, detail: string): Outcome {
  return ok ? passed(name) : failed(name, detail);
}

function contents({ id, tarball }: Packed): Outcome {
  const name = `tarball of ${id}`;
  const files = execFileSync("tar", ["-tzf", tarball], { encoding: "utf8" }).trim().split("\n");
  const manifest = JSON.parse(
    execFileSync("tar", ["-xzOf", tarball, "package/package.json"], { encoding: "utf8" }),
  ) as Manifest;
  const strange = files.filter(
    (file) => !/^package\/(dist\/|assets\/|package\.json$|README\.md$|LICENSE|CHANGELOG\.md$)/.test(file),
  );
  const problems = [
    ...strange.map((file) => `${file} should not be published`),
    ...(files.includes("package/LICENSE") ? [] : ["LICENSE is missing"]),
    ...(JSON.stringify(manifest).includes("workspace:") ? ["a workspace: range would be published"] : []),
    ...(JSON.stringify(manifest.exports).includes("@vlm/source") ? ["exports still name the source"] : []),
  ];
  return outcome(name, problems.length === 0, problems.join("\n"));
}
