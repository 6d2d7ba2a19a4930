import * as vlm from "../../../src/index.ts";
import { type Padding, type Tensor, tensor } from "../../../src/index.ts";
import { paddingOf } from "../../../src/ops/conv.ts";
import { type Call, NotApplicable, type Operators } from "../adapter.ts";
import { gridSample } from "./grid.ts";
import { type ResizeSettings, resizeMatrix } from "./resize-matrix.ts";

const product = (sizes: readonly number[]): number => sizes.reduce((a, b) => a * b, 1);

type Layout = { kernel: number[]; stride: number[]; dilation: number[]; padding: [number, number][] };

/** Attributes that convolutions and pooling share. */
function layoutOf(call: Call, size: readonly number[], kernel: readonly number[]): Layout {
  const stride = [...(call.numbers("strides") ?? size.map(() => 1))];
  const dilation = [...(call.numbers("dilations") ?? size.map(() => 1))];
  const auto = call.text("auto_pad", "NOTSET");
  const pads = call.numbers("pads");
  let padding = size.map((_, i): [number, number] => [pads?.[i] ?? 0, pads?.[i + size.length] ?? 0]);
  if (auto === "SAME_UPPER" || auto === "SAME_LOWER") {
    const { before, after } = paddingOf("conv", "same", size, kernel, stride, dilation);
    padding = before.map((b, i) => (auto === "SAME_UPPER" ? [b, after[i]!] : [after[i]!, b]));
  }
  return { kernel: [...kernel], stride, dilation, padding };
}

function conv(call: Call): Tensor {
  const [x, w] = [call.x(0), call.x(1)];
  const { stride, dilation, padding } = layoutOf(call, x.shape.slice(2), w.shape.slice(2));
  const options = {
    stride,
    dilation,
    padding: padding as Padding,
    groups: call.number("group", 1),
    bias: call.optional(2),
  };
  return [vlm.conv1d, vlm.conv2d, vlm.conv3d][x.rank - 3]!(x, w, options);
}

function convTranspose(call: Call): Tensor {
  const [x, w] = [call.x(0), call.x(1)];
  if (x.rank === 5) throw new NotApplicable("3-d transposed convolution");
  const kernel = w.shape.slice(2);
  const size = x.shape.slice(2);
  const { stride, dilation, padding } = layoutOf(call, size, kernel);
  let extra = [...(call.numbers("output_padding") ?? size.map(() => 0))];
  let pads = padding;
  const reach = kernel.map((k, i) => dilation[i]! * (k - 1) + 1);
  const auto = call.text("auto_pad", "NOTSET");
  const wanted = call.numbers("output_shape") ?? (auto.startsWith("SAME") ? size.map((n, i) => n * stride[i]!) : null);
  if (wanted) {
    const total = size.map((n, i) => stride[i]! * (n - 1) + extra[i]! + reach[i]! - wanted[i]!);
    extra = extra.map((e, i) => e + Math.max(0, -total[i]!));
    pads = total.map((t) => {
      const all = Math.max(0, t);
      const half = Math.floor(all / 2);
      return auto === "SAME_UPPER" ? [half, all - half] : [all - half, half];
    });
  }
  // Output padding beyond the stride is a negative padding at the end: zeros behind the result.
  const behind = extra.map((e, i) => Math.max(0, e - Math.max(stride[i]!, dilation[i]!) + 1));
  const options = {
    stride,
    dilation,
    padding: pads,
    outputPadding: extra.map((e, i) => e - behind[i]!),
    groups: call.number("group", 1),
  };
  const y = (x.rank === 3 ? vlm.convTranspose1d : vlm.convTranspose2d)(x, w, options);
  const grown = vlm.pad(
    y,
    behind.map((b) => [0, b] as const),
  );
  const bias = call.optional(2);
  return bias ? grown.add(bias.reshape([-1, ...size.map(() => 1)])) : grown;
}

function pool(call: Call): { x: Tensor; window: number[]; options: vlm.PoolOptions } {
  const x = call.x();
  const window = [...call.numbers("kernel_shape")!];
  const { stride, dilation, padding } = layoutOf(call, x.shape.slice(2), window);
  return { x, window, options: { stride, dilation, padding, ceil: call.number("ceil_mode", 0) === 1 } };
}

