/** Starts contenders' processes and talks to them. */
import { type ChildProcess, spawn } from "node:child_process";
import { createInterface } from "node:readline";
import type { Readable } from "node:stream";
import { fileURLToPath } from "node:url";
import type { Reply, Request } from "./protocol.ts";

export type Entry = {
  /** As shown. */
  name: string;
  /** As `contender-main.ts` knows it; "torch" is the Python script. */
  contender: string;
  /** The Node to run it with; default this one. */
  node?: string;
  python?: string;
};

const MAIN = fileURLToPath(new URL("./contender-main.ts", import.meta.url));
const TORCH = fileURLToPath(new URL("../../torch_contender.py", import.meta.url));

export class ContenderProcess {
  readonly entry: Entry;
  private readonly child: ChildProcess;
  private readonly waiting: ((reply: Reply) => void)[] = [];
  private ended: string | null = null;
  private errors = "";

  constructor(entry: Entry) {
    this.entry = entry;
    const [command, args] = entry.python
      ? [entry.python, [TORCH]]
      : [entry.node ?? process.execPath, ["--conditions=@vlm/source", "--import", "tsx", MAIN]];
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
    const replies = createInterface({ input: this.child.stdio[3] as Readable });
    replies.on("line", (line) => this.waiting.shift()?.(JSON.parse(line) as Reply));
  }

  private end(why: string): void {
    this.ended ??= why;
    for (const settle of this.waiting.splice(0)) settle({ ok: false, error: this.ended, offered: true });
  }

  ask(request: Request, limitMs = 300_000): Promise<Reply> {
    if (this.ended !== null) return Promise.resolve({ ok: false, error: this.ended, offered: true });
    return new Promise((resolve) => {
      const timer = setTimeout(() => {
        this.end(`no answer within ${limitMs / 1000} s`);
        this.child.kill("SIGKILL");
      }, limitMs);
      this.waiting.push((reply) => {
        clearTimeout(timer);
        resolve(reply);
      });
      this.child.stdin?.write(`${JSON.stringify(request)}\n`);
    });
  }

  close(): void {
    this.child.stdin?.end();
    this.child.kill();
  }
}

const lastLine = (text: string): string => text.trim().split("\n").at(-1) ?? "";
