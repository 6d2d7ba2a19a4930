import { bitsToFloats, commit, type DType, fromHost, printable, type Tensor, VlmError } from "@vlm/core";
import { countNonFinite, firstBadBool, toHost } from "../convert/host-data.ts";
import { openWeights, type WeightsOptions } from "../safetensors/open-weights.ts";
import { memoryDType } from "../safetensors/stored-dtype.ts";
import type { TensorStore } from "../safetensors/tensor-store.ts";
import type { SourceLike } from "../source/open-source.ts";
import type { Block } from "./block.ts";
import type { KeyMap } from "./key-map.ts";
import type { ModelLike, ParameterLike } from "./model-like.ts";
import { type Assignment, planLoad } from "./plan-load.ts";

/** Options of `load`. */
export type LoadOptions = WeightsOptions & {
  /** Float dtype that the model's float parameters take; default: each keeps its own. */
  dtype?: "f32" | "f16" | "bf16" | undefined;
  /** Refuse NaN and infinities among the weights, and bool bytes other than 0 and 1. */
  strict?: boolean | undefined;
  /** Keeps the values in host memory too, so that `restore` of the report can bring them back; default false. */
  hostCopies?: boolean | undefined;
};

/** What was loaded. */
export type LoadReport = {
  readonly parameters: number;
  /** Bytes read from files. */
  readonly bytes: number;
  readonly ignored: readonly string[];
  readonly tied: readonly string[];
  /** Tensors that hold NaN or infinities, with how many. */
  readonly nonFinite: ReadonlyMap<string, number>;
  /**
   * With `hostCopies`: sets every parameter to what was loaded once more, on the device in use now. For a device that was
   * lost, after `useDevice` with another one.
   */
  restore?(): Promise<void>;
};

/** Tensors are read in groups of about this many bytes, in the order of the file. */
const GROUP = 64 << 20;

/**
 * Fills a model from a checkpoint. Total (see `planLoad`) and all or nothing: every tensor is read and checked before
 * the first parameter changes. Throws `WeightMismatchError`, `DTypeError`, `NonFiniteError` (`strict`), or what the
 * source throws.
 */
export async function load(
  model: ModelLike,
  source: SourceLike | TensorStore,
  map: KeyMap,
  options: LoadOptions = {},
): Promise<LoadReport> {
  options.signal?.throwIfAborted();
  const own = isStore(source);
  const store = own ? source : await openWeights(source, options);
  try {
    return await fill(model, store, map, options);
  } finally {
    if (!own) await store.close();
  }
}

const isStore = (source: SourceLike | TensorStore): source is TensorStore =>
  typeof source === "object" && "tensors" in source && "read" in source;

async function fill(model: ModelLike, store: TensorStore, map: KeyMap, options: LoadOptions): Promise<LoadReport> {
  const parameters = new Map(model.stateDict());
  const plan = planLoad(parameters, store.tensors, map, store.name);
  const target = (parameter: ParameterLike): DType => {
    const isFloat = ["f32", "f16", "bf16"].includes(parameter.dtype);
    return isFloat ? (options.dtype ?? parameter.dtype) : parameter.dtype;
  };
  refuseRetyping(parameters, target);
  const nonFinite = new Map<string, number>();
  const values: [ParameterLike, Tensor][] = [];
  const keysOf = (assignment: Assignment): string[] => [...new Set(assignment.keyOf.values())];
  const total = new Set(plan.assignments.flatMap(keysOf));
  const size = (key: string): number => store.tensors.get(key)!.end - store.tensors.get(key)!.begin;
  const all = [...total].reduce((sum, key) => sum + size(key), 0);
  let loaded = 0;
  for (const group of groups(plan.assignments, keysOf, store, size)) {
    const keys = [...new Set(group.flatMap(keysOf))];
    const parts = await store.read(keys, options.signal);
    const blocks = new Map<string, StoredBlock>();
    for (const [i, key] of keys.entries()) {
      blocks.set(key, decode(store, key, parts[i]!, options.strict ?? false, nonFinite));
      loaded += size(key);
    }
    for (const assignment of group) {
      const parameter = parameters.get(assignment.path)!;
      // The device converts to the parameter's dtype: nothing is copied here for that.
      values.push([parameter, assemble(assignment, parameter.shape, blocks).cast(target(parameter))]);
    }
    options.onProgress?.({ file: store.name, loaded: Math.min(loaded, all), total: all });
  }
  if (options.strict && nonFinite.size > 0) throw nonFiniteError(nonFinite, store.name);
  options.signal?.throwIfAborted();
  // From here on nothing can fail but the device: shapes and dtypes were checked above.
  for (const [parameter, value] of values) {
    if (value.dtype === parameter.dtype) parameter.assign(value);
    else parameter.replace!(value);
  }
  await commit();
  const report = { parameters: values.length, bytes: all, ignored: plan.ignored, tied: plan.tied, nonFinite };
  if (!options.hostCopies) return report;
  const restore = async (): Promise<void> => {
    for (const [parameter, value] of values) parameter.assign(value);
    await commit();
  };
  return { ...report, restore };
}

