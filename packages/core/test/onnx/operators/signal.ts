/** Windows and Fourier transforms as products with sines and cosines. */
import * as vlm from "../../../src/index.ts";
import { type Tensor, tensor } from "../../../src/index.ts";
import { type Call, NotApplicable, type Operators } from "../adapter.ts";
import { elementType } from "./elementwise.ts";

/** a₀ − a₁·cos(2πn/N) + a₂·cos(4πn/N). */
const cosineWindow =
  (a0: number, a1: number, a2: number) =>
  async (call: Call): Promise<Tensor> => {
    const n = (await call.host(0))![0]!;
    const period = call.number("periodic", 1) ? n : n - 1;
    const angle = vlm
      .iota(n)
      .cast("f32")
      .mul((2 * Math.PI) / period);
    const window = vlm
      .cos(angle)
      .mul(-a1)
      .add(vlm.cos(angle.mul(2)).mul(a2))
      .add(a0);
    return window.cast(elementType(call.number("output_datatype", 1)));
  };

/** cos and ∓sin of 2πkn/N, [length K]. */
function waves(length: number, count: number, inverse: boolean): { cos: Tensor; sin: Tensor } {
  const table = (f: (x: number) => number): Tensor => {
    const values = new Float64Array(length * count);
    for (let n = 0; n < length; n++) {
      for (let k = 0; k < count; k++)
        values[n * count + k] = f((2 * Math.PI * ((n * k) % Math.max(length, 1))) / length);
    }
    return tensor(values, { shape: [length, count], dtype: "f32" });
  };
  return { cos: table(Math.cos), sin: table((x) => (inverse ? 1 : -1) * Math.sin(x)) };
}

/** Complex rows [… N 2] or real rows [… N 1] times the transform's matrix → [… K 2]. */
function transform(x: Tensor, count: number, inverse: boolean): Tensor {
  const n = x.shape[x.rank - 2]!;
  const { cos, sin } = waves(n, count, inverse);
  const real = x.slice(...x.shape.slice(1).map(() => null), 0);
  const imaginary = x.shape.at(-1) === 2 ? x.slice(...x.shape.slice(1).map(() => null), 1) : null;
  let [a, b] = [real.matmul(cos), real.matmul(sin)];
  if (imaginary) {
    a = a.sub(imaginary.matmul(sin));
    b = b.add(imaginary.matmul(cos));
  }
  const scale = inverse ? 1 / n : 1;
  return vlm.stack([a.mul(scale), b.mul(scale)], -1);
}

async function dft(call: Call): Promise<Tensor> {
  const x = call.x();
  const given = call.opset >= 20 ? ((await call.host(2))?.[0] ?? -2) : call.number("axis", 1);
  const axis = given < 0 ? given + x.rank : given;
  const length = (await call.host(1))?.[0] ?? x.shape[axis]!;
  const inverse = call.number("inverse", 0) === 1;
  const onesided = call.number("onesided", 0) === 1;
  if (onesided && inverse) throw new NotApplicable("the inverse of a one-sided transform");
  const moved = x.transpose(axis, -2);
  const n = moved.shape[moved.rank - 2]!;
  const fitted =
    n < length
      ? vlm.pad(moved, [
          [0, length - n],
          [0, 0],
        ])
      : moved.slice(...moved.shape.slice(2).map(() => null), [0, length]);
  const count = onesided ? Math.floor(length / 2) + 1 : length;
  return transform(fitted, count, inverse).transpose(axis, -2);
}

async function stft(call: Call): Promise<Tensor> {
  const signal = call.x(0);
  const step = (await call.host(1))![0]!;
  const window = call.optional(2);
  const length = (await call.host(3))?.[0] ?? window!.size;
  const real = signal.rank === 3 ? signal : signal.reshape([...signal.shape, 1]);
  const frames = vlm.windows(real, [1], [length], [step], [1]).transpose(2, 3); // [B F L 1|2]
  const shaped = window ? frames.mul(window.reshape([length, 1])) : frames;
  const count = call.number("onesided", 1) ? Math.floor(length / 2) + 1 : length;
  return transform(shaped, count, false);
}

export const signal: Operators = {
  HannWindow: cosineWindow(0.5, 0.5, 0),
  HammingWindow: cosineWindow(25 / 46, 21 / 46, 0),
  BlackmanWindow: cosineWindow(0.42, 0.5, 0.08),
  DFT: dft,
  STFT: stft,
};
