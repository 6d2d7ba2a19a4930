export { type ByteSource, blobSource, bytesSource } from "./bytes/byte-source.ts";
export { fileSource } from "./bytes/file-source.ts";
export { httpSource } from "./bytes/http-source.ts";
export { type CheckpointFolder, openCheckpoints } from "./checkpoint/checkpoint-folder.ts";
export { checkpoints, type RunCheckpoints, type RunState } from "./checkpoint/checkpoints.ts";
export {
  type Checkpoint,
  type ReadCheckpointOptions,
  readCheckpoint,
  readLatestCheckpoint,
} from "./checkpoint/read-checkpoint.ts";
export type { CheckpointFiles } from "./checkpoint/write-checkpoint.ts";
export { ConfigReader } from "./json/config-reader.ts";
export type { JsonValue } from "./json/json-scanner.ts";
export { parseJson, type ReadJsonOptions, readJson, readJsonIfThere } from "./json/read-json.ts";
export {
  type ConcatOptions,
  concat,
  type Expression,
  type KeyExpression,
  part,
  reshape,
  transpose,
} from "./keymap/expression.ts";
export { identityMap, type KeyMap, type KeyMapOptions, type KeyRule, keyMap, prefixed } from "./keymap/key-map.ts";
export { type LoadOptions, type LoadReport, load } from "./keymap/load.ts";
export type { ModelLike, ParameterLike } from "./keymap/model-like.ts";
export { type ReadTensorsOptions, readTensors } from "./keymap/read-tensors.ts";
export { type SaveOptions, save } from "./keymap/save.ts";
export type { HttpOptions } from "./net/http-options.ts";
export type { TensorEntry } from "./safetensors/header.ts";
export { openWeights, type WeightsOptions } from "./safetensors/open-weights.ts";
export { SafetensorsFile } from "./safetensors/safetensors-file.ts";
export { type Saved, type SaveTensorsOptions, saveTensors } from "./safetensors/save-tensors.ts";
export type { StoredDType } from "./safetensors/stored-dtype.ts";
export type { TensorContent, TensorLike } from "./safetensors/tensor-content.ts";
export type { TensorStore } from "./safetensors/tensor-store.ts";
export { type NamedTensors, safetensorsBytes } from "./safetensors/write-safetensors.ts";
export { type ModelSource, openIfThere } from "./source/model-source.ts";
export { openSource, type SourceLike } from "./source/open-source.ts";
export type { Progress, SourceOptions } from "./source/source-options.ts";
export { memoryFolder } from "./store/memory-folder.ts";
export { memoryStore } from "./store/memory-store.ts";
export { type FolderLike, openFolder } from "./store/open-folder.ts";
export type { OutputFolder } from "./store/output-folder.ts";
export type { PartialFile, Store } from "./store/store.ts";
