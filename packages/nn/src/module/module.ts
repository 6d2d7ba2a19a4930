/** The base of everything that has parameters. */
import { type Cell, type DType, isFrozen, pipeHook, setFrozen, type Tensor } from "@vlm/core";
import { adopt, callModule } from "./call.ts";
import { loadState, type State } from "./load-state.ts";
import { type CellTensor, Parameter, StateBuffer } from "./parameter.ts";
import { walk } from "./walk.ts";

/** Chooses parameters: a pattern that their path matches, or a test. */
export type ParameterFilter = RegExp | ((path: string, parameter: Parameter) => boolean);

/**
 * A part of a model. Subclasses hold parameters and other modules in plain properties and define
 * `forward(x, ...args)`; callers write `x.pipe(module, ...args)`, which puts the module's path into errors, profiles
 * and taps. A parameter's path is its property path, `blocks.3.attention.qkv.weight`; one that is reachable by two
 * paths counts once, under the first. Private `#fields` and a property called `config` are not searched.
 */
export abstract class Module {
  /** How `x.pipe(module)` calls `forward`: under the module's path. */
  [pipeHook](x: Tensor, args: readonly unknown[]): unknown {
    return callModule(this, x, args);
  }

  /** All modules below and this one (path ""), by path. */
  namedModules(): Map<string, Module> {
    return new Map([...walk(this).modules].map(([module, path]) => [path, module]));
  }

  /** Parameters by path, in the order of their properties. */
  namedParameters(filter?: ParameterFilter): Map<string, Parameter> {
    adopt(this);
    const found = new Map<string, Parameter>();
    for (const [cell, path] of walk(this).cells) {
      if (cell instanceof Parameter && matches(filter, path, cell)) found.set(path, cell);
    }
    return found;
  }

  /** Parameters, all or those that the filter chooses. */
  parameters(filter?: ParameterFilter): Parameter[] {
    return [...this.namedParameters(filter).values()];
  }

  /** Running statistics and tables by path. */
  namedBuffers(): Map<string, StateBuffer> {
    const found = new Map<string, StateBuffer>();
    for (const [cell, path] of walk(this).cells) if (cell instanceof StateBuffer) found.set(path, cell);
    return found;
  }

  /** Cells of the parameters that are not frozen: what `grad(loss, model)` differentiates by. */
  trainable(): Cell[] {
    return this.parameters()
      .map((parameter) => parameter.cell)
      .filter((cell) => !isFrozen(cell));
  }

  /** Parameters and buffers by path: the tensors themselves, which always show the current values. */
  stateDict(): Map<string, CellTensor> {
    return new Map([...walk(this).cells].map(([cell, path]) => [path, cell]));
  }

  /**
   * Sets parameters and buffers by path, all or nothing. Floats are converted to the parameter's dtype.
   * Throws `WeightMismatchError STATE_MISMATCH` that lists every missing, unknown and mis-shaped name, with the
   * nearest names; `partial` accepts missing ones.
   */
  load(state: State, options: { partial?: boolean } = {}): Promise<void> {
    return loadState(this.constructor.name, this.stateDict(), state, options);
  }

  /** Takes parameters (default all) out of training: they get no gradient and no update. */
  freeze(filter?: ParameterFilter): this {
    for (const parameter of this.parameters(filter)) setFrozen(parameter.cell, true);
    return this;
  }

  /** Puts parameters (default all) back into training. */
  unfreeze(filter?: ParameterFilter): this {
    for (const parameter of this.parameters(filter)) setFrozen(parameter.cell, false);
    return this;
  }

  /** Converts floating-point parameters and buffers, for inference in less memory. Do it before making an optimiser. */
  convert(dtype: Extract<DType, "f32" | "f16" | "bf16">): this {
    for (const cell of walk(this).cells.keys()) if (FLOATS.has(cell.dtype)) cell.replace(cell.value.cast(dtype));
    return this;
  }
}

const FLOATS: ReadonlySet<DType> = new Set<DType>(["f32", "f16", "bf16"]);

function matches(filter: ParameterFilter | undefined, path: string, parameter: Parameter): boolean {
  if (filter === undefined) return true;
  return filter instanceof RegExp ? filter.test(path) : filter(path, parameter);
}
