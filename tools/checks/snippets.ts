import { mkdirSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import path from "node:path";
import { pathToFileURL } from "node:url";
import { type Check, failed, type Outcome, passed } from "../lib/check.ts";
import { fromSource, inParallel, run } from "../lib/run.ts";
import { documents, type Snippet, snippetsOf } from "../lib/snippets.ts";
import { cacheFolder, packages, root } from "../lib/workspace.ts";
import { hubRepositories, layOutPictures } from "../testing/fixtures.ts";
import { gpuEnvironment } from "../testing/gpu.mjs";
import { startHub } from "../testing/hub.mjs";

const folder = path.join(cacheFolder, "snippets");

/** Every ```ts block of a README or a guide compiles, and runs in Node without a network. */
export const check: Check = {
  name: "snippets",
  stage: "late",
  inputs: (file) => file.endsWith(".md") || /^packages\/[^/]+\/(src\/|package\.json$|test\/fixtures\/)/.test(file),
  async run() {
    const snippets = documents().flatMap(snippetsOf);
    layOut(snippets);
    const types = await typeErrors();
    const hub = await startHub(hubRepositories);
    try {
      return await inParallel(snippets, 2, async (snippet) => {
        const errors = types.filter((line) => line.startsWith(`${snippet.file}(`));
        if (errors.length > 0) return failed(snippet.where, errors.join("\n"));
        return snippet.run ? execute(snippet, hub.url) : passed(snippet.where);
      });
    } finally {
      await hub.close();
    }
  },
};

/** A folder in which `@vlm/*` resolves to this workspace, as it would in a user's project. */
function layOut(snippets: Snippet[]): void {
  rmSync(folder, { recursive: true, force: true });
  mkdirSync(path.join(folder, "node_modules", "@vlm"), { recursive: true });
  for (const item of packages()) {
    symlinkSync(path.join(root, item.folder), path.join(folder, "node_modules", item.id), "junction");
  }
  writeFileSync(path.join(folder, "package.json"), JSON.stringify({ private: true, type: "module" }));
  for (const { file, code } of snippets) writeFileSync(path.join(folder, file), `${code}\nexport {};\n`);
  writeFileSync(
    path.join(folder, "tsconfig.json"),
    JSON.stringify({
      extends: "../../tsconfig.base.json",
      compilerOptions: { noUnusedLocals: false },
      include: ["*.ts"],
    }),
  );
}

async function typeErrors(): Promise<string[]> {
  const { output } = await run("tsc", ["-p", "tsconfig.json", "--pretty", "false"], { cwd: folder });
  return output.split("\n");
}

async function execute({ where, file, code }: Snippet, hub: string): Promise<Outcome> {
  const cwd = path.join(folder, "work", file);
  mkdirSync(cwd, { recursive: true });
  layOutPictures(code, cwd);
  const fence = pathToFileURL(path.join(root, "tools", "testing", "offline.mjs")).href;
  const env = {
    ...gpuEnvironment(),
    HF_ENDPOINT: hub,
    HF_HOME: path.join(cwd, ".hf"),
    HF_HUB_OFFLINE: undefined,
    VLM_DEVICE: process.env.VLM_DEVICE,
  };
  const args = [...fromSource, "--import", fence, path.join(folder, file)];
  const { status, output } = await run(process.execPath, args, { cwd, env, timeout: 120_000 });
  return status === 0 ? passed(where) : failed(where, output);
}
