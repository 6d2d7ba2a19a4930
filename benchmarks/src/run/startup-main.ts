/** The program of one start: weights are made first, then the clock runs from the import to the first embedding. */

import { openers } from "../contenders/in-node.ts";
import { floatsOf, made } from "../work/data.ts";
import { programOf, type Work } from "../work/work.ts";

const [name, work] = JSON.parse(process.argv[2] ?? "[]") as [string, Work];
const program = programOf(work);
for (const spec of program.specs) if (!spec.ids) made.set(spec.name, floatsOf(spec));

const start = performance.now();
const contender = await openers[name]!(1);
const opened = performance.now();
const runnable = await contender.prepare(program, work, { quick: true });
await runnable.run();
const first = performance.now();
console.log(JSON.stringify({ open: opened - start, first: first - start }));
process.exit(0);
