/** The program of one start: weights are made first, then the clock runs from the import to the first embedding. */

import type { Contender } from "../contenders/contender.ts";
import { floatsOf, made } from "../work/data.ts";
import { programOf, type Work } from "../work/work.ts";

const [name, work] = JSON.parse(process.argv[2] ?? "[]") as [string, Work];
const program = programOf(work);
for (const spec of program.specs) if (!spec.ids) made.set(spec.name, floatsOf(spec));

const start = performance.now();
let contender: Contender;
if (name === "vlm") contender = await (await import("../contenders/vlm.ts")).open(1, { device: "wasm", relaxed: true });
else if (name === "onnxruntime-node") contender = await (await import("../contenders/onnx.ts")).openNode(1);
else if (name === "onnxruntime-web") contender = await (await import("../contenders/onnx.ts")).openWeb(1);
else if (name === "tfjs") contender = await (await import("../contenders/tfjs.ts")).open(1);
else contender = await (await import("../contenders/jax.ts")).open(1);
const opened = performance.now();
const runnable = await contender.prepare(program, work, { quick: true });
await runnable.run();
const first = performance.now();
console.log(JSON.stringify({ open: opened - start, first: first - start }));
process.exit(0);
