"""Writes packages/image/test/fixtures/*.json from Pillow, torchvision and Hugging Face image processors.

Run from the repository root: python tools/reference/image.py
Sources are not stored: both sides compute them from (width, height, channels, seed), see `source`.
Results are stored as SHA-256 of their bytes; a few small ones in full.
"""

import base64
import hashlib
import json
import pathlib

import numpy as np
import PIL
import torch
import torchvision
import torchvision.transforms.functional as tvf
import torchvision.transforms.v2.functional as tv2
import transformers
from PIL import Image, ImageEnhance
from transformers.models.blip.image_processing_blip import BlipImageProcessor
from transformers.models.blip.image_processing_pil_blip import BlipImageProcessorPil
from transformers.models.clip.image_processing_clip import CLIPImageProcessor
from transformers.models.clip.image_processing_pil_clip import CLIPImageProcessorPil
from transformers.models.siglip.image_processing_pil_siglip import SiglipImageProcessorPil
from transformers.models.siglip.image_processing_siglip import SiglipImageProcessor
from transformers.models.vit.image_processing_pil_vit import ViTImageProcessorPil
from transformers.models.vit.image_processing_vit import ViTImageProcessor

OUT = pathlib.Path(__file__).resolve().parents[2] / "packages/image/test/fixtures"
VERSIONS = {
    "pillow": PIL.__version__,
    "torch": torch.__version__,
    "torchvision": torchvision.__version__,
    "transformers": transformers.__version__,
}
FILTERS = {
    "nearest": Image.Resampling.NEAREST,
    "box": Image.Resampling.BOX,
    "bilinear": Image.Resampling.BILINEAR,
    "hamming": Image.Resampling.HAMMING,
    "bicubic": Image.Resampling.BICUBIC,
    "lanczos": Image.Resampling.LANCZOS,
}
SIZES = [
    # (from, to), as (width, height)
    ((1, 1), (7, 5)),
    ((1, 40), (3, 17)),
    ((40, 1), (17, 3)),
    ((5, 7), (5, 7)),
    ((5, 7), (1, 1)),
    ((37, 53), (224, 224)),
    ((53, 37), (31, 31)),
    ((53, 37), (53, 20)),
    ((53, 37), (20, 37)),
    ((300, 200), (336, 224)),
    ((480, 360), (16, 12)),
    ((227, 301), (224, 297)),
    ((3, 1000), (5, 40)),
    ((1000, 3), (40, 5)),
    ((900, 31), (30, 1)),
]


