/** onnxruntime: models written from the same weights, once plain and once with the Attention operator; the faster counts. */
import { onnxInputs, onnxModel } from "../onnx/graph.ts";
import type { Program } from "../work/ops.ts";
import type { Work } from "../work/work.ts";
import { type Contender, NotOffered, type Runnable } from "./contender.ts";

type Runtime = typeof import("onnxruntime-web");

async function prepareWith(
  { InferenceSession, Tensor }: Runtime,
  provider: string,
  threads: number,
  program: Program,
  work: Work,
  quick: boolean,
): Promise<Runnable> {
  if (work.mode !== "forward") throw new NotOffered("onnxruntime's npm packages have no gradients and no training");
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
    return { session, run };
  };
  let chosen = await open(false);
  if (quick) return { run: chosen.run, results: async () => [await chosen.run()], dispose: () => {} };
  if (work.kind === "attention" || work.kind === "vit" || work.kind === "clip" || work.kind === "blocks") {
    // Where the operator is missing, the plain form stays.
    const fused = await open(true).catch(() => null);
    if (fused) {
      const plainTime = await bestOf(chosen.run);
      const fusedTime = await bestOf(fused.run).catch(() => Number.POSITIVE_INFINITY);
      const [winner, loser] = fusedTime < plainTime ? [fused, chosen] : [chosen, fused];
      await loser.session.release();
      chosen = winner;
    }
  }
  const { session, run } = chosen;
  return { run, results: async () => [await run()], dispose: () => session.release() };
}

async function bestOf(run: () => Promise<unknown>): Promise<number> {
  let best = Number.POSITIVE_INFINITY;
  for (let i = 0; i < 4; i++) {
    const start = performance.now();
    await run();
    best = Math.min(best, performance.now() - start);
  }
  return best;
}

export async function openNode(threads: number): Promise<Contender> {
  const runtime = await import("onnxruntime-node");
  return {
    versions: { "onnxruntime-node": "1.30.0" },
    prepare: (program, work, options) =>
      prepareWith(runtime as unknown as Runtime, "cpu", threads, program, work, options?.quick ?? false),
  };
}

export async function openWeb(threads: number): Promise<Contender> {
  const runtime = await import("onnxruntime-web");
  runtime.env.wasm.numThreads = threads;
  return {
    versions: { "onnxruntime-web": "1.30.0" },
    prepare: (program, work, options) =>
      prepareWith(runtime as unknown as Runtime, "wasm", threads, program, work, options?.quick ?? false),
  };
}
