/**
 * CLIP's modified ResNet — Radford et al. 2021, arXiv:2103.00020, section 2.4; after He et al. 2015 and, for its three
 * changes, He et al. 2018 (ResNet-D: stem of three convolutions), Zhang 2019 (average pooling before strides) and
 * attention in place of the last average.
 *
 *   image → stem ÷4 → Bottleneck × n₁ → (÷2) × n₂ → (÷2) × n₃ → (÷2) × n₄ → attention pool
 *
 * B batch · H W pixels · w width of the stem · C channels of a stage · N = H/32·W/32 places · E embedding
 */
import { avgPool, concat, currentContext, type Tensor, VlmError, zeros } from "@vlm/core";
import { Attention, BatchNorm, Conv2d, initialKey, Module, normal, Parameter, repeat } from "@vlm/nn";

/** Sizes of a ResNet, as in table 19 of Radford et al. 2021. */
export type ResNetConfig = {
  /** Pixels of a side, a multiple of 32: the attention pool's positions fit one size. */
  imageSize: number; // H = W
  /** Channels after the stem; the stages have 4w, 8w, 16w and 32w. */
  width: number; // w
  /** Blocks of the four stages. */
  layers: readonly [number, number, number, number];
  /** Width of the result. */
  embed: number; // E
  /** Heads of the attention pool. Default 32w / 64. */
  heads?: number;
};

/** Table 19 of the paper; the multiples' widths and depths from OpenAI's checkpoints. */
export const RN50 = { imageSize: 224, width: 64, layers: [3, 4, 6, 3], embed: 1024 } as const satisfies ResNetConfig;
/** RN101: 23 blocks in the third stage. */
export const RN101 = { imageSize: 224, width: 64, layers: [3, 4, 23, 3], embed: 512 } as const satisfies ResNetConfig;
/** RN50x4: EfficientNet-style scaling to about 4 times the computation of RN50. */
export const RN50x4 = { imageSize: 288, width: 80, layers: [4, 6, 10, 6], embed: 640 } as const satisfies ResNetConfig;
/** RN50x16: about 16 times the computation of RN50. */
export const RN50x16 = { imageSize: 384, width: 96, layers: [6, 8, 18, 8], embed: 768 } as const satisfies ResNetConfig;
/** RN50x64: about 64 times the computation of RN50. */
export const RN50x64 = {
  imageSize: 448,
  width: 128,
  layers: [3, 15, 36, 10],
  embed: 1024,
} as const satisfies ResNetConfig;

/** Channels of a block's result, in units of its inner width (He et al. 2015, section 4.1). */
const EXPANSION = 4;

const conv1x1 = (inputs: number, outputs: number): Conv2d => new Conv2d(inputs, outputs, 1, { bias: false });
const conv3x3 = (inputs: number, outputs: number, stride = 1): Conv2d =>
  new Conv2d(inputs, outputs, 3, { stride, padding: 1, bias: false });
const relu = (x: Tensor): Tensor => x.relu();
const halve = (x: Tensor): Tensor => avgPool(x, 2);

/** Three convolutions and a mean: [B 3 H W] → [B w H/4 W/4]. */
class Stem extends Module {
  readonly conv1: Conv2d; // 3 → w/2
  readonly norm1: BatchNorm;
  readonly conv2: Conv2d; // w/2 → w/2
  readonly norm2: BatchNorm;
  readonly conv3: Conv2d; // w/2 → w
  readonly norm3: BatchNorm;

  constructor(width: number) {
    super();
    this.conv1 = conv3x3(3, width / 2, 2);
    this.norm1 = new BatchNorm(width / 2);
    this.conv2 = conv3x3(width / 2, width / 2);
    this.norm2 = new BatchNorm(width / 2);
    this.conv3 = conv3x3(width / 2, width);
    this.norm3 = new BatchNorm(width);
  }

  forward(x: Tensor): Tensor {
    x = x.pipe(this.conv1).pipe(this.norm1).pipe(relu); // [B w/2 H/2 W/2]
    x = x.pipe(this.conv2).pipe(this.norm2).pipe(relu);
    x = x.pipe(this.conv3).pipe(this.norm3).pipe(relu); // [B w H/2 W/2]
    return x.pipe(halve);
  }
}

/** x through a 1×1 convolution and a norm, halved before where the block halves. */
class Shortcut extends Module {
  readonly conv: Conv2d;
  readonly norm: BatchNorm;
  readonly stride: 1 | 2;

  constructor(inputs: number, outputs: number, stride: 1 | 2) {
    super();
    this.conv = conv1x1(inputs, outputs);
    this.norm = new BatchNorm(outputs);
    this.stride = stride;
  }

  forward(x: Tensor): Tensor {
    return (this.stride === 2 ? halve(x) : x).pipe(this.conv).pipe(this.norm);
  }
}

/** 1×1, 3×3, 1×1 and a shortcut; no convolution has a stride: [B C H W] → [B 4c H/s W/s]. */
export class Bottleneck extends Module {
  readonly conv1: Conv2d; // C → c
  readonly norm1: BatchNorm;
  readonly conv2: Conv2d; // c → c
  readonly norm2: BatchNorm;
  readonly conv3: Conv2d; // c → 4c
  readonly norm3: BatchNorm;
  readonly shortcut: Shortcut | null;
  readonly stride: 1 | 2;

