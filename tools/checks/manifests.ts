import { existsSync, readFileSync } from "node:fs";
import path from "node:path";
import { type Check, failed, type Outcome, passed } from "../lib/check.ts";
import { type Manifest, type Package, packages, root } from "../lib/workspace.ts";

/** Every package has the same shape, so that all of them install alike and a reader knows where things are. */
export const check: Check = {
  name: "manifests",
  stage: "early",
  inputs: (file) => /^packages\/[^/]+\/[^/]+$/.test(file),
  run: async () => packages().map(inspect),
};

const FILES = ["README.md", "package.json", "src/index.ts", "tsconfig.json", "vitest.config.ts"];
const HOOKS = ["preinstall", "install", "postinstall", "prepare"];

function inspect(item: Package): Outcome {
  const { manifest, folder } = item;
  const rules: [boolean, string][] = [
    ...FILES.map((file): [boolean, string] => [existsSync(path.join(root, folder, file)), `${file} is missing`]),
    [manifest.name === `@vlm/${item.name}`, `name should be @vlm/${item.name}`],
    [typeof manifest.description === "string" && manifest.description.length > 0, "description is empty"],
    [manifest.license === "Apache-2.0", "license should be Apache-2.0"],
    [manifest.type === "module", 'type should be "module": packages are ESM only'],
    [manifest.sideEffects === false, "sideEffects should be false"],
    [isObject(manifest.engines) && manifest.engines.node === ">=20.19", 'engines.node should be ">=20.19"'],
    [isObject(manifest.repository) && manifest.repository.directory === folder, `repository.directory: ${folder}`],
    [JSON.stringify(manifest.files)?.includes('"dist"') === true, 'files should hold "dist"'],
    [!HOOKS.some((hook) => isObject(manifest.scripts) && hook in manifest.scripts), "it has an install script"],
    [typeof manifest.vlm?.budget?.kB === "number", 'no size budget: "vlm": { "budget": { "import": "*", "kB": n } }'],
    [
      sourceFirst(manifest),
      'each entry of exports begins with "@vlm/source" and has "default", of TypeScript "types" too',
    ],
    [publishedExports(manifest), 'publishConfig.exports should be exports without "@vlm/source"'],
    [corePeer(manifest), '@vlm/core should be a peer (">=0.1.0 <1") and a devDependency, never a dependency'],
    [hasHeading(item), `README.md should begin with # ${manifest.name}`],
  ];
  const broken = rules.filter(([ok]) => !ok).map(([, message]) => message);
  return broken.length === 0 ? passed(item.id) : failed(item.id, broken.join("\n"));
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null;
}

function sourceFirst({ exports = {} }: Manifest): boolean {
  return Object.values(exports).every(
    (entry) =>
      typeof entry === "string" ||
      (Object.keys(entry)[0] === "@vlm/source" &&
        "default" in entry &&
        ("types" in entry || entry["@vlm/source"]?.endsWith(".js") === true)),
  );
}

function publishedExports({ exports = {}, publishConfig }: Manifest): boolean {
  const stripped = Object.entries(exports).map(([key, entry]) => {
    if (typeof entry === "string") return [key, entry];
    const { "@vlm/source": _source, ...rest } = entry;
    return [key, rest];
  });
  const published = isObject(publishConfig) ? publishConfig.exports : undefined;
  return JSON.stringify(published) === JSON.stringify(Object.fromEntries(stripped));
}

/** One device and one graph: two copies of core could not exchange tensors, so nobody brings their own. */
function corePeer({ name, dependencies = {}, peerDependencies = {}, devDependencies = {} }: Manifest): boolean {
  const core = "@vlm/core";
  if (name === core) return true;
  const used = [dependencies, peerDependencies, devDependencies].some((group) => core in group);
  return !used || (!(core in dependencies) && peerDependencies[core] === ">=0.1.0 <1" && core in devDependencies);
}

function hasHeading({ folder, id }: Package): boolean {
  const file = path.join(root, folder, "README.md");
  return existsSync(file) && readFileSync(file, "utf8").startsWith(`# ${id}\n`);
}
