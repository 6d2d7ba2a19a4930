import { nearest, printable, VlmError } from "@vlm/core";
import type { JsonValue } from "./json-scanner.ts";

type JsonObject = { readonly [key: string]: JsonValue };

/**
 * Reads the fields of a checkpoint's configuration by name. Whatever does not fit is `ArgumentError CONFIG_FIELD`, which
 * names the file and the field, before anything is allocated.
 *
 * @example
 * const json = new ConfigReader(await readJson(source, "config.json"), "config.json");
 * const width = json.size("hidden_size", 768);
 */
export class ConfigReader {
  readonly json: JsonObject;
  /** File and path inside it, for messages. */
  readonly where: string;

  constructor(json: JsonObject, where = "config.json") {
    this.json = json;
    this.where = where;
  }

  /** True where the field is there and not null. */
  has(name: string): boolean {
    return Object.hasOwn(this.json, name) && this.json[name] !== null;
  }

  /** A whole number from 1 (or `min`) to `max`, such as a width or a count of layers. */
  size(name: string, fallback?: number, { min = 1, max = 1_000_000 } = {}): number {
    const value = this.value(name, fallback);
    if (typeof value === "number" && Number.isInteger(value) && value >= min && value <= max) return value;
    throw this.wrong(name, `a whole number from ${min} to ${max}`);
  }

  /** A finite number. */
  number(name: string, fallback?: number): number {
    const value = this.value(name, fallback);
    if (typeof value === "number" && Number.isFinite(value)) return value;
    throw this.wrong(name, "a finite number");
  }

  /** A finite number, or undefined where there is none. */
  maybeNumber(name: string): number | undefined {
    return this.has(name) ? this.number(name) : undefined;
  }

  /** A boolean field. */
  flag(name: string, fallback?: boolean): boolean {
    const value = this.value(name, fallback);
    if (typeof value === "boolean") return value;
    throw this.wrong(name, "true or false");
  }

  /** A string field. */
  text(name: string, fallback?: string): string {
    const value = this.value(name, fallback);
    if (typeof value === "string") return value;
    throw this.wrong(name, "a string");
  }

  /** What a table gives for a string, `{ quick_gelu: "quick-gelu" }`. */
  choice<T>(name: string, table: Readonly<Record<string, T>>, fallback?: string): T {
    const value = this.text(name, fallback);
    if (Object.hasOwn(table, value)) return table[value]!;
    const close = nearest(value, Object.keys(table), 1)[0];
    throw this.wrong(name, `one of ${Object.keys(table).join(", ")}`, close && `did you mean "${close}"?`);
  }

  /** A list of finite numbers. */
  numbers(name: string): readonly number[] {
    const value = this.value(name, undefined);
    const isNumber = (x: JsonValue): x is number => typeof x === "number" && Number.isFinite(x);
    if (Array.isArray(value) && value.every(isNumber)) return value;
    throw this.wrong(name, "a list of finite numbers");
  }

  /** A field that holds fields; where it is missing and optional, one without fields. */
  at(name: string, { optional = false } = {}): ConfigReader {
    const value = this.has(name) ? this.json[name] : optional ? {} : undefined;
    if (typeof value === "object" && value !== null && !Array.isArray(value)) {
      return new ConfigReader(value as JsonObject, `${this.where} › ${name}`);
    }
    throw this.wrong(name, "an object");
  }

  /** Throws for settings that would build another network than the one we have: each field may only hold this value. */
  only(fields: Readonly<Record<string, JsonValue>>): void {
    for (const [name, value] of Object.entries(fields)) {
      if (this.has(name) && this.json[name] !== value)
        throw this.wrong(name, `${JSON.stringify(value)} (nothing else is supported)`);
    }
  }

  /** The error for a field, for checks of one's own. */
  wrong(name: string, expected: string, hint?: string): VlmError {
    const got = this.has(name) ? printable(JSON.stringify(this.json[name]), 60) : "missing";
    return new VlmError("ArgumentError", "CONFIG_FIELD", {
      what: `${name} is ${got}, expected ${expected}`,
      where: this.where,
      hint: hint ?? "check that the configuration belongs to this kind of model",
      details: { field: name },
    });
  }

  private value(name: string, fallback: JsonValue | undefined): JsonValue | undefined {
    return this.has(name) ? this.json[name] : fallback;
  }
}