  constructor(inputs: number, inner: number, stride: 1 | 2) {
    super();
    const outputs = EXPANSION * inner;
    this.conv1 = conv1x1(inputs, inner);
    this.norm1 = new BatchNorm(inner);
    this.conv2 = conv3x3(inner, inner);
    this.norm2 = new BatchNorm(inner);
    this.conv3 = conv1x1(inner, outputs);
    this.norm3 = new BatchNorm(outputs);
    this.norm3.weight.assign(zeros([outputs])); // each block starts as its shortcut (Goyal et al. 2017, section 5.1)
    this.shortcut = stride === 2 || inputs !== outputs ? new Shortcut(inputs, outputs, stride) : null;
    this.stride = stride;
  }

  /** [B C H W] → [B 4c H/s W/s]. */
  forward(x: Tensor): Tensor {
    let y = x.pipe(this.conv1).pipe(this.norm1).pipe(relu); // [B c H W]
    y = y.pipe(this.conv2).pipe(this.norm2).pipe(relu);
    if (this.stride === 2) y = y.pipe(halve);
    y = y.pipe(this.conv3).pipe(this.norm3); // [B 4c H/s W/s]
    return y.add(this.shortcut ? x.pipe(this.shortcut) : x).pipe(relu);
  }
}

/** The mean of all places asks all places and itself, once: [B C H W] → [B E]. */
export class AttentionPool extends Module {
  readonly position: Parameter; // [N+1 C]
  readonly attention: Attention; // C → E

  constructor(places: number, channels: number, heads: number, embed: number) {
    super();
    const std = channels ** -0.5;
    this.position = new Parameter(normal(std)([places + 1, channels], initialKey()));
    const init = normal(std);
    this.attention = new Attention({ width: channels, contextWidth: channels, outputs: embed, heads, init });
  }

  /** [B C H W] → [B E]. */
  forward(x: Tensor): Tensor {
    const tokens = this.tokens(x); // [B N+1 C]
    const mean = tokens.slice(null, [0, 1]); // [B 1 C]
    return mean.pipe(this.attention, { context: tokens }).slice(null, 0);
  }

  /** What the pool attends to: the mean of all places, the places, and their positions. */
  tokens(x: Tensor): Tensor {
    const [B, C, H, W] = x.dims(4);
    const places = x.reshape([B, C, H * W]).transpose(); // [B N C]
    return concat([places.mean(1, { keepDims: true }), places], 1).add(this.position);
  }
}

/** CLIP's ResNet with an attention pool: [B 3 H W] → [B embed] (section 2.4). */
export class ResNet extends Module {
  readonly config: ResNetConfig;
  readonly stem: Stem;
  readonly stages: Bottleneck[][];
  readonly pool: AttentionPool;

  constructor(config: ResNetConfig) {
    super();
    const { imageSize, width, layers, embed } = config;
    if (imageSize % 32 !== 0 || width % 2 !== 0) throw sizeError(imageSize, width);
    this.config = config;
    this.stem = new Stem(width);
    let channels: number = width;
    this.stages = layers.map((count, stage) =>
      repeat(count, (i) => {
        const block = new Bottleneck(channels, width * 2 ** stage, stage > 0 && i === 0 ? 2 : 1);
        channels = EXPANSION * width * 2 ** stage;
        return block;
      }),
    );
    const heads = config.heads ?? channels / 64;
    this.pool = new AttentionPool((imageSize / 32) ** 2, channels, heads, embed);
  }

  get width(): number {
    return this.config.embed;
  }

  /** [B 3 H W] → [B E]. */
  forward(image: Tensor): Tensor {
    return this.features(image).pipe(this.pool);
  }

  /** The last stage's map, [B 3 H W] → [B 32w H/32 W/32]. */
  features(image: Tensor): Tensor {
    const { imageSize: size } = this.config;
    const [, C, H, W] = image.dims(4);
    if (C !== 3 || H !== size || W !== size) {
      throw new VlmError("ShapeError", "IMAGE_SIZE", {
        what: `ResNet: images are [${image.shape.join(" ")}], ResNetConfig.imageSize asks for [B 3 ${size} ${size}]`,
        where: currentContext().path.join(".") || undefined,
        hint: "resize the images: the attention pool's positions are made for one size",
        details: { shape: image.shape, imageSize: size },
      });
    }
    if (!["f32", "f16", "bf16"].includes(image.dtype)) {
      throw new VlmError("DTypeError", "IMAGE_DTYPE", {
        what: `ResNet: images are ${image.dtype}, the network takes floating-point numbers`,
        where: currentContext().path.join(".") || undefined,
        hint: 'preprocess them (scale, then normalise), or cast: image.cast("f32")',
      });
    }
    return this.stages.flat().reduce<Tensor>((x, block) => x.pipe(block), image.pipe(this.stem));
  }
}

const sizeError = (imageSize: number, width: number): VlmError =>
  new VlmError("ArgumentError", "RESNET_CONFIG", {
    what: `ResNetConfig: imageSize ${imageSize} must be a multiple of 32 and width ${width} of 2`,
    hint: "the network halves the image five times, and the stem starts with half the width",
    details: { imageSize, width },
  });
