import { VlmError } from "@vlm/core";

/** How to turn a pickled PyTorch file into safetensors; shown wherever one is met. */
export const CONVERSION_RECIPE =
  "pickle files can run code when opened, so they are never read; convert once in Python: " +
  "import torch; from safetensors.torch import save_file; " +
  'd = torch.load("FILE", map_location="cpu", weights_only=True); d = d.get("state_dict", d); ' +
  'save_file({k: v.clone().contiguous() for k, v in d.items()}, "model.safetensors")';

/** True for the names of files that hold pickled weights. */
export const isPickleName = (name: string): boolean => /\.(bin|pt|pth|ckpt|pkl|pickle)$/i.test(name);

/** The refusal of a pickled file. */
export function pickleError(name: string): VlmError {
  return new VlmError("WeightFormatError", "ST_PICKLE", {
    what: "pickle is not supported",
    where: name,
    hint: CONVERSION_RECIPE.replace("FILE", name.split("/").at(-1) ?? name),
  });
}

/** Recognises by its first bytes what is often mistaken for safetensors: web pages, LFS pointers, pickles, GGUF. */
export function foreignFormat(start: Uint8Array, name: string): VlmError | undefined {
  // Pickles of protocol 2 to 5 begin so; newer PyTorch files are zip archives.
  const isOldPickle = start[0] === 0x80 && start[1]! >= 2 && start[1]! <= 5;
  const text = String.fromCharCode(...start.subarray(0, 8));
  if (text.startsWith("PK\x03\x04") || isOldPickle) return pickleError(name);
  const known: [RegExp, string, string][] = [
    [/^\s*<(!|h|\?)/i, "a web page", "the address leads to a page; use the address of the file itself"],
    [/^version /, "a Git LFS pointer", "fetch the real file with `git lfs pull`"],
    [/^GGUF/, "a GGUF file", "use the safetensors form of the model"],
    [/^\x89HDF/, "an HDF5 file", "use the safetensors form of the model"],
    [/^\s*[{[]/, "JSON text", "pass the weights, not their index or configuration"],
  ];
  const match = known.find(([pattern]) => pattern.test(text));
  if (!match) return undefined;
  const [, what, hint] = match;
  return new VlmError("WeightFormatError", "ST_FOREIGN", {
    what: `this is ${what}, not a safetensors file`,
    where: name,
    hint,
  });
}
