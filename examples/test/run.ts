/** Runs an example as a person would, from the root of the repository, and keeps what it said. */
import { spawn } from "node:child_process";
import { fileURLToPath } from "node:url";
import { gpuEnvironment } from "../../tools/testing/gpu.mjs";

const root = fileURLToPath(new URL("../..", import.meta.url));

export type Said = { code: number | null; out: string; err: string };

/** Ctrl-C is pressed once the output fits `interruptWhen`. */
export function runExample(
  file: string,
  args: readonly string[],
  { interruptWhen, env = {} }: { interruptWhen?: RegExp; env?: Record<string, string> } = {},
): Promise<Said> {
  const flags = ["--conditions=@vlm/source", "--import", "tsx", `examples/${file}`, ...args];
  const child = spawn(process.execPath, flags, {
    cwd: root,
    env: { ...process.env, ...gpuEnvironment(), VLM_DEVICE: "wasm", ...env },
  });
  const said = { out: "", err: "" };
  let interrupted = false;
  child.stdout.on("data", (text) => {
    said.out += text;
    if (interrupted || !interruptWhen?.test(said.out)) return;
    interrupted = true; // A second Ctrl-C would end it at once.
    child.kill("SIGINT");
  });
  child.stderr.on("data", (text) => {
    said.err += text;
  });
  return new Promise((resolve, reject) => {
    child.on("error", reject).on("close", (code) => resolve({ code, ...said }));
  });
}
