// Loads a Hugging Face CLIP and saves it under its own names: run by tools/reference/weights.py, which opens the result.
import { readFile } from "node:fs/promises";
import path from "node:path";
import { useDevice } from "@vlm/core";
import { load } from "../../src/keymap/load.ts";
import { save } from "../../src/keymap/save.ts";
import { openWeights } from "../../src/safetensors/open-weights.ts";
import { clipMap, clipModel } from "./clip-map.ts";

const [from = "", to = "", shardSize = ""] = process.argv.slice(2);
await useDevice("js");
const store = await openWeights(from);
const model = clipModel(store);
await load(model, store, clipMap);
await store.close();
// As text: JavaScript would write 1.0 as 1, which transformers refuses where it expects a float.
const config = await readFile(path.join(from, "config.json"), "utf8");
await save(model, to, clipMap, { shardSize: Number(shardSize), files: { "config.json": config } });
