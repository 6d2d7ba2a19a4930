"""Writes packages/weights/test/fixtures from safetensors, torch and transformers, and checks what @vlm/weights saves.

Run from the repository root:
  python tools/reference/weights.py           write the fixtures
  python tools/reference/weights.py verify    let Node save the model anew, single and sharded; open it with
                                              transformers and safetensors, and compare outputs and tensors; let Node fill a cache
                                              and transformers read it
"""

import base64
import hashlib
import http.server
import json
import os
import pathlib
import random
import struct
import subprocess
import sys
import tempfile
import threading

import safetensors
import torch
from safetensors.torch import load_file, save_file
from transformers import CLIPConfig, CLIPModel

ROOT = pathlib.Path(__file__).resolve().parents[2]
OUT = ROOT / "packages/weights/test/fixtures"


def tiny_clip():
    torch.manual_seed(0)
    tower = dict(hidden_size=8, intermediate_size=16, num_hidden_layers=2, num_attention_heads=2)
    config = CLIPConfig(
        text_config=dict(tower, vocab_size=32, max_position_embeddings=8, eos_token_id=31),
        vision_config=dict(tower, image_size=8, patch_size=4),
        projection_dim=6,
    )
    model = CLIPModel(config).eval()
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.copy_(torch.randn(parameter.shape))
    return model


def outputs(model):
    generator = torch.Generator().manual_seed(1)
    pixels = torch.randn(2, 3, 8, 8, generator=generator)
    ids = torch.tensor([[1, 5, 9, 31, 0, 0, 0, 0], [1, 2, 3, 4, 5, 6, 7, 31]])
    with torch.no_grad():
        got = model(input_ids=ids, pixel_values=pixels, attention_mask=torch.ones_like(ids))
    return [got.logits_per_image, got.image_embeds, got.text_embeds]


def dtypes():
    """One tensor of every dtype that torch and safetensors share, with the values to expect."""
    floats = [0.0, -0.0, 1.0, -2.5, 65504.0, 6e-8, 1e-40, float("inf"), float("-inf")]
    tensors = {
        "f64": torch.tensor([0.1, -1e300, 3.0], dtype=torch.float64),
        "f32": torch.tensor(floats, dtype=torch.float32),
        "f16": torch.tensor(floats, dtype=torch.float16),
        "bf16": torch.tensor(floats, dtype=torch.bfloat16),
        "i64": torch.tensor([-(2**31), 2**31 - 1]),
        "i32": torch.tensor([-(2**31), 2**31 - 1], dtype=torch.int32),
        "i16": torch.tensor([-(2**15), 2**15 - 1], dtype=torch.int16),
        "i8": torch.tensor([-128, 127], dtype=torch.int8),
        "u8": torch.tensor([0, 255], dtype=torch.uint8),
        "bool": torch.tensor([True, False]),
        "empty": torch.zeros(0, 3),
        "scalar": torch.tensor(7.0),
        "matrix": torch.arange(6, dtype=torch.float32).reshape(2, 3),
    }
    save_file(tensors, OUT / "dtypes.safetensors", metadata={"format": "pt", "note": "ünïcode"})
    values = {
        name: {"shape": list(t.shape), "values": [str(v) for v in t.to(torch.float32 if t.is_floating_point() else t.dtype).flatten().tolist()]}
        for name, t in tensors.items()
    }
    (OUT / "dtypes.json").write_text(json.dumps(values, indent=1) + "\n")


def file(header, data=b"", length=None):
    text = header if isinstance(header, bytes) else (header if isinstance(header, str) else json.dumps(header)).encode()
    return struct.pack("<Q", len(text) if length is None else length) + text + data


def entry(dtype="F32", shape=(1,), begin=0, end=4):
    return {"dtype": dtype, "shape": list(shape), "data_offsets": [begin, end]}


def shaped(shape, offsets="[0,4]", dtype="F32"):
    return '{"a":{"dtype":"%s","shape":%s,"data_offsets":%s}}' % (dtype, shape, offsets)


