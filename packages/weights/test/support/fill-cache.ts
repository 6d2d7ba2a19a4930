// Downloads a model into the cache: run by tools/reference/weights.py, which reads the cache with huggingface_hub.
import { readJson } from "../../src/json/read-json.ts";
import { openWeights } from "../../src/safetensors/open-weights.ts";
import { openSource } from "../../src/source/open-source.ts";

const source = await openSource(process.argv[2] ?? "");
await readJson(source, "config.json");
await (await openWeights(source)).close();
