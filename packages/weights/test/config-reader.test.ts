import { describe, expect, it } from "vitest";
import { bytesSource } from "../src/bytes/byte-source.ts";
import { ConfigReader } from "../src/json/config-reader.ts";
import { readJson, readJsonIfThere } from "../src/json/read-json.ts";
import { filesSource } from "../src/source/folder-source.ts";
import { failure } from "./support/errors.ts";

const files = (text: string) =>
  filesSource(new Map([["config.json", bytesSource(new TextEncoder().encode(text), "config.json")]]));

describe("a configuration", () => {
  it("is a JSON object of bounded size", async () => {
    expect(await readJson(files('\ufeff{"a": [1, {"__proto__": 2}]}'), "config.json")).toEqual({
      a: [1, JSON.parse('{"__proto__": 2}')],
    });
    await failure(
      () => readJson(files("[1]"), "config.json"),
      "WeightFormatError",
      "JSON_TYPE",
      "expected a JSON object",
    );
    await failure(
      () => readJson(files('{"a":1,"a":2}'), "config.json"),
      "WeightFormatError",
      "JSON_SYNTAX",
      'duplicate key "a"',
    );
    await failure(
      () => readJson(files(`{"a":"${"x".repeat(200)}"}`), "config.json", { maxBytes: 100 }),
      "ResourceLimitError",
      "FILE_TOO_LARGE",
      "at most 100",
    );
    await failure(
      () => readJson(files("{}"), "other.json"),
      "StorageError",
      "ENOENT",
      'no file "other.json"; there are config.json',
    );
    expect(await readJsonIfThere(files("{}"), "other.json")).toBeUndefined();
  });

  it("X15: asks for sizes within bounds, before anything is allocated", async () => {
    const reader = new ConfigReader({
      hidden_size: 1e9,
      layers: -1,
      heads: 2.5,
      eps: null,
      model_type: "clop",
      act: "gelu",
      vision: { width: "8" },
    });
    for (const name of ["hidden_size", "layers", "heads", "missing", "act"]) {
      await failure(
        () => reader.size(name),
        "ArgumentError",
        "CONFIG_FIELD",
        new RegExp(`${name} is .*, expected a whole number from 1 to 1000000`),
      );
    }
    await failure(
      () => reader.choice("model_type", { clip: 1 }),
      "ArgumentError",
      "CONFIG_FIELD",
      'did you mean "clip"?',
    );
    await failure(() => reader.at("vision").size("width"), "ArgumentError", "CONFIG_FIELD", "in config.json › vision");
    expect([
      reader.size("missing", 768),
      reader.number("eps", 1e-5),
      reader.choice("act", { gelu: 7 }),
      reader.has("eps"),
    ]).toEqual([768, 1e-5, 7, false]);
  });
});
