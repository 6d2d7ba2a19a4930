"""Writes packages/image/test/fixtures/files.json: small picture files and what Pillow decodes from them.

Run from the repository root: python tools/reference/image_files.py
"""

import base64
import hashlib
import io
import struct
import zlib

import numpy as np
from image import source, write
from PIL import Image, ImageDraw, ImageOps

rows = []


def picture(width=24, height=17, mode="RGB"):
    image = Image.new("RGB", (width, height), (250, 240, 20))
    draw = ImageDraw.Draw(image)
    draw.rectangle((2, 3, width // 2, height // 2), fill=(200, 10, 60))
    draw.ellipse((width // 3, 2, width - 3, height - 2), fill=(20, 90, 220))
    return image.convert(mode)


def add(name, data, decodes=True, **extra):
    row = {"name": name, "file": base64.b64encode(data).decode()}
    if decodes:
        image = Image.open(io.BytesIO(data))
        rgb = np.asarray(image.convert("RGB"))
        if extra.get("lossy"):  # libavif and libheif round YUV to RGB differently: by at most a level
            row["pixels"] = base64.b64encode(rgb.tobytes()).decode()
        row |= {"width": image.width, "height": image.height, "mode": image.mode, "sha256": hashlib.sha256(rgb.tobytes()).hexdigest()}
    rows.append(row | extra)


def save(image, form, **options):
    buffer = io.BytesIO()
    image.save(buffer, form, **options)
    return buffer.getvalue()


def chunk(kind, body):
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))


def raw_png(width, height, bits, color, rows, interlace=0, extra=b""):
    """A PNG from filtered rows, for what Pillow cannot write: odd depths, 16 bits, transparency keys."""
    header = struct.pack(">IIBBBBB", width, height, bits, color, 0, 0, interlace)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + extra + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")


def png_rows(width, height, samples, bits, seed):
    line = (width * samples * bits + 7) // 8
    data = source(line, height, 1, seed)[:, :, 0]
    return b"".join(bytes([y % 5]) + data[y].tobytes() for y in range(height))


image = picture()
add("png-rgb", save(image, "PNG"))
add("png-rgba", save(picture(mode="RGBA"), "PNG"))
add("png-gray", save(picture(mode="L"), "PNG"))
add("png-gray-alpha", save(picture(mode="LA"), "PNG"))
add("png-bilevel", save(picture(mode="1"), "PNG"))
add("png-palette", save(image.quantize(7), "PNG"))
add("png-palette-transparent", save(image.quantize(7), "PNG", transparency=2))
for bits, color, samples in ((1, 0, 1), (2, 0, 1), (4, 0, 1), (8, 0, 1), (16, 0, 1), (8, 2, 3), (16, 2, 3), (8, 4, 2), (16, 4, 2), (8, 6, 4), (16, 6, 4)):
    add(f"png-filters-{bits}-{color}", raw_png(13, 11, bits, color, png_rows(13, 11, samples, bits, bits + color)))
add("png-key-gray", raw_png(13, 11, 8, 0, png_rows(13, 11, 1, 8, 3), extra=chunk(b"tRNS", struct.pack(">H", 40))))
add("png-key-rgb", raw_png(13, 11, 8, 2, png_rows(13, 11, 3, 8, 4), extra=chunk(b"tRNS", struct.pack(">HHH", 1, 2, 3))))
for bits, color, samples in ((1, 0, 1), (8, 2, 3), (16, 6, 4)):
    body = b""
    for left, top, dx, dy in ((0, 0, 8, 8), (4, 0, 8, 8), (0, 4, 4, 8), (2, 0, 4, 4), (0, 2, 2, 4), (1, 0, 2, 2), (0, 1, 1, 2)):
        w, h = max(0, -(-(13 - left) // dx)), max(0, -(-(11 - top) // dy))
        if w and h:
            body += png_rows(w, h, samples, bits, left + top)
    add(f"png-interlaced-{bits}-{color}", raw_png(13, 11, bits, color, body, interlace=1))
add("jpeg", save(image, "JPEG", quality=90))
add("jpeg-progressive", save(image, "JPEG", quality=90, progressive=True))
add("jpeg-gray", save(picture(mode="L"), "JPEG"))
add("jpeg-cmyk", save(picture(mode="CMYK"), "JPEG", quality=95))
add("jpeg-restart", save(image, "JPEG", restart_marker_rows=1))
for value in range(1, 9):
    exif = Image.Exif()
    exif[0x0112] = value
    for form in ("PNG", "WEBP", "JPEG"):
        data = save(picture(24, 16), form, exif=exif, **({"lossless": True} if form == "WEBP" else {}))
        turned = ImageOps.exif_transpose(Image.open(io.BytesIO(data))).convert("RGB")
        digest = hashlib.sha256(np.asarray(turned).tobytes()).hexdigest()
        add(f"exif-{form.lower()}-{value}", data, upright=digest, size=turned.size)
add("webp", save(image, "WEBP", quality=90))
add("webp-lossless", save(image, "WEBP", lossless=True))
add("webp-alpha", save(picture(mode="RGBA"), "WEBP", lossless=True))
add("avif", save(image, "AVIF", quality=90, subsampling="4:4:4"), lossy=True)
add("gif", save(image, "GIF"))
frames = [picture(24, 17), picture(24, 17).rotate(90), picture(24, 17).rotate(180)]
for form in ("GIF", "PNG", "WEBP"):
    options = {"lossless": True} if form == "WEBP" else {}
    add(f"animated-{form.lower()}", save(frames[0], form, save_all=True, append_images=frames[1:], **options), frames=3)
for mode in ("RGB", "L", "1", "P"):
    add(f"bmp-{mode}", save(picture(mode=mode), "BMP"))


def bmp(bits, compression, body, width=9, height=7, masks=b"", palette=b""):
    offset = 54 + len(masks) + len(palette)
    header = struct.pack("<2sIHHI", b"BM", offset + len(body), 0, 0, offset)
    info = struct.pack("<IiiHHIIiiII", 40, width, height, 1, bits, compression, len(body), 0, 0, len(palette) // 4, 0)
    return header + info + masks + palette + body


noise = source(36, 7, 1, 9)[:, :, 0]
palette = source(4, 16, 1, 2).tobytes()
add("bmp-16", bmp(16, 0, noise[:, :20].tobytes()))
add("bmp-565", bmp(16, 3, noise[:, :20].tobytes(), masks=struct.pack("<III", 0xF800, 0x7E0, 0x1F)))
add("bmp-32", bmp(32, 0, noise.tobytes()))
add("bmp-masks", bmp(32, 3, noise.tobytes(), masks=struct.pack("<III", 0xFF0000, 0xFF00, 0xFF)))
add("bmp-4", bmp(4, 0, noise[:, :8].tobytes(), palette=palette))
add("bmp-top-down", bmp(24, 0, noise[:, :28].tobytes(), height=-7))
rle8 = bytes([4, 1, 0, 5, 1, 2, 3, 4, 5, 0, 0, 0]) + bytes([9, 3, 0, 0]) * 6 + bytes([0, 1])
rle4 = bytes([5, 0x12, 0, 4, 0x34, 0x56, 0, 0]) + bytes([9, 0x3A, 0, 0]) * 6 + bytes([0, 1])
add("bmp-rle8", bmp(8, 1, rle8, palette=palette))
add("bmp-rle4", bmp(4, 2, rle4, palette=palette))

if __name__ == "__main__":
    write("files", rows)