def vectors():
    """Crafted files with the verdict of the reference."""
    e = json.dumps(entry())
    four = b"1234"
    cases = {
        "good": file({"a": entry()}, four),
        "no tensors": file({}),
        "metadata only": file({"__metadata__": {"a": "b"}}),
        "metadata null": file({"__metadata__": None}),
        "metadata number": file({"__metadata__": {"a": 1}}),
        "metadata list": file({"__metadata__": []}),
        "two metadata": file('{"__metadata__":{},"__metadata__":{}}'),
        "duplicate metadata key": file('{"__metadata__":{"a":"1","a":"2"}}'),
        "zero bytes": b"",
        "seven bytes": b"1234567",
        "empty header": file(b""),
        "long header": file(b"{}", b"", 1000),
        "huge header": file(b"{}", b"", 2**63),
        "largest header": file(b"{}", b"", 2**64 - 1),
        "invalid utf-8": file(b'{"\xff":{}}'),
        "byte order mark": file("\ufeff{}"),
        "nul padding": file(b"{}\0\0"),
        "space before": file(b"  {}"),
        "tab before": file(b"\t{}"),
        "newline before": file(b"\n{}"),
        "space after": file(b"{}   "),
        "newline after": file(b"{}\n"),
        "array": file(b"[]"),
        "number": file(b"1"),
        "null": file(b"null"),
        "string": file(b'"a"'),
        "garbage after": file(b"{} x"),
        "comment": file(b"{}//"),
        "trailing comma": file('{"a":%s,}' % e, four),
        "NaN": file(b'{"a":NaN}'),
        "duplicate name": file('{"a":%s,"a":%s}' % (e, e), four),
        "duplicate name escaped": file('{"a":%s,"\\u0061":%s}' % (e, e), four),
        "duplicate field": file('{"a":{"dtype":"F32","dtype":"F32","shape":[1],"data_offsets":[0,4]}}', four),
        "extra field": file({"a": dict(entry(), more=[1, {"x": None}])}, four),
        "entry number": file({"a": 1}),
        "entry list": file({"a": ["F32", [1], [0, 4]]}, four),
        "dtype unknown": file({"a": entry("F31")}, four),
        "dtype lower": file({"a": entry("f32")}, four),
        "dtype number": file({"a": dict(entry(), dtype=1)}, four),
        "no dtype": file({"a": {"shape": [1], "data_offsets": [0, 4]}}, four),
        "no shape": file({"a": {"dtype": "F32", "data_offsets": [0, 4]}}, four),
        "no offsets": file({"a": {"dtype": "F32", "shape": [1]}}, four),
        "dim negative": file(shaped("[-1]"), four),
        "dims negative": file(shaped("[-1,-1]"), four),
        "dim 1.0": file(shaped("[1.0]"), four),
        "dim 1e0": file(shaped("[1e0]"), four),
        "dim -0": file(shaped("[-0]"), four),
        "dim string": file(shaped('["1"]'), four),
        "dim null": file(shaped("[null]"), four),
        "dim 2^64": file(shaped("[18446744073709551616]"), four),
        "dims overflow": file(shaped("[2,18446744073709551614]"), four),
        "bytes overflow": file(shaped("[2,9223372036854775807]", dtype="I32"), four),
        "zero hides overflow": file(shaped("[9223372036854775808,9223372036854775808,0]", "[0,0]")),
        "zero first hides overflow": file(shaped("[0,9223372036854775808,9223372036854775808]", "[0,0]")),
        "rank 64": file(shaped("[%s]" % ",".join("1" * 64)), four),
        "rank 65": file(shaped("[%s]" % ",".join("1" * 65)), four),
        "zero size": file({"a": entry(shape=(0, 3), end=0)}),
        "scalar": file({"a": entry(shape=())}, four),
        "offsets negative": file(shaped("[1]", "[-4,0]"), four),
        "offsets reversed": file(shaped("[1]", "[4,0]"), four),
        "offsets one": file(shaped("[1]", "[4]"), four),
        "offsets three": file(shaped("[1]", "[0,4,8]"), four),
        "offsets float": file(shaped("[1]", "[0.0,4.0]"), four),
        "past the end": file({"a": entry(shape=(250,), end=1000)}, four),
        "same bytes": file({"a": entry(), "b": entry()}, four),
        "overlap": file({"a": entry("U8", (4,), 0, 4), "b": entry("U8", (4,), 2, 6)}, b"123456"),
        "hole at the start": file({"a": entry(begin=4, end=8)}, four * 2),
        "hole in the middle": file({"a": entry(), "b": entry(begin=8, end=12)}, four * 3),
        "empty inside": file({"a": entry("U8", (4,), 0, 4), "b": entry("U8", (0,), 2, 2)}, four),
        "trailing": file({"a": entry()}, four + b"PK\3\4"),
        "cut": file({"a": entry()}, four[:2]),
        "size": file({"a": entry(shape=(2,))}, four),
        "odd F4": file({"a": entry("F4", (3,), 0, 2)}, b"12"),
        "even F4": file({"a": entry("F4", (4,), 0, 2)}, b"12"),
        "odd offset": file({"a": entry("U8", (1,), 0, 1), "b": entry(begin=1, end=5)}, b"12345"),
        "name __proto__": file('{"__proto__":%s}' % e, four),
        "name empty": file({"": entry()}, four),
        "name numbers": file({"2": entry(), "1": entry(begin=4, end=8)}, four * 2),
        "name nul": file({"a\0\n\x1b[31m": entry()}, four),
        "name surrogate": file('{"\\ud800":%s}' % e, four),
        "name emoji": file('{"\\ud83d\\ude00":%s}' % e, four),
        "bool 2": file({"a": entry("BOOL", (4,))}, b"\0\1\2\3"),
        "deep": file('{"a":%s1%s}' % ("[" * 500, "]" * 500)),
    }
    # Single changes of a good file: the byte and its place follow from the seed.
    good = file({"__metadata__": {"format": "pt"}, "a": entry(), "b": entry("U8", (3,), 4, 7)}, b"1234567")
    rng = random.Random(0)
    for i in range(400):
        bytes_ = bytearray(good)
        at = rng.randrange(len(good) - 7)
        bytes_[at] = rng.choice(b'{}[]":,0123456789-. eEtfn\\\xff\0')
        cases[f"mutation {i}"] = bytes(bytes_)
    out = {}
    for name, data in cases.items():
        try:
            safetensors.deserialize(data)
            accepted = True
        except safetensors.SafetensorError:
            accepted = False
        out[name] = [base64.b64encode(data).decode(), accepted]
    text = json.dumps({"safetensors": safetensors.__version__, "vectors": out}, indent=0)
    (OUT / "vectors.json").write_text(text + "\n")


