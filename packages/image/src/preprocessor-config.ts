import { nearest, printable, VlmError } from "@vlm/core";
import {
  blip2Preprocessor,
  clipPreprocessor,
  type Preprocessor,
  siglipPreprocessor,
  symmetricNormalization,
  type TargetSize,
  vitPreprocessor,
} from "./preprocessor.ts";
import type { Filter } from "./resample.ts";

/** Pillow's filter numbers, which `resample` holds. */
const FILTERS: readonly Filter[] = ["nearest", "lanczos", "bilinear", "bicubic", "box", "hamming"];

/** A processor class: its defaults, and what a bare number for `size` means there. */
type Family = { defaults: Preprocessor; squareSize: boolean };

const families: Record<string, Family> = {
  CLIP: { defaults: clipPreprocessor, squareSize: false },
  ChineseCLIP: { defaults: clipPreprocessor, squareSize: false },
  Siglip: { defaults: siglipPreprocessor, squareSize: true },
  Siglip2: { defaults: { ...siglipPreprocessor, filter: "bilinear" }, squareSize: true },
  ViT: { defaults: vitPreprocessor, squareSize: true },
  Blip: { defaults: { ...blip2Preprocessor, resize: { kind: "exact", height: 384, width: 384 } }, squareSize: true },
  Deit: {
    defaults: {
      ...vitPreprocessor,
      resize: { kind: "exact", height: 256, width: 256 },
      filter: "bicubic",
      crop: { height: 224, width: 224 },
      normalize: symmetricNormalization,
    },
    squareSize: true,
  },
};

/**
 * Reads Hugging Face's `preprocessor_config.json`: of CLIP, SigLIP, ViT, BLIP and BLIP-2 with their classes' defaults,
 * of any other class when the file itself holds every value that its steps need.
 * @param where the file's name, for errors
 * @throws `ArgumentError` for values that cannot work: unknown filter, size 0, deviation 0, wrong number of means.
 */
export function preprocessorFromConfig(config: unknown, where = "preprocessor_config.json"): Preprocessor {
  if (typeof config !== "object" || config === null || Array.isArray(config)) {
    throw bad(where, "the file does not hold an object", "pass the parsed preprocessor_config.json");
  }
  const json = config as Record<string, unknown>;
  const family = familyOf(json, where);
  const defaults = family?.defaults;
  const read = new Reader(json, where);

  const result: Preprocessor = { filter: read.filter(defaults?.filter) };
  if (read.flag("do_resize", defaults?.resize !== undefined)) {
    result.resize = read.size(family?.squareSize ?? true, defaults?.resize);
  }
  if (read.flag("do_center_crop", defaults?.crop !== undefined)) {
    result.crop = read.rectangle("crop_size", defaults?.crop);
  }
  if (read.flag("do_rescale", true)) result.rescale = read.positive("rescale_factor", defaults?.rescale ?? 1 / 255);
  if (read.flag("do_normalize", true)) {
    result.normalize = {
      mean: read.numbers("image_mean", defaults?.normalize?.mean),
      std: read.numbers("image_std", defaults?.normalize?.std),
    };
    if (result.normalize.std.some((s) => s === 0)) {
      throw bad(
        where,
        `image_std has a zero: [${result.normalize.std.join(", ")}]`,
        "a deviation divides; it is above 0",
      );
    }
  }
  if (read.flag("do_pad", false)) result.pad = read.rectangle("pad_size", undefined);
  return result;
}

function familyOf(json: Record<string, unknown>, where: string): Family | undefined {
  const name = json.image_processor_type ?? json.feature_extractor_type;
  if (name === undefined) return undefined;
  if (typeof name !== "string") throw bad(where, "image_processor_type is not a string", "it names the class");
  return families[name.replace(/(ImageProcessor|FeatureExtractor)(Fast|Pil)?$/, "")];
}

class Reader {
  readonly json: Record<string, unknown>;
  readonly where: string;

  constructor(json: Record<string, unknown>, where: string) {
    this.json = json;
    this.where = where;
  }

  flag(key: string, fallback: boolean): boolean {
    const value = this.json[key] ?? fallback;
    if (typeof value !== "boolean") throw bad(this.where, `${key} is ${show(value)}`, "it is true or false");
    return value;
  }

