/** Runs ONNX graphs on core: a test's way to check it against cases that others wrote. */
import type { Tensor } from "../../src/index.ts";
import { type Attribute, type OnnxCase, tensorOf } from "./fixture.ts";
import { attention } from "./operators/attention.ts";
import { elementwise } from "./operators/elementwise.ts";
import { indexing } from "./operators/indexing.ts";
import { losses } from "./operators/losses.ts";
import { normalization } from "./operators/normalization.ts";
import { quantization } from "./operators/quantization.ts";
import { recurrent } from "./operators/recurrent.ts";
import { reductions } from "./operators/reductions.ts";
import { shapes } from "./operators/shapes.ts";
import { signal } from "./operators/signal.ts";
import { spatial } from "./operators/spatial.ts";

/** The case asks for something that core has no notion of; the reason goes into the table. */
export class NotApplicable extends Error {}

/** One node with its operands. */
export class Call {
  readonly op: string;
  readonly inputs: readonly (Tensor | null)[];
  readonly outputs: number;
  readonly opset: number;
  private readonly attributes: Readonly<Record<string, Attribute>>;

  constructor(
    op: string,
    inputs: readonly (Tensor | null)[],
    outputs: number,
    opset: number,
    attributes: Readonly<Record<string, Attribute>>,
  ) {
    this.op = op;
    this.inputs = inputs;
    this.outputs = outputs;
    this.opset = opset;
    this.attributes = attributes;
  }

  /** A required input. */
  x(i = 0): Tensor {
    const found = this.inputs[i];
    if (!found) throw new Error(`${this.op}: input ${i} is missing`);
    return found;
  }

  optional(i: number): Tensor | null {
    return this.inputs[i] ?? null;
  }

  has(name: string): boolean {
    return this.attributes[name] !== undefined;
  }

  number(name: string, otherwise: number): number {
    return (this.attributes[name] as number | undefined) ?? otherwise;
  }

  text(name: string, otherwise: string): string {
    return (this.attributes[name] as string | undefined) ?? otherwise;
  }

  numbers(name: string): readonly number[] | null {
    return (this.attributes[name] as readonly number[] | undefined) ?? null;
  }

  texts(name: string): readonly string[] | null {
    return (this.attributes[name] as readonly string[] | undefined) ?? null;
  }

  tensor(name: string): Tensor | null {
    const found = this.attributes[name];
    return typeof found === "object" && "tensor" in found ? tensorOf(found.tensor) : null;
  }

  /** The numbers of an input that says how, not what: shapes, axes, counts. Null when it is absent. */
  async host(i: number): Promise<number[] | null> {
    const x = this.inputs[i];
    return x ? Array.from(await x.data()) : null;
  }

  /** An attribute of older opsets that later became input number i. */
  async either(name: string, i: number): Promise<readonly number[] | null> {
    return this.numbers(name) ?? (await this.host(i));
  }
}

type Result = Tensor | readonly (Tensor | null)[];
export type Operators = Readonly<Record<string, (call: Call) => Result | Promise<Result>>>;

const OPERATORS: Operators = {
  ...elementwise,
  ...shapes,
  ...indexing,
  ...reductions,
  ...normalization,
  ...spatial,
  ...attention,
  ...recurrent,
  ...losses,
  ...quantization,
  ...signal,
};

/** Why an operator is out of scope. */
const OUT_OF_SCOPE: Readonly<Record<string, string>> = {
  Bernoulli: "random numbers of another generator",
  RandomUniformLike: "random numbers of another generator",
  ImageDecoder: "decoding images is @vlm/image's task",
  TfIdfVectorizer: "text features",
  NonMaxSuppression: "result's shape depends on values",
  NonZero: "result's shape depends on values",
  Unique: "result's shape depends on values",
  OptionalHasElement: "sequences or optional values",
  OptionalGetElement: "sequences or optional values",
  Det: "linear algebra",
  MelWeightMatrix: "audio features",
  DeformConv: "deformable convolution",
};

/** The graph's outputs. Throws `NotApplicable` when core cannot be asked for them. */
export async function run(test: OnnxCase): Promise<Tensor[]> {
  const values = new Map<string, Tensor>();
  for (const [name, stored] of [...test.initializers, ...test.inputs]) values.set(name, tensorOf(stored));
  for (const [op, inputs, outputs, attributes] of test.nodes) {
    const reason = OUT_OF_SCOPE[op];
    if (reason) throw new NotApplicable(reason);
    const rule = OPERATORS[op];
    if (!rule) throw new NotApplicable(`operator ${op}`);
    const operands = inputs.map((name) => (name === "" ? null : (values.get(name) ?? null)));
    const result = await rule(new Call(op, operands, outputs.length, test.opset, attributes));
    const all = Array.isArray(result) ? (result as readonly (Tensor | null)[]) : [result as Tensor];
    outputs.forEach((name, i) => {
      const value = all[i];
      if (value) values.set(name, value);
    });
  }
  return test.outputs.map(([name]) => {
    const value = values.get(name);
    if (!value) throw new Error(`output ${name} was not computed`);
    return value;
  });
}