def write():
    OUT.mkdir(parents=True, exist_ok=True)
    dtypes()
    vectors()
    tiny_clip().save_pretrained(OUT / "clip")


def verify():
    expected = outputs(CLIPModel.from_pretrained(OUT / "clip").eval())
    original = load_file(OUT / "clip/model.safetensors")
    script = ROOT / "packages/weights/test/support/resave.ts"
    for limit in ["5000000000", "3000"]:
        with tempfile.TemporaryDirectory() as folder:
            node = ["node", "--conditions=@vlm/source", "--import", "tsx", str(script), str(OUT / "clip"), folder, limit]
            subprocess.run(node, check=True, cwd=ROOT)
            files = sorted(p.name for p in pathlib.Path(folder).glob("*.safetensors"))
            model, info = CLIPModel.from_pretrained(folder, output_loading_info=True)
            assert not any(info[kind] for kind in ["missing_keys", "unexpected_keys", "mismatched_keys"]), info
            saved = {}
            for name in files:
                saved.update(load_file(pathlib.Path(folder) / name))
            assert saved.keys() == original.keys()
            assert all(torch.equal(saved[key], original[key]) for key in saved)
            assert all(torch.equal(a, b) for a, b in zip(outputs(model.eval()), expected))
            print(f"transformers opens {len(files)} file(s) saved by @vlm/weights: all tensors and outputs are equal")


class Hub(http.server.BaseHTTPRequestHandler):
    """The part of the Hub that is needed to serve the tiny CLIP as owner/name."""

    COMMIT = "0123456789abcdef0123456789abcdef01234567"

    def do_GET(self):
        files = {p.name: p.read_bytes() for p in (OUT / "clip").iterdir()}
        if self.path.startswith("/api/models/owner/name/revision/main"):
            siblings = [
                {"rfilename": name, "size": len(data), "blobId": hashlib.sha1(b"blob %d\0" % len(data) + data).hexdigest()}
                | ({"lfs": {"sha256": hashlib.sha256(data).hexdigest()}} if name.endswith(".safetensors") else {})
                for name, data in files.items()
            ]
            data = json.dumps({"sha": self.COMMIT, "siblings": siblings}).encode()
        else:
            data = files[self.path.rsplit("/", 1)[-1]]
        self.send_response(200)
        self.send_header("content-length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, *_):
        pass


def verify_cache():
    """Node downloads through the cache; huggingface_hub and transformers then find everything there, offline."""
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Hub)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    script = ROOT / "packages/weights/test/support/fill-cache.ts"
    with tempfile.TemporaryDirectory() as home:
        env = os.environ | {"HF_HOME": home, "HF_ENDPOINT": f"http://127.0.0.1:{server.server_port}", "HF_TOKEN": ""}
        node = ["node", "--conditions=@vlm/source", "--import", "tsx", str(script), "owner/name"]
        subprocess.run(node, check=True, cwd=ROOT, env=env)
        server.shutdown()
        model = CLIPModel.from_pretrained("owner/name", cache_dir=f"{home}/hub", local_files_only=True)
        expected = outputs(CLIPModel.from_pretrained(OUT / "clip").eval())
        assert all(torch.equal(a, b) for a, b in zip(outputs(model.eval()), expected))
    print("transformers finds what @vlm/weights downloaded in the cache, offline")


if __name__ == "__main__":
    if sys.argv[1:] == ["verify"]:
        verify()
        verify_cache()
    else:
        write()