def source(width, height, channels, seed):
    """Noise on a gradient: sharp edges and smooth parts, values over the whole range."""
    i = np.arange(width * height * channels, dtype=np.uint32)
    x = i * np.uint32(2654435761) + np.uint32(seed * 40503)
    x ^= x >> np.uint32(15)
    x *= np.uint32(2246822519)
    noise = x >> np.uint32(24)
    ramp = (i // np.uint32(channels) * np.uint32(7)) >> np.uint32(3)
    flat = np.where((i // np.uint32(channels * 11)) % np.uint32(3) == 0, ramp & np.uint32(255), noise)
    return flat.astype(np.uint8).reshape(height, width, channels)


def pil(array):
    return Image.fromarray(array[:, :, 0] if array.shape[2] == 1 else array)


def digest(array):
    return hashlib.sha256(np.ascontiguousarray(array).tobytes()).hexdigest()


def encode(array):
    return base64.b64encode(np.ascontiguousarray(array).tobytes()).decode()


def write(name, rows):
    text = ",\n".join(json.dumps(row, separators=(",", ":")) for row in rows)
    path = OUT / f"{name}.json"
    path.write_text(f'{{"versions":{json.dumps(VERSIONS)},\n"rows":[\n{text}\n]}}\n')
    print(path.name, len(rows), "rows", path.stat().st_size, "bytes")


def resizes():
    rows = []
    for n, (size, target) in enumerate(SIZES):
        for channels in (1, 3, 4):
            array = source(*size, channels, n)
            for name, code in FILTERS.items():
                out = np.asarray(pil(array).resize(target, code))
                rows.append({"size": size, "to": target, "channels": channels, "seed": n, "filter": name, "sha256": digest(out)})
    return rows


def tensor_resizes():
    rows = []
    for n, (size, target) in enumerate(SIZES):
        array = source(*size, 3, n)
        for name in ("nearest", "bilinear", "bicubic", "lanczos"):
            mode = tv2.InterpolationMode.NEAREST_EXACT if name == "nearest" else tv2.InterpolationMode(name)
            tensor = torch.from_numpy(array).permute(2, 0, 1).contiguous()
            try:
                out = tv2.resize(tensor, [target[1], target[0]], interpolation=mode, antialias=True)
            except RuntimeError:  # torch 2.13 asserts on a width of 1
                continue
            rows.append({"size": size, "to": target, "seed": n, "filter": name, "sha256": digest(out.permute(1, 2, 0).numpy())})
    return rows


def float_resizes():
    rows = []
    for n, (size, target) in enumerate([((9, 7), (4, 5)), ((5, 4), (11, 9)), ((64, 48), (2, 2)), ((1, 9), (3, 4))]):
        array = source(*size, 2, n).astype(np.float32) / 255
        for name in ("bilinear", "bicubic"):
            tensor = torch.from_numpy(array).permute(2, 0, 1).contiguous()
            out = tv2.resize(tensor, [target[1], target[0]], interpolation=tv2.InterpolationMode(name), antialias=True)
            rows.append({"size": size, "to": target, "seed": n, "filter": name, "values": encode(out.numpy())})
    return rows


PROCESSORS = {
    "CLIPImageProcessor": (CLIPImageProcessorPil, CLIPImageProcessor, [{}, {"crop_size": 227, "size": {"shortest_edge": 256}}, {"do_resize": False}, {"do_rescale": False}, {"do_normalize": False}, {"size": {"shortest_edge": 224, "longest_edge": 333}}]),
    "SiglipImageProcessor": (SiglipImageProcessorPil, SiglipImageProcessor, [{}, {"resample": 2, "size": {"height": 96, "width": 64}}]),
    "ViTImageProcessor": (ViTImageProcessorPil, ViTImageProcessor, [{}, {"image_mean": [0.485, 0.456, 0.406], "image_std": [0.229, 0.224, 0.225]}]),
    "BlipImageProcessor": (BlipImageProcessorPil, BlipImageProcessor, [{"size": {"height": 224, "width": 224}}]),
}


def processors():
    rows = []
    sizes = [(37, 53), (300, 200), (640, 480), (227, 301), (100, 600), (1, 300), (224, 224)]
    for kind, (slow, fast, configs) in PROCESSORS.items():
        for config in configs:
            for like, cls in (("pillow", slow), ("torchvision", fast)):
                processor = cls(**config)
                saved = json.loads(processor.to_json_string())
                keep = ("crop_size", "do_center_crop", "do_normalize", "do_rescale", "do_resize", "image_mean", "image_std", "resample", "rescale_factor", "size")
                saved = {k: saved[k] for k in keep if saved.get(k) is not None} | {"image_processor_type": kind}
                for n, size in enumerate(sizes):
                    array = source(*size, 3, n)
                    out = processor(pil(array), return_tensors="np")["pixel_values"][0]
                    rows.append({"config": saved, "like": like, "size": size, "seed": n, "dtype": str(out.dtype), "shape": out.shape, "sha256": digest(out.astype(np.float32))})
    return rows


def adjustments():
    rows = []
    array = source(41, 29, 3, 5)
    image = pil(array)
    for name, cls in (("brightness", ImageEnhance.Brightness), ("contrast", ImageEnhance.Contrast), ("saturation", ImageEnhance.Color)):
        for factor in (0.0, 0.2, 0.73, 1.0, 1.4, 1.8):
            rows.append({"adjust": name, "factor": factor, "sha256": digest(np.asarray(cls(image).enhance(factor)))})
    for factor in (-0.5, -0.2, -0.01, 0.0, 0.1, 0.37, 0.5):
        rows.append({"adjust": "hue", "factor": factor, "sha256": digest(np.asarray(tvf.adjust_hue(image, factor)))})
    rows.append({"adjust": "gray", "factor": 1, "sha256": digest(np.asarray(image.convert("L")))})
    for kernel, sigma in ((3, 0.1), (5, 0.8), (9, 2.0), (23, 1.3)):
        blurred = tvf.gaussian_blur(torch.from_numpy(array).permute(2, 0, 1), [kernel, kernel], [sigma, sigma])
        rows.append({"adjust": "blur", "kernel": kernel, "factor": sigma, "pixels": encode(blurred.permute(1, 2, 0).numpy())})
    return rows


if __name__ == "__main__":
    write("resize", resizes())
    write("resize-tensor", tensor_resizes())
    write("resize-float", float_resizes())
    write("processors", processors())
    write("adjust", adjustments())
