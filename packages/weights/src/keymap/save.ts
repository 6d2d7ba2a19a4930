import type { DType, HostArray } from "@vlm/core";
import { toStored } from "../convert/host-data.ts";
import { type Saved, type SaveTensorsOptions, saveTensors } from "../safetensors/save-tensors.ts";
import { storedDType } from "../safetensors/stored-dtype.ts";
import type { TensorContent } from "../safetensors/tensor-content.ts";
import type { FolderLike } from "../store/open-folder.ts";
import { type Block, concatBlocks, outline } from "./block.ts";
import { type Expression, mapError, type Part, shown } from "./expression.ts";
import { identityMap, type KeyMap } from "./key-map.ts";
import type { ModelLike, ParameterLike } from "./model-like.ts";
import { rowFor } from "./plan-load.ts";

/** Options of `save`. */
export type SaveOptions = SaveTensorsOptions & {
  /** Float dtype to store; default: each parameter's own. */
  dtype?: "f32" | "f16" | "bf16" | undefined;
  /** Further small files, by name: an object is written as JSON (`config.json`). */
  files?: Readonly<Record<string, string | object>> | undefined;
};

/**
 * Writes a model under the names of a checkpoint family, so that the family's own code opens it. Each parameter is
 * read from its device when its turn comes: one at a time is held in memory.
 */
export async function save(
  model: ModelLike,
  folder: FolderLike,
  map: KeyMap = identityMap,
  options: SaveOptions = {},
): Promise<Saved> {
  const tensors = [...fileTensors(model, map, options.dtype)];
  const extra = Object.entries(options.files ?? {}).map(([name, content]) => [
    name,
    typeof content === "string" ? content : `${JSON.stringify(content, null, 2)}\n`,
  ]);
  return saveTensors(folder, tensors, options, Object.fromEntries(extra));
}

type Piece = {
  readonly parameter: ParameterLike;
  readonly from: Expression;
  readonly text: string;
  readonly part: Part | undefined;
};

/** A file's tensors, worked out from the parameters' shapes alone; their bytes come later. */
function* fileTensors(
  model: ModelLike,
  map: KeyMap,
  dtype: SaveOptions["dtype"],
): Generator<readonly [string, TensorContent]> {
  const pieces = new Map<string, (Piece & { shape: readonly number[] })[]>();
  for (const [path, parameter] of model.stateDict()) {
    const row = rowFor(path, map);
    if (!row) throw mapError(`no row for parameter ${path}`, map.name);
    row.from.save(outline(parameter.shape), (text, { shape }, part) => {
      const key = row.patterns.get(text)!.fill(row.bindings);
      const list = pieces.get(key) ?? [];
      list.push({ parameter, from: row.from, text, part, shape });
      pieces.set(key, list);
    });
  }
  for (const [key, list] of pieces) {
    const parts = [...list].sort((a, b) => (a.part?.index ?? 0) - (b.part?.index ?? 0));
    const first = parts[0]!;
    const whole = first.part === undefined ? parts.length === 1 : parts.length === first.part.count;
    const distinct = parts.every(({ part }, i) => part === undefined || part.index === i);
    if (!whole || !distinct)
      throw mapError(`"${key}" is made from ${parts.length} parameters, which do not make it up`, map.name);
    const axis = first.part?.axis ?? 0;
    const shape = first.part ? first.shape.map((n, k) => (k === axis ? n * parts.length : n)) : first.shape;
    const isFloat = ["f32", "f16", "bf16"].includes(first.parameter.dtype);
    const to: DType = isFloat ? (dtype ?? first.parameter.dtype) : first.parameter.dtype;
    const bytes = async (): Promise<Uint8Array> => {
      const blocks: Block[] = [];
      for (const piece of parts) blocks.push(await blockOf(piece));
      const { data } = blocks.length === 1 ? blocks[0]! : concatBlocks(blocks, axis);
      return toStored(data as HostArray, to);
    };
    yield [key, { dtype: storedDType(to), shape, bytes }];
  }
}

async function blockOf({ parameter, from, text, part }: Piece): Promise<Block> {
  let found: Block | undefined;
  from.save({ shape: parameter.shape, data: await parameter.value.data() }, (key, value, at) => {
    if (key === text && at?.index === part?.index) found = value;
  });
  if (!found) throw mapError(`${shown(parameter.shape)} did not give "${text}"`);
  return found;
}
