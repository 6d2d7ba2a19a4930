import { VlmError } from "@vlm/core";
import { premultiply, unpremultiply } from "./alpha.ts";
import { type Box, crop } from "./crop.ts";
import { checkImage, type Image } from "./image.ts";
import {
  type Filter,
  filterShapes,
  fixedPoint,
  PILLOW_BITS,
  resampleWeights,
  torchvisionBits,
  type Weights,
} from "./resample.ts";
import { fastHorizontal, fastVertical } from "./resample-fast.ts";

/** Options of `resize`. */
export type ResizeOptions = {
  width: number;
  height: number;
  /** Default "bicubic", as in Pillow. */
  filter?: Filter;
  /**
   * Whose arithmetic: "pillow" (default; 22-bit weights) or "torchvision" (uint8 tensors with `antialias=True`;
   * 15-bit weights). They differ by a level on some pixels.
   */
  like?: "pillow" | "torchvision";
};

/** No side of a result may be longer than this. */
const MAX_SIDE = 65_535;

/** No side of an image to be resized may be longer than this: the filter's weights take memory with it. */
const MAX_SOURCE_SIDE = 2 ** 20;

/**
 * Resizes as `PIL.Image.resize` does, bit for bit: antialiased, horizontal pass first, 8 bits between the passes.
 * Alpha is premultiplied on the way, as in Pillow.
 * @throws `ArgumentError` for a size that is not a positive integer or a filter that does not exist.
 */
export function resize(image: Image, options: ResizeOptions): Image {
  return resizeRegion(image, options, { left: 0, top: 0, width: options.width, height: options.height });
}

/** The pixels of `resize(image, options)` inside `box`, without computing the others: resize and crop in one. */
export function resizeRegion(image: Image, options: ResizeOptions, box: Box): Image {
  const { width, height, filter = "bicubic", like = "pillow" } = options;
  checkImage(image, "resize");
  checkTarget(width, height, filter, box);
  checkSource(image);
  if (image.width === width && image.height === height) return crop(image, box);
  if (filter === "nearest") return nearest(image, options, box);
  if (image.channels === 4 && like === "pillow") {
    return unpremultiply(resample(premultiply(image), width, height, filter, like, box));
  }
  return resample(image, width, height, filter, like, box);
}

function resample(
  image: Image,
  width: number,
  height: number,
  filter: Exclude<Filter, "nearest">,
  like: "pillow" | "torchvision",
  box: Box,
): Image {
  const shape = filterShapes[filter];
  const columns = resampleWeights(image.width, width, shape, box.left, box.width);
  const rows = resampleWeights(image.height, height, shape, box.top, box.height);
  // Torchvision chooses the precision by the largest weight of the whole line, also where only a part is wanted.
  const bits = (size: number, target: number): number =>
    like === "pillow" ? PILLOW_BITS : torchvisionBits(resampleWeights(size, target, shape));
  const across = (plane: Image, top: number, lines: number): Image => {
    if (plane.width === width) return crop(plane, { left: box.left, top, width: box.width, height: lines });
    const precision = bits(image.width, width);
    return fastHorizontal(plane, columns, fixedPoint(columns, precision), precision, top, lines);
  };
  const down = (plane: Image, offset: number): Image => {
    if (image.height === height) return plane;
    const precision = bits(image.height, height);
    return fastVertical(plane, rows, fixedPoint(rows, precision), precision, offset);
  };

  let plane: Image;
  if (like === "pillow" && image.height > image.width * 100 && height < image.height) {
    // Image.resize shrinks very tall, thin images vertically first; the order shows in the rounding.
    plane = across(down(image, 0), 0, box.height);
  } else if (image.height === height) {
    plane = across(image, box.top, box.height);
  } else {
    const [first, last] = usedLines(rows);
    plane = down(across(image, first, last - first), first);
  }
  return { width: box.width, height: box.height, channels: image.channels, data: plane.data };
}

function usedLines(rows: Weights): [first: number, last: number] {
  return [rows.start[0]!, rows.start[rows.length - 1]! + rows.count[rows.length - 1]!];
}

function nearest(image: Image, { width, height, like }: ResizeOptions, box: Box): Image {
  const { channels } = image;
  const columns = nearestIndices(image.width, width, like);
  const rows = nearestIndices(image.height, height, like);
  const data = new Uint8ClampedArray(box.width * box.height * channels);
  let to = 0;
  for (let y = 0; y < box.height; y++) {
    const line = rows[box.top + y]! * image.width;
    for (let x = 0; x < box.width; x++) {
      const from = (line + columns[box.left + x]!) * channels;
      for (let c = 0; c < channels; c++) data[to++] = image.data[from + c]!;
    }
  }
  return { width: box.width, height: box.height, channels, data };
}

function nearestIndices(size: number, target: number, like: ResizeOptions["like"]): Int32Array {
  const indices = new Int32Array(target);
  const step = size / target;
  const single = Math.fround(step);
  // Pillow adds the step up (Geometry.c), and its rounding errors with it.
  let position = step * 0.5;
  for (let i = 0; i < target; i++) {
    const at = like === "torchvision" ? Math.fround((i + 0.5) * single) : position;
    indices[i] = Math.min(size - 1, Math.floor(at));
    position += step;
  }
  return indices;
}

function checkSource({ width, height }: Image): void {
  if (Math.max(width, height) <= MAX_SOURCE_SIDE) return;
  throw new VlmError("ImageLimitError", "IM_RESIZE_LIMIT", {
    what: `an image of ${width} × ${height} has a side longer than ${MAX_SOURCE_SIDE} pixels`,
    where: "resize",
    hint: "crop it into pieces first",
    details: { width, height, limit: MAX_SOURCE_SIDE },
  });
}

function checkTarget(width: number, height: number, filter: string, box: Box): void {
  if (!Number.isInteger(width) || !Number.isInteger(height) || width < 1 || height < 1) {
    throw new VlmError("ArgumentError", "IM_RESIZE_SIZE", {
      what: `cannot resize to ${width} × ${height}`,
      where: "resize",
      hint: "give a width and a height of at least 1 whole pixel",
      details: { width, height },
    });
  }
  if (box.width > MAX_SIDE || box.height > MAX_SIDE) {
    throw new VlmError("ImageLimitError", "IM_RESIZE_LIMIT", {
      what: `a result of ${box.width} × ${box.height} has a side longer than ${MAX_SIDE} pixels`,
      where: "resize",
      hint: "resize to a smaller size; of a very long, thin image keep the middle (centre crop)",
      details: { width: box.width, height: box.height, limit: MAX_SIDE },
    });
  }
  if (filter !== "nearest" && !Object.hasOwn(filterShapes, filter)) {
    throw new VlmError("ArgumentError", "IM_FILTER", {
      what: `there is no filter "${filter}"`,
      where: "resize",
      hint: `use one of nearest, ${Object.keys(filterShapes).join(", ")}`,
      details: { filter },
    });
  }
}