/** Positions of the greatest elements, as ONNX numbers them: in the whole input, row or column major. */
function maxPool(call: Call): Tensor | Tensor[] {
  const { x, window, options } = pool(call);
  const wide = x.dtype === "u8" ? x.cast("i32") : x;
  const values = vlm.maxPool(wide, window, options).cast(x.dtype);
  if (call.outputs === 1) return values;
  const sizes = x.shape.slice(2);
  const strides = call.number("storage_order", 0)
    ? sizes.map((_, i) => product(sizes.slice(0, i)))
    : sizes.map((_, i) => product(sizes.slice(i + 1)));
  let position = vlm
    .iota(x.shape[0]! * x.shape[1]!)
    .mul(product(sizes))
    .reshape([x.shape[0]!, x.shape[1]!, ...sizes.map(() => 1)]);
  sizes.forEach((n, i) => {
    position = position.add(
      vlm
        .iota(n)
        .mul(strides[i]!)
        .reshape(sizes.map((_, k) => (k === i ? n : 1))),
    );
  });
  const padding = (options.padding as [number, number][]).map((p) => p as readonly [number, number]);
  const windowsOf = (v: Tensor, fill: number): Tensor =>
    vlm.windows(
      vlm.pad(v, padding, fill),
      sizes.map((_, i) => i + 2),
      window,
      options.stride as number[],
      options.dilation as number[],
    );
  const axes = sizes.map((_, i) => 2 + sizes.length + i);
  const seen = windowsOf(wide.cast("f32"), Number.NEGATIVE_INFINITY);
  const best = values.cast("f32").reshape([...values.shape, ...sizes.map(() => 1)]);
  const at = seen
    .eq(best)
    .where(windowsOf(position.expand(x.shape), 2 ** 30), 2 ** 30)
    .min(axes);
  return [values, at];
}

function lpPool(call: Call): Tensor {
  const { x, window, options } = pool(call);
  const p = call.number("p", 2);
  const mean = vlm.avgPool(x.abs().pow(p), window, options);
  return mean.mul(product(window)).pow(1 / p);
}

async function maxUnpool(call: Call): Promise<Tensor> {
  const x = call.x();
  const kernel = call.numbers("kernel_shape")!;
  const stride = call.numbers("strides") ?? kernel.map(() => 1);
  const pads = call.numbers("pads") ?? kernel.flatMap(() => [0, 0]);
  const inferred = x.shape.map((n, i) => {
    const k = i - 2;
    return k < 0 ? n : (n - 1) * stride[k]! + kernel[k]! - pads[k]! - pads[k + kernel.length]!;
  });
  // Positions count in the inferred shape; a larger result has room behind it.
  const shape = (await call.host(2)) ?? inferred;
  const flat = vlm.scatter(vlm.zeros([product(inferred)]), call.x(1).reshape([-1]), x.reshape([-1]), 0);
  return vlm.pad(
    flat.reshape(inferred),
    shape.map((n, i) => [0, n - inferred[i]!] as const),
  );
}

async function col2im(call: Call): Promise<Tensor> {
  const x = call.x();
  const [image, block] = [(await call.host(1))!, (await call.host(2))!];
  const { stride, dilation, padding } = layoutOf(call, image, block);
  const channels = x.shape[1]! / product(block);
  const positions = image.map(
    (n, i) => Math.floor((n + padding[i]![0] + padding[i]![1] - dilation[i]! * (block[i]! - 1) - 1) / stride[i]!) + 1,
  );
  if (image.length > 2) throw new NotApplicable("3-d transposed convolution");
  // A transposed convolution whose kernel is the identity.
  const columns = x.reshape([x.shape[0]!, channels * product(block), ...positions]);
  const kernel = vlm.tile(
    vlm
      .eye(product(block))
      .cast("f32")
      .reshape([product(block), 1, ...block]),
    [channels, 1, ...block.map(() => 1)],
  );
  const options = { stride, dilation, padding, groups: channels };
  return (image.length === 1 ? vlm.convTranspose1d : vlm.convTranspose2d)(columns, kernel, options);
}

async function resize(call: Call): Promise<Tensor> {
  const upsample = call.op === "Upsample";
  let y = call.x();
  const axes = (call.numbers("axes") ?? y.shape.map((_, i) => i)).map((axis) => (axis < 0 ? axis + y.rank : axis));
  const given = upsample ? await call.either("scales", 1) : await call.host(call.opset < 11 ? 1 : 2);
  const scales = given && given.length > 0 ? given : null;
  const roi = upsample || call.opset < 11 ? null : await call.host(1);
  let sizes = upsample ? null : await call.host(3);
  const policy = call.text("keep_aspect_ratio_policy", "stretch");
  const inputs = axes.map((axis) => y.shape[axis]!);
  let used = scales ?? sizes!.map((n, k) => n / inputs[k]!);
  if (sizes && policy !== "stretch") {
    const scale = policy === "not_larger" ? Math.min(...used) : Math.max(...used);
    used = used.map(() => scale);
    sizes = inputs.map((n) => Math.round(scale * n));
  }
  const single = y.dtype === "f32" ? y : y.cast("f32");
  const { dtype } = y;
  y = single;
  const settings: ResizeSettings = {
    mode: call.text("mode", "nearest"),
    transform: call.text("coordinate_transformation_mode", upsample || call.opset < 11 ? "asymmetric" : "half_pixel"),
    nearest: call.text("nearest_mode", upsample || call.opset < 11 ? "floor" : "round_prefer_floor"),
    cubic: call.number("cubic_coeff_a", -0.75),
    excludeOutside: call.number("exclude_outside", 0) === 1,
    antialias: call.number("antialias", 0) === 1,
    outside: call.number("extrapolation_value", 0),
  };
  axes.forEach((axis, k) => {
    const n = inputs[k]!;
    const out = sizes ? sizes[k]! : Math.floor(n * used[k]!);
    const region = roi && roi.length > 0 ? ([roi[k]!, roi[k + axes.length]!] as const) : ([0, 1] as const);
    if (out === n && used[k] === 1 && settings.transform !== "tf_crop_and_resize") return;
    const { weights, outside } = resizeMatrix(n, out, used[k]!, region, settings);
    const matrix = tensor(weights, { shape: [out, n], dtype: "f32" });
    const column = tensor(outside, { shape: [out], dtype: "f32" });
    y = y.transpose(axis, -1).matmul(matrix.transpose()).add(column.mul(settings.outside)).transpose(axis, -1);
  });
  return y.cast(dtype);
}

