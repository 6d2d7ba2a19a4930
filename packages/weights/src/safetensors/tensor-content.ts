import type { DType, HostArray } from "@vlm/core";
import { toStored } from "../convert/host-data.ts";
import { type StoredDType, storedDType } from "./stored-dtype.ts";

/** Something with numbers that can be written: core's `Tensor`, or a plain object with a host array. */
export type TensorLike = {
  readonly shape: readonly number[];
  readonly dtype: DType;
  /** The elements in row-major order. */
  data(): HostArray | Promise<HostArray>;
};

/** A tensor as it is stored: dtype, shape, and its bytes when they are asked for. */
export type TensorContent = {
  readonly dtype: StoredDType;
  readonly shape: readonly number[];
  /** The tensor's bytes, little-endian and in row-major order. */
  bytes(): Promise<Uint8Array>;
};

/** How a tensor is written; f16 and bf16 are rounded to nearest even. */
export const contentOf = (tensor: TensorLike | TensorContent): TensorContent =>
  "bytes" in tensor
    ? tensor
    : {
        dtype: storedDType(tensor.dtype),
        shape: tensor.shape,
        bytes: async () => toStored(await tensor.data(), tensor.dtype),
      };
