/** Own kernels: a shader for an operation that has a definition in tensor operations. */
import type { WebGpuKernel } from "./backends/webgpu/custom.ts";
import type { DType } from "./dtype.ts";
import { VlmError } from "./errors.ts";
import { checkGradients } from "./grad.ts";
import { callKernel } from "./graph/kernel.ts";
import { Node } from "./graph/node.ts";
import type { KernelOp, TensorSpec } from "./op.ts";
import { dataOp } from "./ops/source.ts";
import { type Shape, sizeOf } from "./shape.ts";
import { Tensor } from "./tensor.ts";

/** An argument inside a shader: written into the text, it is the name of its array. */
export type ShaderArray = TensorSpec & {
  readonly size: number;
  /** The array's name in the shader. */
  toString(): string;
};

/** What a kernel's shader is written with: the template tag, and names of inputs and outputs. */
export type ShaderContext = {
  /** The template tag for WGSL: joins text and values. */
  wgsl(text: TemplateStringsArray, ...values: readonly (string | number | ShaderArray)[]): string;
  inputs: readonly ShaderArray[];
  /** The first input. */
  x: ShaderArray;
  /** The output. */
  y: ShaderArray;
};

/** What `defineKernel` needs. */
export type KernelDefinition<I extends readonly Tensor[]> = {
  /** For profiles and error messages. */
  name: string;
  /** The definition in tensor operations: also the fallback, the gradient, and what a test compares with. */
  reference: (...inputs: I) => Tensor;
  /**
   * A shader with an entry point `main`, without declarations of its arguments: those are written above it. Inputs and
   * output are contiguous arrays of f32, i32 or u32; with other dtypes, and on other devices, the reference runs.
   */
  webgpu?: (context: ShaderContext) => string;
  /** Workgroups to start. Default ⌈output size / 64⌉, for `@workgroup_size(64)` and a thread per element. */
  workgroups?: (inputs: readonly TensorSpec[], output: TensorSpec) => readonly [number, number, number];
  /** Whether the shader takes these arguments; otherwise the reference runs. */
  when?: (inputs: readonly TensorSpec[]) => boolean;
  /** dL/dx for each input from dL/dy. Default: the gradient of the reference. */
  vjp?: (dy: Tensor, inputs: I, output: Tensor) => readonly (Tensor | null)[];
};

const WORDS: readonly DType[] = ["f32", "i32", "u32"];
const THREADS = 64;
/** The greatest number of workgroups that every adapter takes in one dimension. */
const MOST_GROUPS = 65535;

/** Makes an operation with a shader of its own. It can be differentiated, also twice, and runs on every device. */
export function defineKernel<const I extends readonly Tensor[]>(
  definition: KernelDefinition<I>,
): (...inputs: I) => Tensor {
  const { name, reference, vjp } = definition;
  const op: KernelOp = {
    kind: "kernel",
    name,
    outputs: (inputs) => [outputOf(name, reference(...(inputs.map(placeholder) as unknown as I)))],
    reference: (inputs) => [reference(...(inputs as unknown as I))],
    ...(definition.webgpu && { webgpu: shaderKernel(definition) }),
    when: (inputs) => runsAsShader(definition, inputs),
    ...(vjp && {
      vjp: ({ dy, inputs, outputs }) => checkGradients(name, vjp(dy[0]!, inputs as unknown as I, outputs[0]!), inputs),
    }),
  };
  return (...inputs) => callKernel(op, inputs)[0]!;
}

function outputOf(name: string, output: unknown): Tensor {
  if (output instanceof Tensor) return output;
  throw new VlmError("ArgumentError", "KERNEL_REFERENCE", {
    what: `${name}: the reference gives ${Array.isArray(output) ? "an array" : typeof output}, not a tensor`,
    hint: "a kernel has one output; stack or concatenate several",
  });
}

const placeholder = ({ shape, dtype }: TensorSpec): Tensor =>
  new Tensor(new Node(dataOp, [], {}, { shape, dtype }, null));

function runsAsShader<I extends readonly Tensor[]>(
  definition: KernelDefinition<I>,
  inputs: readonly TensorSpec[],
): boolean {
  const output = definition.reference(...(inputs.map(placeholder) as unknown as I));
  const plain = [...inputs, output].every(({ dtype, shape }) => WORDS.includes(dtype) && sizeOf(shape) > 0);
  const fits = groupsOf(definition, inputs, output).every((n) => n <= MOST_GROUPS);
  return plain && fits && (definition.when?.(inputs) ?? true);
}

function groupsOf<I extends readonly Tensor[]>(
  definition: KernelDefinition<I>,
  inputs: readonly TensorSpec[],
  output: TensorSpec,
): readonly [number, number, number] {
  return definition.workgroups?.(inputs, output) ?? [Math.ceil(sizeOf(output.shape) / THREADS), 1, 1];
}

function shaderKernel<I extends readonly Tensor[]>(definition: KernelDefinition<I>): WebGpuKernel {
  return ({ inputs, outputs }) => {
    const output = outputs[0]!;
    const names = inputs.map((_, i) => `x${i}`);
    const arrays = inputs.map((spec, i) => shaderArray(names[i]!, spec));
    const y = shaderArray("y", output);
    const declarations = [...arrays, y].map((array, i) => {
      const access = array === y ? "read_write" : "read";
      return `@group(0) @binding(${i}) var<storage, ${access}> ${array}: array<${array.dtype}>;`;
    });
    const main = definition.webgpu!({ wgsl: joined, inputs: arrays, x: arrays[0]!, y });
    return {
      passes: [
        {
          wgsl: `${declarations.join("\n")}\n${main}`,
          bindings: [...inputs.map((_, input) => ({ input })), { output: 0 }],
          workgroups: groupsOf(definition, inputs, output),
        },
      ],
    };
  };
}

function shaderArray(name: string, { shape, dtype }: { shape: Shape; dtype: DType }): ShaderArray {
  return { shape, dtype, size: sizeOf(shape), toString: () => name };
}

function joined(text: TemplateStringsArray, ...values: readonly (string | number | ShaderArray)[]): string {
  return text.reduce((whole, part, i) => whole + String(values[i - 1]) + part);
}
