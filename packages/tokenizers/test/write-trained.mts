// Writes fixtures/trained-*.json.gz, which tools/reference/tokenizers_fixtures.py then loads: npx tsx packages/tokenizers/test/write-trained.mts
import { writeFileSync } from "node:fs";
import { gzipSync } from "node:zlib";
import { TRAINED } from "./trained.ts";

for (const [name, train] of Object.entries(TRAINED)) {
  const json = JSON.stringify(train().toJSON());
  writeFileSync(new URL(`../fixtures/${name}.json.gz`, import.meta.url), gzipSync(json, { level: 9 }));
}
