import { nearest, printable, VlmError } from "@vlm/core";
import type { TensorStore } from "./tensor-store.ts";

/** Throws the error for a tensor that a file does not hold. */
export function unknownTensor(name: string, store: Pick<TensorStore, "name" | "tensors">): never {
  const near = nearest(name, store.tensors.keys());
  throw new VlmError("ArgumentError", "ST_NO_TENSOR", {
    what: `no tensor "${printable(name)}"`,
    where: store.name,
    hint:
      near.length > 0
        ? `did you mean ${near.map((n) => `"${printable(n)}"`).join(" or ")}?`
        : "list `tensors` to see the names",
    details: { tensor: name, near },
  });
}
