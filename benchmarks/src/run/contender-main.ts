/** The program of a contender's process. Answers go out by file descriptor 3, so that a library may print what it likes. */
import { writeFileSync, writeSync } from "node:fs";
import { createInterface } from "node:readline";
import { openers } from "../contenders/in-node.ts";
import type { Request } from "./protocol.ts";
import { answering } from "./session.ts";

const answer = answering({
  openers,
  deliver: (file, parts) => {
    const bytes = parts.map(({ buffer, byteOffset, byteLength }) =>
      Buffer.from(buffer as ArrayBuffer, byteOffset, byteLength),
    );
    writeFileSync(file, Buffer.concat(bytes));
  },
  processorTime: () => {
    const { user, system } = process.cpuUsage();
    return (user + system) / 1000;
  },
});

for await (const line of createInterface({ input: process.stdin })) {
  writeSync(3, `${JSON.stringify(await answer(JSON.parse(line) as Request))}\n`);
}
process.exit(0);
