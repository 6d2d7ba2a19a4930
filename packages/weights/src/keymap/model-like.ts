import type { DType, Tensor } from "@vlm/core";

/** What loading and saving need of a parameter; core's cells and the modules' parameters have it. */
export interface ParameterLike {
  readonly shape: readonly number[];
  readonly dtype: DType;
  readonly value: Tensor;
  /** Takes a value of the same shape and dtype. */
  assign(value: Tensor): void;
  /** Takes a value that may be of another float dtype, where the parameter can change its own. */
  replace?(value: Tensor): void;
}

/** What loading and saving need of a model: its parameters and running statistics, each by its path, once. Modules have it. */
export interface ModelLike {
  /** All parameters and buffers, each with its path. */
  stateDict(): Iterable<readonly [path: string, parameter: ParameterLike]>;
}
