import { type Shape, type Tensor, VlmError } from "@vlm/core";
import type { Module, ParameterFilter } from "../module/module.ts";
import { type AdamOptions, AdamW } from "./adam.ts";
import { positive, type Settings, type Slots, type Updated } from "./optimizer.ts";

/** Options of `Muon`; those of `AdamW` are for the parameters that are not hidden matrices. */
export type MuonOptions = AdamOptions & {
  /**
   * The matrices inside the network: of attention and MLPs, without embeddings, the first layer and heads. A filter
   * such as `/blocks\..*weight/`; vectors and scalars that it matches stay AdamW's.
   */
  hidden: ParameterFilter;
  /** Decay rate of the gradients' running mean. Default 0.95. */
  momentum?: number;
  /**
   * What a hidden matrix [n m] multiplies the rate with: "rms" 0.2·√max(n, m), so that AdamW's rate and decay serve it
   * too (Liu et al. 2025, equation 4); "original" √max(1, n/m). Default "rms".
   */
  scale?: "rms" | "original";
};

/**
 * Muon (Jordan et al. 2024, kellerjordan.github.io/posts/muon): hidden matrices move by their momentum made orthogonal,
 * so that every direction learns at the same pace; everything else by AdamW. With M ← μM + (1 − μ)G:
 * W ← (1 − lr·λ)W − lr·scale·orthogonal(μM + (1 − μ)G). Larger kernels count as matrices of their first axis by the rest.
 */
export class Muon extends AdamW {
  private readonly hidden: ReadonlySet<string>;
  private readonly momentum: number;
  private readonly scale: "rms" | "original";

  constructor(model: Module, { hidden, momentum = 0.95, scale = "rms", ...options }: MuonOptions) {
    super(model, options);
    const matrices = [...model.namedParameters(hidden)].filter(([, { rank }]) => rank >= 2);
    this.hidden = new Set(matrices.map(([path]) => path));
    this.momentum = momentum;
    this.scale = scale;
    positive(this, "momentum", momentum, { zero: true, below: 1 });
    if (matrices.length > 0) return;
    throw new VlmError("ArgumentError", "OPTIMIZER_OPTION", {
      what: `Muon: ${hidden} matches no matrix of the model`,
      hint: `its parameters are ${[...model.namedParameters().keys()].slice(0, 8).join(", ")}, …`,
      details: { name: "hidden" },
    });
  }

  protected override slots(shape: Shape, path: string): Readonly<Record<string, Shape>> {
    return this.hidden.has(path) ? { momentum: shape } : super.slots(shape, path);
  }

  protected override update(p: Tensor, g: Tensor, slots: Slots, settings: Settings): Updated {
    if (!this.hidden.has(settings.path)) return super.update(p, g, slots, settings);
    const { lr, weightDecay } = settings;
    const towards = (from: Tensor): Tensor => from.mul(this.momentum).add(g.mul(1 - this.momentum));
    const momentum = towards(slots.momentum!);
    const direction = orthogonal(towards(momentum).reshape([p.shape[0]!, -1]));
    const [n, m] = direction.shape as [number, number];
    const scale = this.scale === "rms" ? 0.2 * Math.sqrt(Math.max(n, m)) : Math.sqrt(Math.max(1, n / m));
    const decayed = weightDecay === 0 ? p : p.mul(lr.mul(-weightDecay).add(1));
    return { value: decayed.sub(direction.reshape(p.shape).mul(lr.mul(scale))), slots: { momentum } };
  }
}

/** Of the quintic a·x + b·x³ + c·x⁵ whose fifth iterate takes singular values from 0.01 … 1 to about 0.7 … 1.2. */
const QUINTIC = [3.4445, -4.775, 2.0315] as const;

/** UVᵀ of the singular value decomposition USVᵀ of a matrix, roughly, by five Newton–Schulz iterations. */
function orthogonal(x: Tensor): Tensor {
  const [n, m] = x.shape as [number, number];
  if (n > m) return orthogonal(x.transpose()).transpose();
  const [a, b, c] = QUINTIC;
  let y = x.div(x.square().sum().sqrt().maximum(1e-7));
  for (let iteration = 0; iteration < 5; iteration++) {
    const square = y.matmul(y.transpose());
    const polynomial = square.mul(b).add(square.matmul(square).mul(c));
    y = y.mul(a).add(polynomial.matmul(y));
  }
  return y;
}
