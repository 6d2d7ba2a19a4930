import { type Tokenizer, trainBpe } from "../src/index.ts";
import { strings } from "./strings.ts";

/** The tokenizers whose files PyPI tokenizers has loaded and compared. */
export const TRAINED: Record<string, () => Tokenizer> = {
  "trained-clip": () => trainBpe(strings(1, 3000), { vocabSize: 1500 }),
  "trained-bytes": () => trainBpe(strings(2, 3000), { vocabSize: 1200, style: "bytes", specials: ["<|endoftext|>"] }),
};