  positive(key: string, fallback: number | undefined, whole = false): number {
    const value = this.json[key] ?? fallback;
    return checkPositive(value, key, this.where, whole);
  }

  numbers(key: string, fallback: readonly number[] | undefined): readonly number[] {
    const value = this.json[key] ?? fallback;
    if (value === undefined) throw this.missing(key);
    const list = typeof value === "number" ? [value, value, value] : value;
    if (!Array.isArray(list) || !list.every((x) => typeof x === "number" && Number.isFinite(x))) {
      throw bad(this.where, `${key} is ${show(value)}`, "it is a list of three finite numbers");
    }
    if (list.length !== 3) {
      throw bad(
        this.where,
        `${key} has ${list.length} numbers for 3 channels`,
        "give one for each of red, green and blue",
      );
    }
    return list;
  }

  filter(fallback: Filter | undefined): Filter {
    const value = this.json.resample ?? this.json.interpolation ?? fallback;
    if (value === undefined) return "bilinear";
    const filter = typeof value === "number" ? FILTERS[value] : FILTERS.find((f) => f === String(value).toLowerCase());
    if (filter !== undefined) return filter;
    const close = nearest(String(value), FILTERS).map((f) => `"${f}"`);
    throw bad(
      this.where,
      `resample ${show(value)} is no filter of Pillow`,
      close.length > 0 ? `did you mean ${close.join(" or ")}?` : `0 to 5 are ${FILTERS.join(", ")}`,
    );
  }

  size(square: boolean, fallback: TargetSize | undefined): TargetSize {
    const value = this.json.size;
    if (value === undefined || value === null) {
      if (fallback === undefined) throw this.missing("size");
      return fallback;
    }
    if (typeof value === "number") {
      const size = checkPositive(value, "size", this.where, true);
      return square ? { kind: "exact", height: size, width: size } : { kind: "shortest", size };
    }
    const entries = record(value, "size", this.where);
    const side = (key: string): number => checkPositive(entries[key], `size.${key}`, this.where, true);
    if (entries.shortest_edge != null) {
      const size = side("shortest_edge");
      return entries.longest_edge != null
        ? { kind: "shortest", size, longest: side("longest_edge") }
        : { kind: "shortest", size };
    }
    if (entries.max_height != null) return { kind: "within", height: side("max_height"), width: side("max_width") };
    return { kind: "exact", height: side("height"), width: side("width") };
  }

  rectangle(key: string, fallback: { height: number; width: number } | undefined): { height: number; width: number } {
    const value = this.json[key] ?? fallback;
    if (value === undefined) throw this.missing(key);
    if (typeof value === "number") {
      const side = checkPositive(value, key, this.where, true);
      return { height: side, width: side };
    }
    const entries = record(value, key, this.where);
    return {
      height: checkPositive(entries.height, `${key}.height`, this.where, true),
      width: checkPositive(entries.width, `${key}.width`, this.where, true),
    };
  }

  missing(key: string): VlmError {
    const name = this.json.image_processor_type ?? this.json.feature_extractor_type;
    return bad(
      this.where,
      `${key} is missing, and the defaults of ${typeof name === "string" ? printable(name) : "this class"} are not known`,
      `known classes: ${Object.keys(families).join(", ")}; or write ${key} into the file`,
    );
  }
}

function checkPositive(value: unknown, key: string, where: string, whole: boolean): number {
  if (typeof value !== "number" || !Number.isFinite(value) || value <= 0 || (whole && !Number.isInteger(value))) {
    throw bad(where, `${key} is ${show(value)}`, `it is a ${whole ? "whole " : ""}number above 0`);
  }
  return value;
}

/** `{ height, width }`, also from the list [height, width]. */
function record(value: unknown, key: string, where: string): Record<string, unknown> {
  if (Array.isArray(value) && value.length === 2) return { height: value[0], width: value[1] };
  if (typeof value === "object" && value !== null && !Array.isArray(value)) return value as Record<string, unknown>;
  throw bad(where, `${key} is ${show(value)}`, "it is a number or an object with height and width");
}

const show = (value: unknown): string => printable(JSON.stringify(value) ?? String(value));

function bad(where: string, what: string, hint: string): VlmError {
  return new VlmError("ArgumentError", "IM_CONFIG", { what, where, hint });
}
