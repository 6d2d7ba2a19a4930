// pnpm new:package NAME [LAYER]: makes packages/NAME; no existing file has to change.
import { existsSync, mkdirSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

const [name, description = ""] = process.argv.slice(2);
if (!name || !/^[a-z][a-z0-9-]*$/.test(name)) {
  console.error("usage: pnpm new:package NAME [DESCRIPTION]   (NAME in kebab-case)");
  process.exit(1);
}
const root = join(dirname(fileURLToPath(import.meta.url)), "..", "packages", name);
if (existsSync(root)) {
  console.error(`packages/${name} exists already; choose another name`);
  process.exit(1);
}
const needsCore = name !== "core" && name !== "tokenizers";
const manifest = {
  name: `@vlm/${name}`,
  version: "0.1.0",
  description,
  license: "Apache-2.0",
  type: "module",
  sideEffects: false,
  engines: { node: ">=20.19" },
  repository: { type: "git", url: "git+https://github.com/vlm-js/vlm.git", directory: `packages/${name}` },
  files: ["dist"],
  exports: {
    ".": { "@vlm/source": "./src/index.ts", types: "./dist/index.d.ts", default: "./dist/index.js" },
    "./package.json": "./package.json",
  },
  publishConfig: {
    access: "public",
    exports: {
      ".": { types: "./dist/index.d.ts", default: "./dist/index.js" },
      "./package.json": "./package.json",
    },
  },
  scripts: { build: "tsup --config ../../tsup.config.ts" },
  ...(needsCore
    ? { peerDependencies: { "@vlm/core": "workspace:^" }, devDependencies: { "@vlm/core": "workspace:*" } }
    : {}),
};
const write = (path, text) => {
  mkdirSync(dirname(join(root, path)), { recursive: true });
  writeFileSync(join(root, path), text);
};
write("package.json", `${JSON.stringify(manifest, null, 2)}\n`);
write(
  "tsconfig.json",
  `${JSON.stringify({ extends: "../../tsconfig.base.json", include: ["src", "test"] }, null, 2)}\n`,
);
write(
  "vitest.config.ts",
  `import { defineProject, mergeConfig } from "vitest/config";
import shared from "../../vitest.shared.ts";

export default mergeConfig(shared, defineProject({ test: { name: "${name}" } }));
`,
);
write("src/index.ts", "export {};\n");
write("README.md", `# @vlm/${name}\n\n${description}\n`);
console.log(`packages/${name} made; run pnpm install`);