/** Crops sampled at a grid of points and averaged (or the greatest taken). */
async function roiAlign(call: Call): Promise<Tensor> {
  const x = call.x();
  const boxes = (await call.host(1))!;
  const [height, width] = [call.number("output_height", 1), call.number("output_width", 1)];
  const ratio = call.number("sampling_ratio", 0);
  const scale = call.number("spatial_scale", 1);
  const half =
    call.text("coordinate_transformation_mode", call.opset >= 16 ? "half_pixel" : "output_half_pixel") === "half_pixel"
      ? 0.5
      : 0;
  const images = (await call.host(2))!;
  const crops = images.map((image, r) => {
    const [x1, y1, x2, y2] = [0, 1, 2, 3].map((i) => boxes[r * 4 + i]! * scale - half) as [
      number,
      number,
      number,
      number,
    ];
    const least = half ? 0 : 1;
    const [w, h] = [Math.max(x2 - x1, half ? x2 - x1 : least), Math.max(y2 - y1, half ? y2 - y1 : least)];
    const sample = (start: number, length: number, cells: number, n: number): { matrix: Tensor; points: number } => {
      const points = ratio > 0 ? ratio : Math.ceil(length / cells);
      const weights = new Float64Array(cells * points * n);
      for (let i = 0; i < cells * points; i++) {
        let at = start + ((i + 0.5) * length) / (cells * points);
        if (at < -1 || at > n) continue;
        at = Math.min(Math.max(at, 0), n - 1);
        const low = Math.min(Math.floor(at), n - 1);
        const part = at - low;
        weights[i * n + low]! += 1 - part;
        if (low + 1 < n) weights[i * n + low + 1]! += part;
      }
      return { matrix: tensor(weights, { shape: [cells * points, n], dtype: "f32" }), points };
    };
    const rows = sample(y1, h, height, x.shape[2]!);
    const columns = sample(x1, w, width, x.shape[3]!);
    if (call.text("mode", "avg") === "max") throw new NotApplicable("the greatest of weighted samples");
    const points = rows.matrix.matmul(x.slice(image)).matmul(columns.matrix.transpose());
    return vlm.avgPool(points.reshape([1, ...points.shape]), [rows.points, columns.points]);
  });
  return vlm.concat(crops);
}

export const spatial: Operators = {
  Conv: conv,
  ConvTranspose: convTranspose,
  MaxPool: maxPool,
  AveragePool(call) {
    const { x, window, options } = pool(call);
    return vlm.avgPool(x, window, { ...options, countPadding: call.number("count_include_pad", 0) === 1 });
  },
  LpPool: lpPool,
  GlobalAveragePool: (call) =>
    call.x().mean(
      call
        .x()
        .shape.map((_, i) => i)
        .slice(2),
      { keepDims: true },
    ),
  GlobalMaxPool: (call) =>
    call.x().max(
      call
        .x()
        .shape.map((_, i) => i)
        .slice(2),
      { keepDims: true },
    ),
  MaxUnpool: maxUnpool,
  Col2Im: col2im,
  Resize: resize,
  Upsample: resize,
  GridSample: gridSample,
  RoiAlign: roiAlign,
  async AffineGrid(call) {
    const theta = call.x();
    const size = (await call.host(1))!.slice(2);
    const aligned = call.number("align_corners", 0) === 1;
    // Base coordinates from −1 to 1, innermost axis first, and a final 1.
    const grids = size.map((n, i) => {
      const line = aligned
        ? vlm
            .iota(n)
            .cast("f32")
            .mul(n > 1 ? 2 / (n - 1) : 0)
            .sub(1)
        : vlm.iota(n).cast("f32").mul(2).add(1).div(n).sub(1);
      return line.reshape(size.map((_, k) => (k === i ? n : 1))).expand(size);
    });
    const base = vlm.stack([...grids.reverse(), vlm.ones(size)], -1).reshape([1, product(size), size.length + 1]);
    return base
      .expand([theta.shape[0]!, product(size), size.length + 1])
      .matmul(theta.transpose())
      .reshape([theta.shape[0]!, ...size, size.length]);
  },
};
