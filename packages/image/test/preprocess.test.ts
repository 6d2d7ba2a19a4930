import { describe, expect, it } from "vitest";
import { centerBox, centerCrop, crop, pad } from "../src/crop.ts";
import { letterbox } from "../src/letterbox.ts";
import { patchify, unpatchify } from "../src/patchify.ts";
import { preprocess, preprocessBatch } from "../src/preprocess.ts";
import { preprocessPixels } from "../src/preprocess-pixels.ts";
import { clipPreprocessor, type Preprocessor, siglipPreprocessor, vitPreprocessor } from "../src/preprocessor.ts";
import { preprocessorFromConfig } from "../src/preprocessor-config.ts";
import { filterShapes, fixedPoint, resampleWeights } from "../src/resample.ts";
import { fastHorizontal, fastVertical } from "../src/resample-fast.ts";
import { horizontalPass, verticalPass } from "../src/resample-passes.ts";
import { resampleModule } from "../src/resample-wasm.ts";
import { resize, resizeRegion } from "../src/resize.ts";
import { resizeFloat } from "../src/resize-float.ts";
import { targetSize } from "../src/target-size.ts";
import { caught, fixture, png } from "./files.ts";
import { bytesOf, source } from "./source.ts";

describe("preprocess", () => {
  it("returns a tensor [3 H W] from anything that can be read", async () => {
    const tensor = await preprocess(fixture("jpeg"), clipPreprocessor);
    expect([...tensor.shape, tensor.dtype]).toEqual([3, 224, 224, "f32"]);
    const same = preprocessPixels(source(30, 20, 3, 1), siglipPreprocessor);
    expect(await (await preprocess(source(30, 20, 3, 1), siglipPreprocessor)).data()).toEqual(same.data);
  });

  it("reads files as load_image of Hugging Face does: upright, 16-bit grey clipped", async () => {
    const identity: Preprocessor = { filter: "box" };
    const turned = await preprocess(fixture("exif-jpeg-6"), identity);
    expect([...turned.shape]).toEqual([3, 24, 16]);
    expect([...(await preprocess(fixture("exif-jpeg-6"), identity, { orientation: "ignore" })).shape]).toEqual([
      3, 16, 24,
    ]);
    const deep = png(1, 1, { bits: 16, color: 0, rows: Buffer.from([0, 1, 0]) });
    expect([...(await (await preprocess(deep, identity)).data())]).toEqual([255, 255, 255]);
  });

  it("of a batch equals each image alone", async () => {
    const images = [source(30, 20, 3, 1), source(9, 50, 1, 2), source(224, 224, 4, 3)];
    const batch = await preprocessBatch(images, vitPreprocessor);
    expect([...batch.shape]).toEqual([3, 3, 224, 224]);
    const values = await batch.data();
    for (const [i, image] of images.entries()) {
      const alone = preprocessPixels(image, vitPreprocessor).data;
      expect(values.slice(i * alone.length, (i + 1) * alone.length)).toEqual(alone);
    }
    expect((await caught(() => preprocessBatch([], vitPreprocessor))).code).toBe("IM_EMPTY");
  });

  it("works for one pixel and for very long and thin images", () => {
    for (const [width, height] of [
      [1, 1],
      [1, 4000],
      [4000, 1],
      [3, 2000],
      [9, 1],
    ] as const) {
      const { data, shape } = preprocessPixels(source(width, height, 3, 1), clipPreprocessor);
      expect(shape).toEqual([3, 224, 224]);
      expect(data.every(Number.isFinite)).toBe(true);
    }
  });

  it("says when an image is too thin for a size, or a side too long", async () => {
    const within: Preprocessor = { resize: { kind: "within", height: 100, width: 100 }, filter: "bicubic" };
    const thin = await caught(() => preprocessPixels(source(1, 4000, 3, 1), within));
    expect([thin.name, thin.code]).toEqual(["ArgumentError", "IM_ASPECT"]);
    const { crop: _, ...uncropped } = clipPreprocessor;
    const long = await caught(() => preprocessPixels(source(1, 4000, 3, 1), uncropped));
    expect([long.name, long.code]).toEqual(["ImageLimitError", "IM_RESIZE_LIMIT"]);
  });

  it("pads at the end and refuses to pad to less", async () => {
    const padded = preprocessPixels(source(2, 2, 3, 1), { filter: "box", rescale: 1, pad: { height: 3, width: 4 } });
    expect(padded.shape).toEqual([3, 3, 4]);
    expect([...padded.data.slice(8, 12)]).toEqual([0, 0, 0, 0]);
    const error = await caught(() =>
      preprocessPixels(source(5, 5, 3, 1), { filter: "box", pad: { height: 3, width: 4 } }),
    );
    expect(error.code).toBe("IM_PAD");
  });
});

