/** Finding out where numbers went bad, after the guard stopped an update. */
import {
  all,
  type Cell,
  commit,
  context,
  isFinite as finite,
  grad,
  stack,
  Tensor,
  type Tree,
  VlmError,
} from "@vlm/core";
import type { Module } from "../module/module.ts";
import { tap } from "../module/tap.ts";

/** What the guard saw. */
export type Incident = {
  step: number;
  loss: number;
  learningRate: number;
  gradientNorm: number;
  lossScale: number;
  /** Overflows in a row, where loss scaling gave up. */
  overflows?: number | undefined;
};

const isFloat = (x: Tensor): boolean => x.dtype === "f32" || x.dtype === "f16" || x.dtype === "bf16";

/**
 * Runs the step's forward pass again and tests every module's output, then every gradient. The parameters are still
 * those that the step began with. Gives the error to throw.
 */
export async function explain<B>(
  incident: Incident,
  model: Module,
  batch: B,
  key: Tensor,
  loss: (batch: B) => Tensor,
): Promise<VlmError> {
  const { step, loss: value, learningRate, gradientNorm, lossScale, overflows } = incident;
  const where = await firstNonFinite(model, batch, key, loss, lossScale);
  const facts = `(lr ${learningRate.toPrecision(3)}, gradient norm ${gradientNorm.toPrecision(3)})`;
  const finiteLoss = Number.isFinite(value);
  const scaling = finiteLoss && overflows !== undefined;
  const bad = scaling
    ? `the gradients overflowed at ${overflows} steps in a row, with a loss scale of ${lossScale} at the end,`
    : finiteLoss
      ? "the gradient is not finite"
      : `the loss became ${Number.isNaN(value) ? "NaN" : value}`;
  return new VlmError("NonFiniteError", scaling ? "LOSS_SCALE" : finiteLoss ? "TRAIN_GRADIENT" : "TRAIN_LOSS", {
    what: `${bad} at step ${step} ${facts}`,
    where: where ?? undefined,
    hint: `parameters were not updated; ${where?.startsWith("the batch") ? "check the data" : "lower the rate, warm up longer or clip gradients"}`,
    details: { ...incident, where },
  });
}

async function firstNonFinite<B>(
  model: Module,
  batch: B,
  key: Tensor,
  loss: (batch: B) => Tensor,
  lossScale: number,
): Promise<string | null> {
  const inputs = [...tensorsIn(batch as Tree<Tensor>, "the batch")];
  const badInput = await firstBad(inputs);
  if (badInput) return badInput;
  const buffers = [...model.namedBuffers().values()].map((buffer) => ({ buffer, before: buffer.value }));
  let value: Tensor | undefined;
  let gradients: Map<Cell, Tensor>;
  const taps = context({ training: true, key }, () => {
    const found = tap(model, () => {
      value = loss(batch);
    });
    gradients = grad(lossScale === 1 ? value! : value!.mul(lossScale), model);
    return found;
  });
  const parameters = [...model.namedParameters()];
  const outputs = [...taps].map(([path, x]) => [`the output of ${path || "the model"}`, x] as const);
  const found =
    (await firstBad(parameters.map(([path, x]) => [`parameter ${path}`, x.value] as const))) ??
    (await firstBad(outputs)) ??
    (await firstBad([["the loss, outside any module", value!]])) ??
    (await firstBad(
      parameters.flatMap(([path, x]) => {
        const gradient = gradients.get(x.cell);
        return gradient ? [[`the gradient of ${path}`, gradient] as const] : [];
      }),
    ));
  // The second forward pass must not count in running statistics.
  for (const { buffer, before } of buffers) buffer.assign(before);
  await commit();
  return found;
}

/** The name of the first tensor that has a NaN or an infinity. */
async function firstBad(named: readonly (readonly [string, Tensor])[]): Promise<string | null> {
  const floats = named.filter(([, x]) => isFloat(x) && x.size > 0);
  if (floats.length === 0) return null;
  const flags = await stack(floats.map(([, x]) => all(finite(x)).cast("f32"))).data();
  const at = flags.indexOf(0);
  return at < 0 ? null : floats[at]![0];
}

function* tensorsIn(tree: unknown, path: string): Generator<readonly [string, Tensor]> {
  if (tree instanceof Tensor) yield [path, tree];
  else if (typeof tree === "object" && tree !== null) {
    for (const [name, part] of Object.entries(tree)) yield* tensorsIn(part, `${path}.${name}`);
  }
}
