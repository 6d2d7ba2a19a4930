/** onnxruntime: models written from the same weights, once plain and once with the Attention operator; the faster counts. */
import { onnxInputs, onnxModel } from "../onnx/graph.ts";
import type { Program } from "../work/ops.ts";
import type { Work } from "../work/work.ts";
import { type Contender, NotOffered, type Runnable } from "./contender.ts";

type Runtime = typeof import("onnxruntime-web");

/** The faster form of a model and what its call took, by the model: a great batch is not tried in both. */
type Choices = Map<string, { fused: boolean; milliseconds: number }>;

/** Where a call takes longer, the form that won with the smaller batch is taken. */
const TRY_BOTH_BELOW = 2000;

const keyOf = (work: Work): string => JSON.stringify({ ...work, batch: 0 });
const batchOf = (work: Work): number => ("batch" in work ? (work.batch ?? 1) : 1);

type Backend = { runtime: Runtime; provider: string; threads: number; choices: Choices };

async function prepareWith(
  { runtime, provider, threads, choices }: Backend,
  program: Program,
  work: Work,
  quick: boolean,
): Promise<Runnable> {
  if (work.mode !== "forward") throw new NotOffered("onnxruntime's npm packages have no gradients and no training");
  const { InferenceSession, Tensor } = runtime;
  const feeds = Object.fromEntries(
    onnxInputs(program).map(({ name, type, data, dims }) => [name, new Tensor(type, data as never, dims)]),
  );
  const open = async (fused: boolean) => {
    const session = await InferenceSession.create(onnxModel(program, { fused }), {
      executionProviders: [provider],
      intraOpNumThreads: threads,
      interOpNumThreads: 1,
      graphOptimizationLevel: "all",
      logSeverityLevel: 3,
    });
    const run = async (): Promise<Float32Array> => (await session.run(feeds)).result!.data as Float32Array;
    return { session, run, fused };
  };
  const hasForms = work.kind === "attention" || work.kind === "vit" || work.kind === "clip" || work.kind === "blocks";
  const known = choices.get(keyOf(work));
  const trial = hasForms && !quick && (known?.milliseconds ?? 0) * batchOf(work) < TRY_BOTH_BELOW;
  let chosen = await open(!trial && (known?.fused ?? false));
  if (trial) {
    // Where the operator is missing, the plain form stays.
    const fused = await open(true).catch(() => null);
    const plainTime = await bestOf(chosen.run);
    const fusedTime = fused ? await bestOf(fused.run).catch(() => Number.POSITIVE_INFINITY) : Number.POSITIVE_INFINITY;
    if (fused) {
      const [winner, loser] = fusedTime < plainTime ? [fused, chosen] : [chosen, fused];
      await loser.session.release();
      chosen = winner;
    }
    const milliseconds = Math.min(plainTime, fusedTime) / batchOf(work);
    choices.set(keyOf(work), { fused: chosen.fused, milliseconds });
  }
  const { session, run } = chosen;
  return { run, results: async () => [await run()], dispose: () => session.release() };
}

/** Of up to four calls, fewer where they are slow. */
async function bestOf(run: () => Promise<unknown>): Promise<number> {
  let best = Number.POSITIVE_INFINITY;
  const begin = performance.now();
  for (let i = 0; i < 2 || (i < 4 && performance.now() - begin < 1000); i++) {
    const start = performance.now();
    await run();
    best = Math.min(best, performance.now() - start);
  }
  return best;
}

export function openOnnx(runtime: Runtime, provider: string, threads: number): Contender {
  const backend: Backend = { runtime, provider, threads, choices: new Map() };
  return { prepare: (program, work, options) => prepareWith(backend, program, work, options?.quick ?? false) };
}