describe("preprocessor_config.json", () => {
  it("is read as CLIP, SigLIP, ViT and BLIP-2 publish it", () => {
    const clip = {
      crop_size: 224,
      do_center_crop: true,
      do_normalize: true,
      do_resize: true,
      feature_extractor_type: "CLIPFeatureExtractor",
      image_mean: [0.48145466, 0.4578275, 0.40821073],
      image_std: [0.26862954, 0.26130258, 0.27577711],
      resample: 3,
      size: 224,
    };
    expect(preprocessorFromConfig(clip)).toEqual(clipPreprocessor);
    const siglip = {
      do_normalize: true,
      do_rescale: true,
      do_resize: true,
      image_mean: [0.5, 0.5, 0.5],
      image_processor_type: "SiglipImageProcessor",
      image_std: [0.5, 0.5, 0.5],
      processor_class: "SiglipProcessor",
      resample: 3,
      rescale_factor: 0.00392156862745098,
      size: { height: 224, width: 224 },
    };
    expect(preprocessorFromConfig(siglip)).toEqual(siglipPreprocessor);
    const vit = {
      do_normalize: true,
      do_resize: true,
      image_mean: [0.5, 0.5, 0.5],
      image_std: [0.5, 0.5, 0.5],
      size: 224,
    };
    expect(preprocessorFromConfig(vit)).toEqual(vitPreprocessor);
    const blip2 = {
      image_processor_type: "BlipImageProcessor",
      size: { height: 224, width: 224 },
      do_convert_rgb: true,
    };
    expect(preprocessorFromConfig(blip2).resize).toEqual({ kind: "exact", height: 224, width: 224 });
    expect(preprocessorFromConfig({ image_processor_type: "CLIPImageProcessorFast" })).toEqual(clipPreprocessor);
  });

  it("that cannot work is refused, naming file and value", async () => {
    const type = { image_processor_type: "CLIPImageProcessor" };
    const cases: [unknown, RegExp][] = [
      [[], /does not hold an object/],
      [{ ...type, image_mean: [0.5, 0.5] }, /image_mean has 2 numbers for 3 channels/],
      [{ ...type, image_std: [0.5, 0, 0.5] }, /image_std has a zero/],
      [{ ...type, image_std: [0.5, Number.NaN, 0.5] }, /image_std is/],
      [{ ...type, size: 0 }, /size is 0/],
      [{ ...type, size: { shortest_edge: -3 } }, /shortest_edge is -3/],
      [{ ...type, size: { height: 2.5, width: 2 } }, /size.height is 2.5/],
      [{ ...type, size: "big" }, /size is "big"/],
      [{ ...type, crop_size: { height: 1 } }, /crop_size.width is undefined/],
      [{ ...type, resample: 9 }, /resample 9 is no filter/],
      [{ ...type, resample: "bicubik" }, /did you mean "bicubic"/],
      [{ ...type, rescale_factor: 0 }, /rescale_factor is 0/],
      [{ ...type, do_resize: "yes" }, /do_resize is "yes"/],
      [{ image_processor_type: "UnknownImageProcessor" }, /image_mean is missing.*UnknownImageProcessor/],
    ];
    for (const [config, message] of cases) {
      const error = await caught(() => preprocessorFromConfig(config, "models/x/preprocessor_config.json"));
      expect([error.name, error.code]).toEqual(["ArgumentError", "IM_CONFIG"]);
      expect(error.message).toMatch(message);
      expect(error.message).toContain("models/x/preprocessor_config.json");
    }
    const std = { mean: [0, 0, 0], std: [1, 0, 1] };
    const direct = await caught(() => preprocessPixels(source(2, 2, 3, 1), { filter: "box", normalize: std }));
    expect(direct.code).toBe("IM_CONFIG");
  });
});

