import {
  compile,
  concat,
  type DeviceName,
  fromHost,
  isFinite as isFiniteAt,
  l2Normalize,
  realize,
  type Tensor,
  useDevice,
  VlmError,
} from "@vlm/core";
import { type HeatMap, type Image, type ImageSource, type Preprocessor, preprocessBatch } from "@vlm/image";
import type { Tokenizer } from "@vlm/tokenizers";
import {
  type FolderLike,
  type LoadOptions,
  openSource,
  type Saved,
  type SaveOptions,
  type SourceLike,
} from "@vlm/weights";
import { attentionMap } from "./attention-map.ts";
import { ensemble, type PromptOptions, prompts, type Ranking, rank } from "./classifier.ts";
import type { CLIPModel } from "./clip-model.ts";
import { EmbeddingIndex, type Hit, type SearchOptions } from "./embedding-index.ts";
import { preprocessorConfig, readPreprocessor } from "./image-input.ts";
import { describe, loadDescribed } from "./load.ts";
import { saveCLIPModel } from "./save.ts";
import { type Cleaning, clean, cleaningOf, readTokenizer, type TextOptions, tokenize } from "./text-input.ts";

/** A picture: a file, an address, bytes, pixels. */
export type ImageInput = Image | ImageSource;

/** How `CLIP.load` finds, reads and places a model. */
export type CLIPOptions = LoadOptions & {
  /** Makes this the device of everything computed from now on. Default: the one in use. */
  device?: DeviceName;
  /** In place of the tokenizer among the files. */
  tokenizer?: Tokenizer;
  /** In place of the preprocessing that the files name. */
  preprocessor?: Preprocessor;
};

/** How a list of images or texts is worked through. */
export type RunOptions = {
  /** How many are computed at a time. Default 16 images or 64 texts. */
  batch?: number;
  /** Stops between two of these, with the signal's reason. */
  signal?: AbortSignal;
};

/** Prompts, long texts and batches of `classify`. */
export type ClassifyOptions = PromptOptions & TextOptions & RunOptions;

/** Labels turned into vectors once, for many images. */
export type Classifier = {
  readonly labels: readonly string[];
  /** One unit vector per label, [K E]. */
  readonly weights: Tensor;
  /** Labels of one image, the most probable first. */
  classify(image: ImageInput, options?: RunOptions): Promise<Ranking>;
  /** Labels of each image, the most probable first. */
  classify(images: readonly ImageInput[], options?: RunOptions): Promise<Ranking[]>;
};

/** The parts of a pipeline. */
export type CLIPParts = {
  readonly model: CLIPModel;
  readonly preprocessor: Preprocessor;
  readonly tokenizer?: Tokenizer | null | undefined;
  readonly cleaning?: Cleaning | undefined;
};

/** Classifiers kept for calls of `classify` with the same labels. */
const KEPT = 8;

/**
 * A CLIP or SigLIP with its tokenizer and preprocessing: from files and strings to embeddings, labels and search.
 *
 * @example
 * const clip = await CLIP.load("openai/clip-vit-base-patch32", { dtype: "f16" });
 * const [best] = await clip.classify("cat.jpg", ["a cat", "a dog"]); // { label, probability }
 */
export class CLIP {
  /** Tensors in and out; `imageFeatures` and `textFeatures` are not normalised. */
  readonly model: CLIPModel;
  readonly preprocessor: Preprocessor;
  readonly tokenizer: Tokenizer | null;
  readonly cleaning: Cleaning;
  readonly #image: (pixels: Tensor) => Promise<{ unit: Tensor; sound: Tensor }>;
  readonly #text: (ids: Tensor) => Promise<{ unit: Tensor; sound: Tensor }>;
  readonly #classifiers = new Map<string, Promise<Classifier>>();

  constructor({ model, preprocessor, tokenizer = null, cleaning = "none" }: CLIPParts) {
    this.model = model;
    this.preprocessor = preprocessor;
    this.tokenizer = tokenizer;
    this.cleaning = cleaning;
    const checked = (features: Tensor): { unit: Tensor; sound: Tensor } => ({
      unit: l2Normalize(features.cast("f32")),
      sound: isFiniteAt(features).all(),
    });
    this.#image = compile((pixels: Tensor) => checked(model.imageFeatures(pixels)));
    this.#text = compile((ids: Tensor) => checked(model.textFeatures(ids)));
  }

