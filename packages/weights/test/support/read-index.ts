// Reads an index of half a million tensors: run as a process of its own, with little memory, by index-file.test.ts.
import { parseIndex } from "../../src/safetensors/index-file.ts";

const ROWS = 497_000;
const encoder = new TextEncoder();
const bytes = new Uint8Array(60_000_000);
let at = 0;
const put = (text: string): void => {
  at += encoder.encodeInto(text, bytes.subarray(at)).written;
};
put('{"metadata":{"total_size":1},"weight_map":{');
for (let i = 0; i < ROWS; i++) {
  const key = `model.layers.${i}.some.name.of.a.parameter.that.is.long.enough.to.fill.the.text.weight`;
  put(`${i > 0 ? "," : ""}"${key}":"model-${String((ROWS - 1 - i) % 163).padStart(2, "0")}.safetensors"`);
}
put("}}");
const { shardOf, shards } = parseIndex(bytes.subarray(0, at), "index");
console.log(JSON.stringify({ tensors: shardOf.size, shards: shards.length, last: [...shardOf.values()].at(-1) }));
