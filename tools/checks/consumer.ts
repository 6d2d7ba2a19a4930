import { createHash } from "node:crypto";
import { mkdtempSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import os from "node:os";
import path from "node:path";
import { type Check, failed, isPackageSource, type Outcome, passed } from "../lib/check.ts";
import { type Packed, packAll } from "../lib/pack.ts";
import { run } from "../lib/run.ts";
import { bundleEntry, openPage, STRICT_CSP, serveFolder, type TestPage } from "../testing/browser.mjs";
import { skipAllowed } from "../testing/gpu.mjs";

/**
 * The packages as a stranger meets them: tarballs installed by `npm i` into an empty app, which then type-checks them,
 * runs them in Node by import and by require, bundles them for a browser, and loads them there unbundled.
 */
export const check: Check = {
  name: "consumer",
  stage: "late",
  inputs: (file) => isPackageSource(file) || file === "tsup.config.ts",
  async run() {
    const packed = await packAll();
    // Outside the workspace: what an app did not install must not be found in a folder above it.
    const app = mkdtempSync(path.join(os.tmpdir(), "vlm-consumer-"));
    try {
      return await use(app, packed);
    } finally {
      rmSync(app, { recursive: true, force: true });
    }
  },
};

async function use(app: string, packed: Packed[]): Promise<Outcome[]> {
  const installed = await install(app, packed);
  if (!installed.ok) return [installed];
  const outcomes = [installed, ...(await typeCheck(app, packed)), ...(await runInNode(app, packed))];
  if (skipAllowed("browser")) return outcomes;
  return [...outcomes, await runBundled(app, packed), await runUnbundled(app, packed)];
}

async function install(app: string, packed: Packed[]): Promise<Outcome> {
  write(app, "package.json", JSON.stringify({ name: "consumer", private: true, type: "module" }));
  const tarballs = packed.map(({ tarball }) => tarball);
  const flags = ["--no-audit", "--no-fund", "--prefer-offline", "--ignore-scripts=false"];
  const { status, output } = await run("npm", ["install", ...flags, ...tarballs], { cwd: app });
  const strangers =
    status === 0 ? readdirSync(path.join(app, "node_modules")).filter((name) => !/^(\.|@vlm$)/.test(name)) : [];
  if (status !== 0) return failed("npm install of the tarballs", output);
  return strangers.length === 0
    ? passed("npm install of the tarballs")
    : failed("npm install of the tarballs", `run-time dependencies came along: ${strangers.join(", ")}`);
}

/** All entries that the packages publish: `@vlm/core`, `@vlm/vit/pretrained`. */
function entries(packed: Packed[]): string[] {
  return packed.flatMap(({ id, manifest }) =>
    Object.entries(manifest.exports ?? {})
      .filter(([, target]) => typeof target !== "string" && target.types?.endsWith(".d.ts"))
      .map(([key]) => path.posix.join(id, key)),
  );
}

/**
 * A program in the words of a user; the same in Node and in the browser: a gradient on each device. WebGPU in Node is
 * an optional peer, which this app does not have: there the answer is the code of the error.
 */
const PROGRAM = `
const core = await load("@vlm/core");
const gradient = async (device) => {
  await core.useDevice(device);
  const x = core.tensor([1, 2, 3]);
  const w = core.tensor([[1, 0, 2], [0, 1, 1], [1, 1, 1]]);
  const [dx] = core.grad(w.matmul(x.mul(x)).sum(), [x]);
  return dx.array();
};
const answers = {};
for (const device of ["js", "wasm", "webgpu"]) answers[device] = await gradient(device).catch((error) => error.name);
export const answer = JSON.stringify(answers);
`;
const GRADIENT = [4, 8, 24];
const ANSWER = { js: GRADIENT, wasm: GRADIENT, webgpu: GRADIENT };
const ANSWER_IN_NODE = { ...ANSWER, webgpu: "BackendUnavailableError" };

async function typeCheck(app: string, packed: Packed[]): Promise<Outcome[]> {
  const imports = entries(packed).map(
    (id, i) => `import * as m${i} from "${id}";\nexport const n${i}: object = m${i};`,
  );
  write(
    app,
    "consumer.ts",
    `${imports.join("\n")}
import { grad, type Tensor, tensor } from "@vlm/core";
const x: Tensor = tensor([1, 2, 3]);
export const gradients: readonly Tensor[] = grad(x.mul(x).sum(), [x]);
`,
  );
  const settings = [
    { module: "nodenext", moduleResolution: "nodenext" },
    { module: "esnext", moduleResolution: "bundler" },
  ];
  const outcomes: Outcome[] = [];
  for (const modules of settings) {
    write(
      app,
      "tsconfig.json",
      JSON.stringify({
        compilerOptions: {
          ...modules,
          strict: true,
          noEmit: true,
          skipLibCheck: false,
          target: "es2022",
          lib: ["es2023", "esnext.disposable", "dom", "dom.iterable"],
          types: [],
        },
        files: ["consumer.ts"],
      }),
    );
    const { status, output } = await run("tsc", ["-p", app]);
    const name = `types for a consumer (${modules.moduleResolution}, skipLibCheck off)`;
    outcomes.push(status === 0 ? passed(name) : failed(name, output));
  }
  return outcomes;
}

async function runInNode(app: string, packed: Packed[]): Promise<Outcome[]> {
  const list = JSON.stringify(entries(packed));
  const verify = `
for (const id of ${list}) if (Object.keys(await load(id)).length === 0) throw new Error(id + " exports nothing");
if (answer !== ${JSON.stringify(JSON.stringify(ANSWER_IN_NODE))}) throw new Error("the gradients are " + answer);
process.exit(0);
`;
  write(app, "run.mjs", `const load = (id) => import(id);\n${PROGRAM}${verify}`);
  const common = `${PROGRAM}${verify}`.replace("export const", "const");
  write(
    app,
    "run.cjs",
    `const load = (id) => require(id);\n(async () => {${common}})().catch((error) => { console.error(error); process.exit(1); });`,
  );
  const outcomes: Outcome[] = [];
  for (const [name, file] of [
    ["import in Node", "run.mjs"],
    ["require in Node", "run.cjs"],
  ] as const) {
    const { status, output } = await run(process.execPath, [file], { cwd: app, timeout: 120_000 });
    outcomes.push(status === 0 ? passed(name) : failed(name, output));
  }
  return outcomes;
}

const PAGE_MODULE = `${PROGRAM}
export const result = () => answer;
`;

async function runBundled(app: string, packed: Packed[]): Promise<Outcome> {
  const name = `bundled by Vite, in Chromium under ${STRICT_CSP}`;
  const imports = entries(packed).map((id, i) => `import * as m${i} from "${id}";`);
  const table = entries(packed).map((id, i) => `"${id}": m${i}`);
  const load = `const modules = { ${table.join(", ")} };\nconst load = async (id) => modules[id];\n`;
  write(app, "page.js", `${imports.join("\n")}\n${load}${PAGE_MODULE}`);
  const site = path.join(app, "site");
  try {
    await bundleEntry(path.join(app, "page.js"), site, { conditions: [], root: app, minify: true });
  } catch (error) {
    return failed(name, String(error));
  }
  return inPage(name, { folder: site }, true);
}

/** As a CDN would serve them: plain modules of another origin, and an import map for the names. */
async function runUnbundled(app: string, packed: Packed[]): Promise<Outcome> {
  const cdn = await serveFolder(path.join(app, "node_modules"), { headers: { "Access-Control-Allow-Origin": "*" } });
  try {
    return await runFrom(cdn.url, app, packed);
  } finally {
    await cdn.close();
  }
}

async function runFrom(cdn: string, app: string, packed: Packed[]): Promise<Outcome> {
  const imports = Object.fromEntries(
    packed.flatMap(({ id, manifest }) =>
      Object.entries(manifest.exports ?? {}).flatMap(([key, target]) =>
        typeof target === "string" ? [] : [[path.posix.join(id, key), `${cdn}${id}/${target.default?.slice(2)}`]],
      ),
    ),
  );
  const map = JSON.stringify({ imports });
  const everything = entries(packed).map((id) => `await load("${id}");`);
  write(
    app,
    "cdn.js",
    `const load = (id) => import(id);\n${everything.join("\n")}${PAGE_MODULE}globalThis.entry = { result };`,
  );
  write(
    app,
    "index.html",
    `<!doctype html><meta charset="utf-8"><script type="importmap">${map}</script><script type="module" src="/cdn.js"></script>`,
  );
  const digest = createHash("sha256").update(map).digest("base64");
  const csp = STRICT_CSP.replace("'self'", `'self' 'sha256-${digest}' ${cdn}`);
  return inPage('unbundled, by <script type="module"> and an import map', { folder: app, csp });
}

async function inPage(name: string, options: { folder: string; csp?: string }, threads = false): Promise<Outcome> {
  let page: TestPage | undefined;
  try {
    page = await openPage({ ...options, exportsEntry: true });
    const answer = await page.call("result");
    if (answer !== JSON.stringify(ANSWER)) return failed(name, `the gradients are ${answer}`);
    if (threads && page.page.workers().length === 0) return failed(name, "the wasm device started no worker");
    return page.errors.length === 0 ? passed(name) : failed(name, page.errors.join("\n"));
  } catch (error) {
    return failed(name, [String(error), ...(page?.errors ?? [])].join("\n"));
  } finally {
    await page?.close();
  }
}

function write(folder: string, name: string, text: string): void {
  writeFileSync(path.join(folder, name), text);
}
