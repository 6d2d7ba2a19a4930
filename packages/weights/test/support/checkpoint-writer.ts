// Writes checkpoints as fast as it can until it is killed: run as a process of its own by checkpoint-kill.test.ts.
import { openCheckpoints } from "../../src/checkpoint/checkpoint-folder.ts";

const [folder = ""] = process.argv.slice(2);
const checkpoints = await openCheckpoints(folder, { keep: 2 });
const latest = await checkpoints.latest({ onWarning: (message) => console.log(`damaged: ${message}`) });
let step = latest ? latest.step + 1 : 1;
console.log(`start ${step}`);
for (; ; step++) {
  const data = new Float32Array(20_000).fill(step);
  const tensor = { shape: [data.length], dtype: "f32" as const, data: () => data };
  await checkpoints.write(step, {
    "model.safetensors": [["weight", tensor]],
    "optimizer.safetensors": [["moment", tensor]],
    "state.json": { step, position: step * 10 },
  });
  console.log(`done ${step}`);
}
