export {
  constant,
  fansOf,
  type Initializer,
  initialKey,
  kaimingNormal,
  kaimingUniform,
  lecunNormal,
  normal,
  residualInit,
  torchUniform,
  truncatedNormal,
  uniform,
  xavierNormal,
  xavierUniform,
} from "./init/initializer.ts";
export { type Activation, activate } from "./layers/activation.ts";
export { Attention, type AttentionConfig, type AttentionInputs } from "./layers/attention.ts";
export { BatchNorm, type BatchNormOptions } from "./layers/batch-norm.ts";
export {
  Conv1d,
  Conv2d,
  type ConvLayerOptions,
  ConvTranspose2d,
  type ConvTransposeLayerOptions,
} from "./layers/conv.ts";
export { DropPath } from "./layers/drop-path.ts";
export { Dropout } from "./layers/dropout.ts";
export { Embedding } from "./layers/embedding.ts";
export { GroupNorm } from "./layers/group-norm.ts";
export { keepPatches } from "./layers/keep-patches.ts";
export { KeyValueCache, type KeyValueCacheConfig } from "./layers/key-value-cache.ts";
export { LayerNorm, type LayerNormOptions } from "./layers/layer-norm.ts";
export { Linear, type LinearOptions } from "./layers/linear.ts";
export { addLoRA, LoRA, type LoRAOptions, mergeLoRA } from "./layers/lora.ts";
export { GatedMlp, Mlp, type MlpConfig } from "./layers/mlp.ts";
export { RMSNorm } from "./layers/rms-norm.ts";
export { applyRotary, type RotaryConfig } from "./layers/rotary.ts";
export { type Layer, repeat, Sequential } from "./layers/sequential.ts";
export { TransformerBlock, type TransformerBlockConfig } from "./layers/transformer-block.ts";
export type { State } from "./module/load-state.ts";
export { Module, type ParameterFilter } from "./module/module.ts";
export { CellTensor, Parameter, StateBuffer } from "./module/parameter.ts";
export { summary } from "./module/summary.ts";
export { tap } from "./module/tap.ts";
export { GradientAccumulator } from "./optimizers/accumulate.ts";
export { Adafactor, type AdafactorOptions } from "./optimizers/adafactor.ts";
export { Adam, type AdamOptions, AdamW } from "./optimizers/adam.ts";
export { clipByGlobalNorm, globalNorm } from "./optimizers/clip.ts";
export { EMA, type EMAOptions } from "./optimizers/ema.ts";
export { Lion, type LionOptions } from "./optimizers/lion.ts";
export { Muon, type MuonOptions } from "./optimizers/muon.ts";
export {
  Optimizer,
  type OptimizerOptions,
  type ParameterGroup,
  type Rate,
  type Settings,
  type Slots,
  type Updated,
} from "./optimizers/optimizer.ts";
export { SGD, type SGDOptions } from "./optimizers/sgd.ts";
export { type Arithmetic, type Schedule, schedule } from "./schedules/schedule.ts";
export { constantRate, cosine, inverseRoot, linear, stepped } from "./schedules/schedules.ts";
export type { CheckpointOptions, CheckpointStore, RunState } from "./train/checkpoint-store.ts";
export { type DataSource, Examples, type ExamplesOptions } from "./train/data-source.ts";
export type { Loss } from "./train/guarded-step.ts";
export type { LossScaleOptions } from "./train/loss-scale.ts";
export type { TrainProgress } from "./train/progress.ts";
export { train } from "./train/train.ts";
export type { TrainOptions, TrainResult } from "./train/train-options.ts";
