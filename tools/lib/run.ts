import { spawn } from "node:child_process";
import path from "node:path";
import { root } from "./workspace.ts";

export type RunResult = { status: number; output: string };

export type RunOptions = { cwd?: string; env?: Record<string, string | undefined>; show?: boolean; timeout?: number };

/** Runs a program (by name from node_modules/.bin first) and collects what it prints. */
export function run(command: string, args: string[], options: RunOptions = {}): Promise<RunResult> {
  const PATH = [path.join(root, "node_modules", ".bin"), process.env.PATH].join(path.delimiter);
  return new Promise((resolve) => {
    const child = spawn(command, args, {
      cwd: options.cwd ?? root,
      env: {
        ...process.env,
        DO_NOT_TRACK: "1",
        TURBO_TELEMETRY_DISABLED: "1",
        NODE_OPTIONS: "",
        ...(options.show ? {} : { NO_COLOR: "1", FORCE_COLOR: undefined }),
        PATH,
        ...options.env,
      },
      stdio: ["ignore", options.show ? "inherit" : "pipe", options.show ? "inherit" : "pipe"],
      shell: process.platform === "win32",
      timeout: options.timeout ?? 0,
    });
    let output = "";
    child.stdout?.on("data", (data: Buffer) => {
      output += data;
    });
    child.stderr?.on("data", (data: Buffer) => {
      output += data;
    });
    child.on("error", (error) => resolve({ status: 1, output: `${output}${error.message}` }));
    child.on("close", (code, signal) =>
      resolve({ status: code ?? 1, output: signal ? `${output}\n(ended by ${signal})` : output }),
    );
  });
}

/** Arguments under which Node runs TypeScript and resolves our packages to their source. */
export const fromSource: string[] = ["--conditions=@vlm/source", "--import", "tsx"];

/** At most `limit` of `work` at a time, results in order. */
export async function inParallel<T, R>(items: T[], limit: number, work: (item: T) => Promise<R>): Promise<R[]> {
  const results: R[] = [];
  let next = 0;
  const lane = async () => {
    while (next < items.length) {
      const index = next++;
      results[index] = await work(items[index] as T);
    }
  };
  await Promise.all(Array.from({ length: Math.min(limit, items.length) }, lane));
  return results;
}
