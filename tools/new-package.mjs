// pnpm new:package NAME [--layer N] [--description TEXT]: makes packages/NAME. No existing file has to change: every
// check, test run, build and docs page finds packages by looking.
import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import path from "node:path";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";

const USAGE = "usage: pnpm new:package NAME [--layer 1|2|3] [--description TEXT]   (NAME in kebab-case)";

let parsed;
try {
  parsed = parseArgs({
    allowPositionals: true,
    options: {
      layer: { type: "string", default: "2" },
      description: { type: "string", default: "" },
      root: { type: "string", default: fileURLToPath(new URL("..", import.meta.url)) },
    },
  });
} catch (error) {
  stop(`${error.message}\n${USAGE}`);
}
const { values, positionals } = parsed;
const [name, ...rest] = positionals;
const layer = Number(values.layer);
if (!name || rest.length > 0 || !/^[a-z][a-z0-9]*(-[a-z0-9]+)*$/.test(name)) stop(USAGE);
if (![1, 2, 3].includes(layer)) stop(`--layer ${values.layer}: packages above core are in layer 1, 2 or 3`);
const folder = path.join(values.root, "packages", name);
if (existsSync(folder)) stop(`packages/${name} exists already: choose another name`);

const title = values.description || `The ${name} package of vlm.`;
const exports = { ".": { "@vlm/source": "./src/index.ts", types: "./dist/index.d.ts", default: "./dist/index.js" } };
const manifest = {
  name: `@vlm/${name}`,
  version: "0.1.0",
  description: title,
  license: "Apache-2.0",
  type: "module",
  sideEffects: false,
  engines: { node: ">=20.19" },
  repository: { ...sibling().repository, directory: `packages/${name}` },
  files: ["dist"],
  exports: { ...exports, "./package.json": "./package.json" },
  publishConfig: {
    access: "public",
    exports: {
      ".": { types: "./dist/index.d.ts", default: "./dist/index.js" },
      "./package.json": "./package.json",
    },
  },
  scripts: { build: "tsup --config ../../tsup.config.ts" },
  peerDependencies: { "@vlm/core": ">=0.1.0 <1" },
  devDependencies: { "@vlm/core": "workspace:*" },
  vlm: { layer, budget: { import: "*", kB: 10 } },
};

write("package.json", `${JSON.stringify(manifest, null, 2)}\n`);
write("tsconfig.json", '{\n  "extends": "../../tsconfig.base.json",\n  "include": ["src", "test"]\n}\n');
write(
  "vitest.config.ts",
  `import { defineProject, mergeConfig } from "vitest/config";
import shared from "../../vitest.shared.ts";

export default mergeConfig(shared, defineProject({ test: { name: "${name}" } }));
`,
);
const identifier = name.replace(/-(.)/g, (_, letter) => letter.toUpperCase());
write(
  "src/index.ts",
  `/**
 * ${title}
 *
 * @module
 */
export { ${identifier} } from "./${name}.ts";
`,
);
write(
  `src/${name}.ts`,
  `import type { Tensor } from "@vlm/core";

/** A first function, to be replaced: twice \`x\`, of the same shape. */
export function ${identifier}(x: Tensor): Tensor {
  return x.add(x);
}
`,
);
write(
  `src/${name}.test.ts`,
  `import { tensor } from "@vlm/core";
import { expect, test } from "vitest";
import { ${identifier} } from "./${name}.ts";

test("doubles", async () => {
  expect(await ${identifier}(tensor([1, 2])).array()).toEqual([2, 4]);
});
`,
);
write(
  "README.md",
  `# @vlm/${name}

${title}

    npm i @vlm/core @vlm/${name}

\`\`\`ts
import { tensor } from "@vlm/core";
import { ${identifier} } from "@vlm/${name}";

console.log(await ${identifier}(tensor([1, 2])).array()); // [2, 4]
\`\`\`
`,
);
console.log(`packages/${name} is made (layer ${layer}). Link it with \`npm run deps\`, then \`npm test -- ${name}\`.`);

/** The other packages say where the repository is. */
function sibling() {
  const packages = path.join(values.root, "packages");
  const other = readdirSync(packages).find((entry) => existsSync(path.join(packages, entry, "package.json")));
  return other ? JSON.parse(readFileSync(path.join(packages, other, "package.json"), "utf8")) : { repository: {} };
}

function write(file, text) {
  const target = path.join(folder, file);
  mkdirSync(path.dirname(target), { recursive: true });
  writeFileSync(target, text);
}

function stop(message) {
  console.error(message);
  process.exit(1);
}
