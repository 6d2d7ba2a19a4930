/**
 * A training that is interrupted goes on as if nothing had happened: the same losses, bit for bit.
 *
 *   npx tsx examples/resume.ts
 */
import { rm } from "node:fs/promises";
import { parseArgs } from "node:util";
import { context, random, type Tensor, tensor } from "@vlm/core";
import { AdamW, cosine, Dropout, Examples, Linear, Module, train } from "@vlm/nn";
import { checkpoints } from "@vlm/weights";
import { program } from "./lib/program.ts";

/** Two layers with drop-out: the random numbers have to go on as well. */
class Network extends Module {
  readonly first = new Linear(2, 32);
  readonly dropout = new Dropout(0.1);
  readonly second = new Linear(32, 1);

  /** [B 2] → [B]. */
  forward(x: Tensor): Tensor {
    return x.pipe(this.first).gelu().pipe(this.dropout).pipe(this.second).reshape([-1]);
  }
}

/** Points of the unit square, and whether they lie in a circle. */
const points = Array.from({ length: 400 }, (_, i) => {
  const [x, y] = [(i * 0.754877666) % 1, (i * 0.569840291) % 1]; // the R2 sequence, evenly spread
  return { at: [x, y], inside: Math.hypot(x - 0.5, y - 0.5) < 0.3 ? 1 : 0 };
});

/** Trains from the start, or goes on from what the folder holds; stops early after `until` steps. */
async function run(folder: string, steps: number, until = steps): Promise<Map<number, number>> {
  const model = context({ key: random.key(0) }, () => new Network());
  const data = new Examples(
    points,
    (some) => ({ x: tensor(some.map(({ at }) => at)), inside: tensor(some.map(({ inside }) => inside)) }),
    { batch: 32, shuffle: 1 },
  );
  const losses = new Map<number, number>();
  const power = new AbortController();
  const running = train({
    model,
    data,
    steps,
    optimizer: new AdamW(model, { lr: cosine(1e-2, { steps: steps + 1 }) }),
    // Logistic loss: softplus(−z) inside, softplus(z) outside.
    loss: ({ x, inside }) => {
      const z = x.pipe(model);
      return z.softplus().sub(z.mul(inside)).mean();
    },
    checkpoint: { store: checkpoints(folder, { keep: 2 }), steps: 10 },
    signal: power.signal,
    onProgress: ({ step, loss }) => {
      losses.set(step, loss);
      if (step === until) power.abort();
    },
  });
  await running.catch((error: Error) => {
    if (error.name !== "AbortError") throw error;
  });
  return losses;
}

await program(async () => {
  const { values } = parseArgs({
    options: { steps: { type: "string", default: "60" }, out: { type: "string", default: "runs/resume" } },
  });
  const steps = Number(values.steps);
  await rm(values.out, { recursive: true, force: true });
  const whole = await run(`${values.out}/whole`, steps);
  const first = await run(`${values.out}/parts`, steps, Math.floor(steps / 2));
  const second = await run(`${values.out}/parts`, steps);
  const joined = new Map([...first, ...second]);
  console.log(`interrupted after step ${first.size}, went on at step ${[...second.keys()][0]}`);
  const same = [...whole].every(([step, loss]) => joined.get(step) === loss);
  console.log(`last loss ${whole.get(steps)!.toFixed(6)} and ${joined.get(steps)!.toFixed(6)}`);
  console.log(same ? "all losses are equal, bit for bit" : "the losses differ");
  if (!same) process.exitCode = 1;
});