describe("sizes and crops", () => {
  it("follow Hugging Face, or torchvision's rounding", () => {
    const size = { width: 227, height: 231 };
    expect(centerBox(size, 224, 224)).toMatchObject({ left: 1, top: 3 });
    expect(centerBox(size, 224, 224, "even")).toMatchObject({ left: 2, top: 4 });
    expect(targetSize({ width: 640, height: 480 }, { kind: "shortest", size: 224 })).toEqual({
      width: 298,
      height: 224,
    });
    expect(targetSize({ width: 640, height: 480 }, { kind: "within", width: 100, height: 100 })).toEqual({
      width: 100,
      height: 75,
    });
  });

  it("crop, pad and centerCrop move pixels and no others", () => {
    const image = source(5, 4, 3, 1);
    const padded = pad(image, { left: 2, top: 1, right: 3, bottom: 4 }, [9, 8, 7]);
    expect([padded.width, padded.height, ...padded.data.subarray(0, 3)]).toEqual([10, 9, 9, 8, 7]);
    expect(crop(padded, { left: 2, top: 1, width: 5, height: 4 }).data).toEqual(new Uint8ClampedArray(image.data));
    expect(centerCrop(image, { width: 8, height: 2 }).data.length).toBe(8 * 2 * 3);
  });

  it("refuse what lies outside", async () => {
    const image = source(5, 4, 3, 1);
    for (const box of [
      [0, 0, 6, 4],
      [-1, 0, 2, 2],
      [0, 0, 0, 1],
      [0.5, 0, 1, 1],
    ] as const) {
      const [left, top, width, height] = box;
      expect((await caught(() => crop(image, { left, top, width, height }))).code).toBe("IM_CROP");
    }
    expect((await caught(() => pad(image, { left: -1 }))).code).toBe("IM_PAD");
  });

  it("letterbox keeps the ratio and tells how to map back", () => {
    const { image, scale, left, top } = letterbox(source(40, 20, 3, 1), { width: 30, height: 30, color: [1, 2, 3] });
    expect([image.width, image.height, scale, left, top]).toEqual([30, 30, 0.75, 0, 7]);
    expect([...image.data.subarray(0, 3)]).toEqual([1, 2, 3]);
  });

  it("patchify cuts in the order of a convolution or of SigLIP 2, and back", async () => {
    const pixels = {
      data: Float32Array.from({ length: 2 * 4 * 6 }, (_, i) => i),
      shape: [2, 4, 6] as [number, number, number],
    };
    const chw = patchify(pixels, 2);
    expect(chw.shape).toEqual([6, 8]);
    expect([...chw.data.slice(8, 16)]).toEqual([2, 3, 8, 9, 26, 27, 32, 33]);
    expect([...patchify(pixels, 2, "hwc").data.slice(8, 12)]).toEqual([2, 26, 3, 27]);
    for (const order of ["chw", "hwc"] as const) {
      expect(unpatchify(patchify(pixels, 2, order), 2, pixels.shape, order)).toEqual(pixels);
    }
    expect((await caught(() => patchify(pixels, 4))).code).toBe("IM_PATCH");
  });
});

describe("resize", () => {
  it("of a region equals that region of the whole", () => {
    for (const like of ["pillow", "torchvision"] as const) {
      for (const filter of ["nearest", "box", "bicubic", "lanczos"] as const) {
        for (const [width, height] of [
          [50, 33],
          [150, 180],
          [101, 33],
        ] as const) {
          const image = source(101, 77, 3, 4);
          const box = { left: 11, top: 7, width: 23, height: 19 };
          const whole = crop(resize(image, { width, height, filter, like }), box);
          expect(resizeRegion(image, { width, height, filter, like }, box).data).toEqual(whole.data);
        }
      }
    }
  });

  it("gives the same numbers in WebAssembly as in TypeScript, over several bands too", () => {
    expect(resampleModule()).not.toBeNull();
    for (const [w, h, tw, th, channels] of [
      [1, 1, 3, 5, 3],
      [17, 9, 5, 4, 1],
      [33, 21, 70, 50, 4],
      [3000, 900, 120, 700, 3],
      [1500, 1600, 1400, 30, 4],
    ] as const) {
      const image = source(w, h, channels, 1);
      const across = resampleWeights(w, tw, filterShapes.lanczos);
      const fixed = fixedPoint(across, 22);
      const slow = horizontalPass(image, across, fixed, 22, 0, h);
      expect(bytesOf(fastHorizontal(image, across, fixed, 22, 0, h)).equals(bytesOf(slow))).toBe(true);
      const down = resampleWeights(h, th, filterShapes.bicubic);
      const fixedDown = fixedPoint(down, 22);
      const want = verticalPass(slow, down, fixedDown, 22, 0);
      expect(bytesOf(fastVertical(slow, down, fixedDown, 22, 0)).equals(bytesOf(want))).toBe(true);
    }
  });

  it("refuses sizes and filters that do not exist", async () => {
    const image = source(4, 4, 3, 1);
    for (const [width, height] of [
      [0, 4],
      [4, -1],
      [4, 1.5],
      [Number.NaN, 4],
    ] as const) {
      expect((await caught(() => resize(image, { width, height }))).code).toBe("IM_RESIZE_SIZE");
    }
    expect((await caught(() => resize(image, { width: 70_000, height: 1 }))).code).toBe("IM_RESIZE_LIMIT");
    const filter = "cubic" as "bicubic";
    expect((await caught(() => resize(image, { width: 2, height: 2, filter }))).code).toBe("IM_FILTER");
    const short = { data: new Float32Array(3), shape: [1, 2, 2] as [number, number, number] };
    expect((await caught(() => resizeFloat(short, { width: 1, height: 1 }))).code).toBe("IM_LENGTH");
    const long = { width: 2 ** 20 + 1, height: 1, channels: 1 as const, data: new Uint8Array(2 ** 20 + 1) };
    expect((await caught(() => resize(long, { width: 2, height: 2 }))).code).toBe("IM_RESIZE_LIMIT");
  });

  it("leaves its input alone and keeps a constant image constant", () => {
    const data = new Uint8Array(30 * 20 * 3).fill(137);
    const image = { width: 30, height: 20, channels: 3 as const, data };
    for (const filter of ["nearest", "box", "bilinear", "hamming", "bicubic", "lanczos"] as const) {
      expect(resize(image, { width: 7, height: 41, filter }).data.every((value) => value === 137)).toBe(true);
    }
    expect(data.every((value) => value === 137)).toBe(true);
  });
});