  /**
   * Loads a checkpoint of Hugging Face or OpenCLIP, or what `save` wrote, from a Hub id, a URL or a folder.
   * Throws what `loadCLIPModel` throws, and the signal's reason.
   */
  static async load(source: SourceLike, options: CLIPOptions = {}): Promise<CLIP> {
    const { signal, device } = options;
    signal?.throwIfAborted();
    if (device) await useDevice(device);
    const folder = await openSource(source, options);
    const found = await describe(folder, signal);
    const { config, openClip } = found;
    const preprocessor = options.preprocessor ?? (await readPreprocessor(folder, config, openClip, signal));
    const tokenizer = options.tokenizer ?? (await readTokenizer(folder, signal));
    const model = await loadDescribed(folder, found, options);
    return new CLIP({ model, preprocessor, tokenizer, cleaning: cleaningOf(config, openClip) });
  }

  /** Unit vectors of images, [B E]. Throws `ArgumentError BATCH_EMPTY`, `NonFiniteError EMBEDDING_NON_FINITE`. */
  async encodeImage(images: ImageInput | readonly ImageInput[], options: RunOptions = {}): Promise<Tensor> {
    const list = isList(images) ? images : [images];
    return this.#inBatches("encodeImage", "images", list, options.batch ?? 16, options.signal, async (some) =>
      this.#image(await preprocessBatch(some, this.preprocessor)),
    );
  }

  /**
   * Unit vectors of texts, [B E]. Throws `ArgumentError BATCH_EMPTY` or `TOKENIZER_MISSING`,
   * `TokenizerInputError TEXT_TOO_LONG`, `NonFiniteError EMBEDDING_NON_FINITE`.
   */
  async encodeText(texts: string | readonly string[], options: TextOptions & RunOptions = {}): Promise<Tensor> {
    const list = (typeof texts === "string" ? [texts] : texts).map((text) => clean(text, this.cleaning));
    const { context } = this.model.text;
    if (!this.tokenizer || context === undefined) {
      throw new VlmError("ArgumentError", "TOKENIZER_MISSING", {
        what: `encodeText: the ${this.tokenizer ? "text encoder says no `context`, the most tokens of a text" : "model has no tokenizer"}`,
        hint: "tokenize yourself and call clip.model.textFeatures(ids), or load with { tokenizer }",
      });
    }
    const { tokenizer } = this;
    return this.#inBatches("encodeText", "texts", list, options.batch ?? 64, options.signal, (some) => {
      const { ids, shape } = tokenize(some, tokenizer, context, options);
      return this.#text(fromHost(ids, shape, "i32"));
    });
  }

  /** Cosines of images and texts: [images texts]. */
  async similarity(
    images: ImageInput | readonly ImageInput[],
    texts: string | readonly string[],
    options: TextOptions & RunOptions = {},
  ): Promise<Tensor> {
    const text = await this.encodeText(texts, options);
    return (await this.encodeImage(images, options)).matmul(text.transpose());
  }

  /**
   * How probable each label is for an image, most probable first: probabilities that sum to 1 for CLIP; for SigLIP one
   * by one, so that no label need fit. Throws `ArgumentError` for labels that are missing, empty or twice there.
   */
  async classify(image: ImageInput, labels: readonly string[], options?: ClassifyOptions): Promise<Ranking>;
  async classify(
    images: readonly ImageInput[],
    labels: readonly string[],
    options?: ClassifyOptions,
  ): Promise<Ranking[]>;
  async classify(
    images: ImageInput | readonly ImageInput[],
    labels: readonly string[],
    options: ClassifyOptions = {},
  ): Promise<Ranking | Ranking[]> {
    const classifier = await this.classifier(labels, options);
    return isList(images) ? classifier.classify(images, options) : classifier.classify(images, options);
  }

  /** Turns labels into vectors, once for any number of images. The last few are kept for `classify`. */
  classifier(labels: readonly string[], options: ClassifyOptions = {}): Promise<Classifier> {
    const { templates = ["{}"] } = options;
    // A function is known by identity only, so a classifier with one is not kept.
    const key = templates.every((t) => typeof t === "string") ? JSON.stringify([labels, templates]) : null;
    const kept = key === null ? undefined : this.#classifiers.get(key);
    if (kept) return kept;
    const made = this.#makeClassifier([...labels], options);
    if (key !== null) {
      this.#classifiers.set(key, made);
      made.catch(() => this.#classifiers.delete(key));
      const [oldest] = this.#classifiers.keys();
      if (this.#classifiers.size > KEPT) this.#classifiers.delete(oldest!);
    }
    return made;
  }

  /** An index of images, to be searched by texts or by other embeddings; items are the images themselves unless given. */
  async createIndex(images: readonly ImageInput[], options?: RunOptions): Promise<EmbeddingIndex<ImageInput>>;
  async createIndex<T>(
    images: readonly ImageInput[],
    options: RunOptions & { items: readonly T[] },
  ): Promise<EmbeddingIndex<T>>;
  async createIndex(
    images: readonly ImageInput[],
    options: RunOptions & { items?: readonly unknown[] } = {},
  ): Promise<EmbeddingIndex<unknown>> {
    return new EmbeddingIndex(await this.encodeImage(images, options), options.items ?? images);
  }

  /** The items nearest to a text, or to an embedding [E] or [1 E], nearest first. */
  async search<T>(index: EmbeddingIndex<T>, query: string | Tensor, options: SearchOptions = {}): Promise<Hit<T>[]> {
    const [hits] = await index.search(typeof query === "string" ? await this.encodeText(query) : query, options);
    return hits!;
  }

  /** Where in an image the model looks, as a grid of shares that sum to 1: see `attentionMap`. */
  async attentionMap(image: ImageInput): Promise<HeatMap> {
    return attentionMap(this.model, await preprocessBatch([image], this.preprocessor));
  }

  /**
   * Writes everything into a folder in the form of the library that has this model, so that its own code opens it:
   * weights, configuration, tokenizer.json and preprocessor_config.json.
   */
  async save(folder: FolderLike, options: SaveOptions = {}): Promise<Saved> {
    const files: Record<string, object> = { "preprocessor_config.json": preprocessorConfig(this.preprocessor) };
    if (this.tokenizer) {
      const { tokenizer } = this;
      const roles = Object.entries(tokenizer.roles).map(([role, id]) => [`${role}_token`, tokenizer.idToToken(id)]);
      files["tokenizer.json"] = tokenizer.toJSON();
      files["tokenizer_config.json"] = { tokenizer_class: "PreTrainedTokenizerFast", ...Object.fromEntries(roles) };
    }
    return saveCLIPModel(this.model, folder, { ...options, files: { ...files, ...options.files } });
  }

  async #makeClassifier(labels: readonly string[], options: ClassifyOptions): Promise<Classifier> {
    const weights = ensemble(await this.encodeText(prompts(labels, options.templates), options), labels.length);
    await realize(weights);
    const ranked = async (images: readonly ImageInput[], run: RunOptions): Promise<Ranking[]> => {
      const logits = this.model.logits(await this.encodeImage(images, run), weights);
      const probabilities = await this.model.probabilities(logits).data(); // [B K]
      const K = labels.length;
      return images.map((_, b) => rank(labels, probabilities.slice(b * K, (b + 1) * K)));
    };
    function classify(image: ImageInput, run?: RunOptions): Promise<Ranking>;
    function classify(images: readonly ImageInput[], run?: RunOptions): Promise<Ranking[]>;
    async function classify(
      images: ImageInput | readonly ImageInput[],
      run: RunOptions = {},
    ): Promise<Ranking | Ranking[]> {
      return isList(images) ? ranked(images, run) : (await ranked([images], run))[0]!;
    }
    return { labels, weights, classify };
  }

  /** Computes a list in parts and puts the unit vectors together. */
  async #inBatches<T>(
    method: string,
    what: string,
    list: readonly T[],
    batch: number,
    signal: AbortSignal | undefined,
    encode: (some: readonly T[]) => Promise<{ unit: Tensor; sound: Tensor }>,
  ): Promise<Tensor> {
    if (list.length === 0) {
      throw new VlmError("ArgumentError", "BATCH_EMPTY", {
        what: `${method}: there are no ${what}`,
        hint: "give at least one",
      });
    }
    if (!Number.isInteger(batch) || batch < 1) {
      throw new VlmError("ArgumentError", "BATCH_SIZE", {
        what: `${method}: batch is ${batch}`,
        hint: "it is a whole number of at least 1",
      });
    }
    const parts: Tensor[] = [];
    for (let start = 0; start < list.length; start += batch) {
      signal?.throwIfAborted();
      const { unit, sound } = await encode(list.slice(start, start + batch));
      if (!(await sound.item())) throw nonFinite(method, what, start, Math.min(start + batch, list.length));
      parts.push(unit);
    }
    signal?.throwIfAborted();
    if (parts.length === 1) return parts[0]!;
    const all = concat(parts);
    await realize(all);
    return all;
  }
}

/** No kind of picture is an array. */
const isList = (images: ImageInput | readonly ImageInput[]): images is readonly ImageInput[] => Array.isArray(images);

const nonFinite = (method: string, what: string, from: number, to: number): VlmError =>
  new VlmError("NonFiniteError", "EMBEDDING_NON_FINITE", {
    what: `${method}: an embedding of ${what} ${from} to ${to - 1} has NaN or infinities`,
    hint: "the weights are damaged (load with { strict: true } to see), or f16 overflowed: load with another dtype",
    details: { from, to },
  });
