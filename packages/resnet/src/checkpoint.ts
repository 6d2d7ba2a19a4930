/** The names of OpenAI's CLIP and of OpenCLIP for our parameters. Left: ours. Right: theirs. */
import { type ConfigReader, concat, type KeyRule } from "@vlm/weights";
import type { ResNetConfig } from "./resnet.ts";

/** A norm's four tensors. */
const norm = (ours: string, theirs: string): readonly KeyRule[] => [
  [`${ours}.runningMean`, `${theirs}.running_mean`],
  [`${ours}.runningVariance`, `${theirs}.running_var`],
  [`${ours}.*`, `${theirs}.*`],
];

/** Stages count from 0 here and from 1 there. */
const block = "visual.layer{s+1}.{i}";

/** The two-column table of names. */
export const openClipResNet: readonly KeyRule[] = [
  ["stem.conv1.weight", "visual.conv1.weight"],
  ...norm("stem.norm1", "visual.bn1"),
  ["stem.conv2.weight", "visual.conv2.weight"],
  ...norm("stem.norm2", "visual.bn2"),
  ["stem.conv3.weight", "visual.conv3.weight"],
  ...norm("stem.norm3", "visual.bn3"),
  ["stages.{s}.{i}.conv1.weight", `${block}.conv1.weight`],
  ...norm("stages.{s}.{i}.norm1", `${block}.bn1`),
  ["stages.{s}.{i}.conv2.weight", `${block}.conv2.weight`],
  ...norm("stages.{s}.{i}.norm2", `${block}.bn2`),
  ["stages.{s}.{i}.conv3.weight", `${block}.conv3.weight`],
  ...norm("stages.{s}.{i}.norm3", `${block}.bn3`),
  ["stages.{s}.{i}.shortcut.conv.weight", `${block}.downsample.0.weight`],
  ...norm("stages.{s}.{i}.shortcut.norm", `${block}.downsample.1`),
  ["pool.position", "visual.attnpool.positional_embedding"],
  ["pool.attention.q.*", "visual.attnpool.q_proj.*"],
  ["pool.attention.kv.*", concat("visual.attnpool.k_proj.*", "visual.attnpool.v_proj.*")],
  ["pool.attention.out.*", "visual.attnpool.c_proj.*"],
];

/** Their tensors that are not needed. */
export const openClipResNetIgnore: readonly string[] = ["visual.**.num_batches_tracked"];

/** Our configuration from the `model_cfg` of `open_clip_config.json`. Throws `ArgumentError CONFIG_FIELD`. */
export function resNetConfigFromOpenClip(json: ConfigReader): ResNetConfig {
  const vision = json.at("vision_cfg");
  const [a, b, c, d, ...more] = vision.numbers("layers");
  if (a === undefined || b === undefined || c === undefined || d === undefined || more.length > 0) {
    throw vision.wrong("layers", "the blocks of four stages");
  }
  const width = vision.size("width", 64);
  const heads = (32 * width) / vision.size("head_width", 64);
  if (!Number.isInteger(heads)) throw vision.wrong("head_width", `a width of heads that divides ${32 * width}`);
  return {
    imageSize: vision.size("image_size", 224),
    width,
    layers: [a, b, c, d],
    embed: json.size("embed_dim", 1024),
    heads,
  };
}