/** Assignments in the order of the files, in groups that are read together. */
function* groups(
  assignments: readonly Assignment[],
  keysOf: (assignment: Assignment) => string[],
  store: TensorStore,
  size: (key: string) => number,
): Generator<Assignment[]> {
  const place = (assignment: Assignment): number => store.tensors.get(keysOf(assignment)[0]!)!.begin;
  const sorted = [...assignments].sort((a, b) => place(a) - place(b));
  let group: Assignment[] = [];
  let bytes = 0;
  for (const assignment of sorted) {
    const more = keysOf(assignment).reduce((sum, key) => sum + size(key), 0);
    if (group.length > 0 && bytes + more > GROUP) {
      yield group;
      group = [];
      bytes = 0;
    }
    group.push(assignment);
    bytes += more;
  }
  if (group.length > 0) yield group;
}

/** A tensor of the file as it will be uploaded. */
type StoredBlock = Block & { readonly dtype: DType };

/** One parameter's values as they are stored; parts of several dtypes meet in f32. */
function assemble({ from, keyOf }: Assignment, shape: readonly number[], blocks: Map<string, StoredBlock>): Tensor {
  const parts = new Map([...keyOf].map(([text, key]) => [text, blocks.get(key)!]));
  const dtypes = new Set([...parts.values()].map(({ dtype }) => dtype));
  if (dtypes.size > 1) for (const [text, part] of parts) parts.set(text, widened(part));
  const { data } = from.load((text) => parts.get(text)!, shape);
  return fromHost(data, shape, dtypes.size === 1 ? [...dtypes][0]! : "f32");
}

function widened(block: StoredBlock): StoredBlock {
  const { shape, dtype, data } = block;
  if (!(data instanceof Uint16Array)) return block;
  return { shape, dtype: "f32", data: bitsToFloats(data, dtype as "f16" | "bf16") };
}

function decode(
  store: TensorStore,
  key: string,
  bytes: Uint8Array<ArrayBuffer>,
  strict: boolean,
  nonFinite: Map<string, number>,
): StoredBlock {
  const { dtype, shape } = store.tensors.get(key)!;
  const bad = countNonFinite(bytes, dtype);
  if (bad > 0) nonFinite.set(key, bad);
  if (strict && dtype === "BOOL") refuseBadBool(bytes, key, store.name);
  const data = toHost(bytes, dtype, key, store.name);
  return { shape, dtype: memoryDType(dtype, key, store.name), data };
}

/** Throws for a bool that is neither 0 nor 1. */
export function refuseBadBool(bytes: Uint8Array, tensor: string, file: string): void {
  const at = firstBadBool(bytes);
  if (at < 0) return;
  throw new VlmError("WeightFormatError", "ST_BOOL", {
    what: `tensor "${printable(tensor)}" is BOOL and holds the byte ${bytes[at]} at ${at}`,
    where: file,
    details: { tensor, index: at, value: bytes[at] },
  });
}

function refuseRetyping(
  parameters: ReadonlyMap<string, ParameterLike>,
  target: (parameter: ParameterLike) => DType,
): void {
  for (const [path, parameter] of parameters) {
    if (target(parameter) === parameter.dtype || parameter.replace) continue;
    throw new VlmError("DTypeError", "LOAD_DTYPE", {
      what: `${path} is ${parameter.dtype} and cannot become ${target(parameter)}`,
      where: path,
      hint: "create the model with this dtype, or load without `dtype`",
    });
  }
}

function nonFiniteError(nonFinite: ReadonlyMap<string, number>, file: string): VlmError {
  const list = [...nonFinite].slice(0, 20).map(([name, count]) => `"${printable(name)}" (${count})`);
  return new VlmError("NonFiniteError", "ST_NON_FINITE", {
    what: `${nonFinite.size} tensors hold NaN or infinities: ${list.join(", ")}${nonFinite.size > 20 ? ", …" : ""}`,
    where: file,
    hint: "the checkpoint is damaged; load without `strict` to use it all the same",
    details: { tensors: Object.fromEntries(nonFinite) },
  });
}
