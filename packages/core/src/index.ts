export { Cell, type CellGroup, type CellOptions, commit, isCellGroup } from "./cell.ts";
export { compile } from "./compile.ts";
export { type Context, context, currentContext, drawKey } from "./context.ts";
export { type DebugEvent, onDebug } from "./debug.ts";
export { type ComputeType, DTYPES, type DType, type HostArray } from "./dtype.ts";
export { type ErrorName, type ErrorParts, isVlmError, nearest, printable, VlmError } from "./errors.ts";
export {
  checkpoint,
  customGradient,
  type Gradients,
  grad,
  lossOf,
  pullback,
  stopGradient,
  valueAndGrad,
} from "./grad.ts";
export { Tensor, type TensorMethods } from "./methods.ts";
export { fromHost, type NestedArray, type TensorOptions, tensor } from "./ops/create.ts";
export { fill, iota, ones, zeros } from "./ops/source.ts";
export { type Pipeable, pipeHook } from "./pipe.ts";
export { type Device, type DeviceName, type DeviceOptions, openDevice, useDevice } from "./runtime/device.ts";
export { isFrozen, setFrozen } from "./runtime/frozen.ts";
export { memory } from "./runtime/memory.ts";
export { realize } from "./runtime/realize.ts";
export type { Shape } from "./shape.ts";
export type { Dims } from "./tensor.ts";
export { mapTree, type Tree } from "./tree.ts";
