import { random, type Tensor, tensor } from "@vlm/core";
import {
  AdamW,
  BatchNorm,
  cosine,
  Dropout,
  EMA,
  Examples,
  Linear,
  Module,
  type TrainOptions,
  type TrainProgress,
} from "@vlm/nn";

/** A model with everything that makes resuming hard: drop-out, running statistics. */
export class Net extends Module {
  readonly up = new Linear(3, 8);
  readonly norm = new BatchNorm(8);
  readonly dropout = new Dropout(0.2);
  readonly down = new Linear(8, 1);

  forward(x: Tensor): Tensor {
    return x.pipe(this.up).pipe(this.norm).tanh().pipe(this.dropout).pipe(this.down);
  }
}

export type Batch = { x: Tensor; y: Tensor };

/** Twenty-three points of a smooth function, in batches of four: epochs end within steps. */
export function exampleData(): Examples<number[], Batch> {
  const points = Array.from({ length: 23 }, (_, i) => {
    const x = [Math.sin(i), Math.cos(2 * i), i / 23];
    return [...x, x[0]! * x[1]! + x[2]!];
  });
  const collate = (rows: number[][]): Batch => ({
    x: tensor(rows.map((row) => row.slice(0, 3))),
    y: tensor(rows.map((row) => row.slice(3))),
  });
  return new Examples(points, collate, { batch: 4, shuffle: 7 });
}

/** A run over that data, the same every time it is made. */
export async function exampleRun(steps: number): Promise<TrainOptions<Batch> & { model: Net; losses: number[] }> {
  const model = new Net();
  const start = [...model.namedParameters()].map(([path, { shape }], i) => {
    const size = shape.reduce((product, n) => product * n, 1);
    const values = Float32Array.from({ length: size }, (_, j) => Math.sin(i * 31 + j * 7) * 0.5);
    return [path, tensor(values, { shape })] as const;
  });
  await model.load(start, { partial: true });
  const losses: number[] = [];
  return {
    model,
    optimizer: new AdamW(model, { lr: cosine(0.02, { warmup: 4, steps: 40 }), clip: 1, weightDecay: 0.1 }),
    ema: new EMA(model, { decay: 0.9 }),
    data: exampleData(),
    key: random.key(5),
    steps,
    loss: ({ x, y }) => x.pipe(model).sub(y).square().mean(),
    losses,
    onProgress: ({ step, loss }: TrainProgress) => {
      losses[step - 1] = loss;
    },
  };
}
