/** A contender in a process of its own: Node, or Python for PyTorch. */
import { type ChildProcess, spawn } from "node:child_process";
import { createInterface } from "node:readline";
import type { Readable } from "node:stream";
import { fileURLToPath } from "node:url";
import type { Entry } from "./entry.ts";
import type { Channel, Reply, Request, Resident } from "./protocol.ts";
import { residentOf } from "./resident.ts";

const MAIN = fileURLToPath(new URL("./contender-main.ts", import.meta.url));
const TORCH = fileURLToPath(new URL("../../torch_contender.py", import.meta.url));

/** A leak must not take the machine down. */
const MOST_MEMORY = 8e9;

export class NodeChannel implements Channel {
  private readonly child: ChildProcess;
  private readonly waiting: ((reply: Reply) => void)[] = [];
  private readonly watch: ReturnType<typeof setInterval>;
  private errors = "";
  ended: string | null = null;

  constructor({ python, node }: Entry) {
    const [command, args] = python
      ? [python, [TORCH]]
      : [node ?? process.execPath, ["--conditions=@vlm/source", "--import", "tsx", MAIN]];
    this.child = spawn(command, args, {
      stdio: ["pipe", "ignore", "pipe", "pipe"],
      cwd: fileURLToPath(new URL("../..", import.meta.url)),
    });
    this.child.stderr?.on("data", (text: Buffer) => {
      this.errors = (this.errors + text.toString()).slice(-2000);
    });
    this.child.on("error", (error) => this.end(error.message));
    this.child.on("exit", (code, signal) =>
      this.end(`the process ended (${signal ?? code}): ${lastLine(this.errors)}`),
    );
    this.child.stdin?.on("error", () => {});
    const replies = createInterface({ input: this.child.stdio[3] as Readable });
    replies.on("line", (line) => this.waiting.shift()?.(JSON.parse(line) as Reply));
    this.watch = setInterval(() => {
      if ((this.resident()?.now ?? 0) > MOST_MEMORY) this.end(`it took more than ${MOST_MEMORY / 1e9} GB of memory`);
    }, 200);
  }

  private end(why: string): void {
    if (this.ended === null) this.child.kill("SIGKILL");
    this.ended ??= why;
    clearInterval(this.watch);
    for (const settle of this.waiting.splice(0)) settle({ ok: false, error: this.ended, offered: true });
  }

  resident(): Resident | null {
    return this.child.pid === undefined ? null : residentOf(this.child.pid);
  }

  ask(request: Request, limitMs = 120_000): Promise<Reply> {
    if (this.ended !== null) return Promise.resolve({ ok: false, error: this.ended, offered: true });
    return new Promise((resolve) => {
      const timer = setTimeout(() => this.end(`no answer within ${limitMs / 1000} s`), limitMs);
      this.waiting.push((reply) => {
        clearTimeout(timer);
        resolve(reply);
      });
      this.child.stdin?.write(`${JSON.stringify(request)}\n`);
    });
  }

  close(): void {
    this.end("closed");
  }
}

const lastLine = (text: string): string => text.trim().split("\n").at(-1) ?? "";
