/** Recurrent layers, one step after the other: many small graph nodes over slices. */

import type { Tensor } from "../../../src/index.ts";
import * as vlm from "../../../src/index.ts";
import { type Call, NotApplicable, type Operators } from "../adapter.ts";

const FUNCTIONS: Readonly<Record<string, (x: Tensor) => Tensor>> = {
  Sigmoid: vlm.sigmoid,
  Tanh: vlm.tanh,
  Relu: vlm.relu,
};

type State = { h: Tensor; c: Tensor | null };
/** Weights of one direction, split into gates. */
type Weights = { w: Tensor; r: Tensor; wb: Tensor; rb: Tensor; peephole: Tensor | null };
type Step = (x: Tensor, state: State, weights: Weights) => State;

function recur(
  call: Call,
  gates: number,
  names: readonly string[],
  makeStep: (f: ((x: Tensor) => Tensor)[]) => Step,
): (Tensor | null)[] {
  if (call.has("clip")) throw new NotApplicable("clipped gates");
  const batchFirst = call.number("layout", 0) === 1;
  const x = batchFirst ? call.x(0).transpose(0, 1) : call.x(0);
  const [time, batch] = x.dims(3);
  const hidden = call.number("hidden_size", call.x(2).shape[2]!);
  const directions = call.x(1).shape[0]!;
  const direction = call.text("direction", "forward");
  const activations = call.texts("activations") ?? Array.from({ length: directions }, () => names).flat();
  const lengths = call.optional(4);
  const initial = (i: number): Tensor | null => {
    const given = call.optional(i);
    return given && batchFirst ? given.transpose(0, 1) : given;
  };
  const states: State[] = [];
  const sequences: Tensor[] = [];
  for (let d = 0; d < directions; d++) {
    const functions = activations.slice(d * names.length, (d + 1) * names.length).map((name) => {
      const f = FUNCTIONS[name];
      if (!f) throw new NotApplicable(`activation ${name}`);
      return f;
    });
    const step = makeStep(functions);
    const bias = call.optional(3)?.slice(d) ?? vlm.zeros([2 * gates * hidden]);
    const [wb, rb] = vlm.chunk(bias, 2) as [Tensor, Tensor];
    const weights: Weights = {
      w: call.x(1).slice(d),
      r: call.x(2).slice(d),
      wb,
      rb,
      peephole: call.optional(7)?.slice(d) ?? null,
    };
    let state: State = {
      h: initial(5)?.slice(d) ?? vlm.zeros([batch, hidden]),
      c: gates === 4 ? (initial(6)?.slice(d) ?? vlm.zeros([batch, hidden])) : null,
    };
    const backwards = direction === "reverse" || d === 1;
    const outputs: Tensor[] = [];
    for (let i = 0; i < time; i++) {
      const t = backwards ? time - 1 - i : i;
      const next = step(x.slice(t), state, weights);
      if (lengths) {
        const live = lengths.gt(t).reshape([batch, 1]);
        outputs[t] = live.where(next.h, 0);
        state = { h: live.where(next.h, state.h), c: next.c && live.where(next.c, state.c!) };
      } else {
        outputs[t] = next.h;
        state = next;
      }
    }
    states.push(state);
    sequences.push(vlm.stack(outputs)); // [T B H]
  }
  const y = vlm.stack(sequences, 1); // [T D B H]
  const last = vlm.stack(states.map((s) => s.h)); // [D B H]
  const cells = gates === 4 ? vlm.stack(states.map((s) => s.c!)) : null;
  const swap = (v: Tensor | null): Tensor | null => (v && batchFirst ? v.transpose(0, 1) : v);
  return [batchFirst ? y.permute([2, 0, 1, 3]) : y, swap(last), swap(cells)];
}

/** x·Wᵀ + h·Rᵀ + biases, per gate. */
const project = (x: Tensor, weight: Tensor, bias: Tensor, gates: number): Tensor[] =>
  vlm.chunk(x.matmul(weight.transpose()).add(bias), gates, 1);

function rnnStep([f]: ((x: Tensor) => Tensor)[]): Step {
  return (x, { h }, { w, r, wb, rb }) => {
    const [a] = project(x, w, wb, 1);
    const [b] = project(h, r, rb, 1);
    return { h: f!(a!.add(b!)), c: null };
  };
}

function lstmStep([f, g, h]: ((x: Tensor) => Tensor)[]): Step {
  return (x, state, { w, r, wb, rb, peephole }) => {
    const c = state.c!;
    const [i, o, forget, cell] = project(x, w, wb, 4).map((a, k) => a.add(project(state.h, r, rb, 4)[k]!));
    const [pi, po, pf] = peephole ? vlm.chunk(peephole, 3) : [0, 0, 0];
    const input = f!(i!.add(c.mul(pi!)));
    const keep = f!(forget!.add(c.mul(pf!)));
    const next = keep.mul(c).add(input.mul(g!(cell!)));
    const output = f!(o!.add(next.mul(po!)));
    return { h: output.mul(h!(next)), c: next };
  };
}

const gruStep =
  (linearFirst: boolean) =>
  ([f, g]: ((x: Tensor) => Tensor)[]): Step =>
  (x, { h }, { w, r, wb, rb }) => {
    const [xz, xr, xh] = project(x, w, wb, 3);
    const [hz, hr, hh] = project(h, r, rb, 3);
    const z = f!(xz!.add(hz!));
    const reset = f!(xr!.add(hr!));
    const [, , rh] = vlm.chunk(r, 3);
    const [, , bh] = vlm.chunk(rb, 3);
    const fresh = linearFirst ? reset.mul(hh!) : reset.mul(h).matmul(rh!.transpose()).add(bh!);
    const candidate = g!(xh!.add(fresh));
    return { h: z.neg().add(1).mul(candidate).add(z.mul(h)), c: null };
  };

/** y[t] = Σ over the last k inputs of each channel, with the inputs before the sequence as state. */
function causalConvolution(call: Call): Tensor[] {
  const [x, w] = [call.x(0), call.x(1)];
  const k = w.shape.at(-1)!;
  const state = call.optional(3);
  const before = state ?? vlm.zeros([x.shape[0]!, x.shape[1]!, k - 1], x.dtype);
  const full = vlm.concat([before, x], 2);
  const y = vlm.conv1d(full, w.reshape([x.shape[1]!, 1, k]), { groups: x.shape[1]!, bias: call.optional(2) });
  const activation = call.text("activation", "none");
  const shaped = activation === "silu" || activation === "swish" ? vlm.silu(y) : y;
  return [shaped, full.slice(null, null, [full.shape[2]! - (k - 1), null])];
}

export const recurrent: Operators = {
  RNN: (call) => recur(call, 1, ["Tanh"], rnnStep),
  LSTM: (call) => recur(call, 4, ["Sigmoid", "Tanh", "Tanh"], lstmStep),
  GRU: (call) => recur(call, 3, ["Sigmoid", "Tanh"], gruStep(call.number("linear_before_reset", 0) === 1)),
  CausalConvWithState: causalConvolution,
};
