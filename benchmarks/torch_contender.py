"""PyTorch as a contender: the same works on the same numbers, over the same lines of JSON (see src/run/protocol.ts).

Answers go to file descriptor 3. Needs numpy and torch; nothing here is needed for the other contenders.
"""
import json
import math
import os
import sys
import time

import numpy as np
import torch
import torch.nn.functional as F

ADAMW = dict(lr=1e-3, betas=(0.9, 0.999), eps=1e-8)
WEIGHT_DECAY = 0.01


def hash_of(text):
    h = 0x811C9DC5
    for c in text.encode():
        h = ((h ^ c) * 0x01000193) & 0xFFFFFFFF
    return np.uint32(h)


def bits(name, count):
    with np.errstate(over="ignore"):
        h = (np.arange(count, dtype=np.uint32) * np.uint32(0x9E3779B9)) ^ hash_of(name)
        h = (h ^ (h >> np.uint32(16))) * np.uint32(0x85EBCA6B)
        h = (h ^ (h >> np.uint32(13))) * np.uint32(0xC2B2AE35)
        return (h ^ (h >> np.uint32(16))) >> np.uint32(8)


def floats(name, shape, scale=1.0, center=0.0):
    values = center + scale * (bits(name, math.prod(shape)).astype(np.float64) / 2**23 - 1)
    return torch.from_numpy(values.astype(np.float32).reshape(shape))


def integers(name, shape, ids):
    values = (bits(name, math.prod(shape)) % np.uint32(ids - 1)).astype(np.int64).reshape(shape)
    values[..., -1] = ids - 1
    return torch.from_numpy(values)


class Values:
    """The tensors of a program, made at first use, in the order of use by role."""

    def __init__(self):
        self.weights, self.inputs = {}, {}

    def weight(self, name, shape, scale=1.0, center=0.0):
        if name not in self.weights:
            self.weights[name] = floats(name, shape, scale, center)
        return self.weights[name]

    def input(self, name, shape, scale=1.0):
        if name not in self.inputs:
            self.inputs[name] = floats(name, shape, scale)
        return self.inputs[name]

    def ids(self, name, shape, ids):
        if name not in self.inputs:
            self.inputs[name] = integers(name, shape, ids)
        return self.inputs[name]


def linear(v, name, x, outputs):
    inputs = x.shape[-1]
    w = v.weight(f"{name}.weight", [outputs, inputs], (3 / inputs) ** 0.5)
    return F.linear(x, w, v.weight(f"{name}.bias", [outputs], 0.05))


def norm(v, name, x, eps):
    d = x.shape[-1]
    return F.layer_norm(x, [d], v.weight(f"{name}.weight", [d], 0.1, 1), v.weight(f"{name}.bias", [d], 0.05), eps)


def block(v, prefix, x, tower, eps, causal):
    b, n, d = x.shape
    heads = tower["heads"]
    qkv = linear(v, f"{prefix}attention.qkv", norm(v, f"{prefix}norm1", x, eps), 3 * d)
    q, k, value = qkv.view(b, n, 3, heads, d // heads).permute(2, 0, 3, 1, 4)
    seen = F.scaled_dot_product_attention(q, k, value, is_causal=causal)
    x = x + linear(v, f"{prefix}attention.out", seen.transpose(1, 2).reshape(b, n, d), d)
    hidden = linear(v, f"{prefix}mlp.up", norm(v, f"{prefix}norm2", x, eps), 4 * d)
    hidden = F.gelu(hidden) if tower["activation"] == "gelu" else hidden * torch.sigmoid(1.702 * hidden)
    return x + linear(v, f"{prefix}mlp.down", hidden, d)


def vit(v, prefix, image, w):
    b, d, p = image.shape[0], w["width"], w["patchSize"]
    n, pixels = w["imageSize"] // p, 3 * p * p
    rows = image.view(b, 3, n, p, n, p).permute(0, 2, 4, 1, 3, 5).reshape(b, n * n, pixels)
    weight = v.weight(f"{prefix}patch.weight", [d, pixels], (3 / pixels) ** 0.5)
    x = F.linear(rows, weight, None if w["clip"] else v.weight(f"{prefix}patch.bias", [d], 0.05))
    x = torch.cat([v.weight(f"{prefix}classToken", [1, 1, d], 0.5).expand(b, 1, d), x], 1)
    x = x + v.weight(f"{prefix}position", [n * n + 1, d], 0.5)
    if w["clip"]:
        x = norm(v, f"{prefix}preNorm", x, w["eps"])
    for i in range(w["depth"]):
        x = block(v, f"{prefix}blocks.{i}.", x, w, w["eps"], False)
    return norm(v, f"{prefix}norm", x[:, 0], w["eps"])


def text(v, prefix, ids, w):
    x = F.embedding(ids, v.weight(f"{prefix}token.weight", [w["vocabSize"], w["width"]], 0.5))
    x = x + v.weight(f"{prefix}position", [w["context"], w["width"]], 0.2)
    for i in range(w["depth"]):
        x = block(v, f"{prefix}blocks.{i}.", x, w, 1e-5, True)
    return norm(v, f"{prefix}norm", x[:, -1], 1e-5)


def clip(v, w, batch, loss):
    size, e = w["image"]["imageSize"], w["embed"]
    image = vit(v, "image.", v.input("pixels", [batch, 3, size, size]), w["image"])
    d = w["image"]["width"]
    i = F.linear(image, v.weight("imageProjection.weight", [e, d], (3 / d) ** 0.5))
    words = text(v, "text.", v.ids("ids", [batch, w["text"]["context"]], w["text"]["vocabSize"]), w["text"])
    d = w["text"]["width"]
    t = F.linear(words, v.weight("textProjection.weight", [e, d], (3 / d) ** 0.5))
    logits = F.normalize(i, dim=-1) @ F.normalize(t, dim=-1).T
    logits = logits * v.weight("logitScale", [], 0, math.log(1 / 0.07)).exp()
    if not loss:
        return logits
    labels = torch.arange(batch)
    return (F.cross_entropy(logits, labels) + F.cross_entropy(logits.T, labels)) / 2


def program(work):
    """The forward function of a work and its tensors."""
    v, kind = Values(), work["kind"]

    def build():
        if kind == "matmul":
            m, k, n, batch = work["m"], work["k"], work["n"], work.get("batch")
            lead = [batch] if batch else []
            shape = lead + ([n, k] if work.get("transposed") else [k, n])
            a = v.input("a", lead + [m, k])
            b = v.input("b", shape) if batch else v.weight("b", shape)
            return a @ (b.transpose(-1, -2) if work.get("transposed") else b)
        if kind == "attention":
            shape = [work["batch"], work["heads"], work["tokens"], work["width"]]
            return F.scaled_dot_product_attention(*(v.input(name, shape) for name in "qkv"))
        if kind == "layerNorm":
            x, d = v.input("x", [work["rows"], work["width"]]), work["width"]
            return F.layer_norm(x, [d], v.weight("weight", [d]), v.weight("bias", [d]), 1e-5)
        if kind == "softmax":
            return torch.softmax(v.input("x", [work["rows"], work["width"]], 4.0), -1)
        if kind == "conv2d":
            c, s, o, k = work["channels"], work["size"], work["outputs"], work["kernel"]
            x = v.input("x", [work["batch"], c, s, s])
            w = v.weight("weight", [o, c, k, k], (3 / (c * k * k)) ** 0.5)
            return F.conv2d(x, w, v.weight("bias", [o], 0.1), work["stride"], (k - 1) // 2)
        if kind == "gather":
            ids = v.ids("ids", [1, work["rows"]], work["vocabulary"])
            return F.embedding(ids, v.weight("table", [work["vocabulary"], work["width"]]))
        if kind == "elementwise":
            x, y, w = v.input("x", [work["size"]]), v.input("y", [work["size"]]), v.weight("w", [work["size"]])
            return F.gelu((x + y) * w) + x
        if kind == "adamw":
            count = work["tensors"]
            shape = [work["size"] // count // 512, 512]
            return sum((v.weight(f"w{i}", shape) * v.input(f"c{i}", shape)).sum() for i in range(count))
        if kind == "vit":
            size = work["model"]["imageSize"]
            return vit(v, "", v.input("image", [work["batch"], 3, size, size]), work["model"])
        if kind == "blocks":
            x = v.input("tokens", [work["batch"], work["tokens"], work["model"]["width"]])
            for i in range(work["model"]["depth"]):
                x = block(v, f"blocks.{i}.", x, work["model"], 1e-5, False)
            return x.square().mean() if work["mode"] == "train" else x
        if kind == "clip":
            return clip(v, work["model"], work["batch"], work["mode"] == "train")
        raise ValueError(f"no work is called {kind}")

    return v, build


def prepare(work):
    """(run, results) of a work."""
    v, build = program(work)
    mode = work["mode"]
    if mode == "forward":

        def forward():
            with torch.inference_mode():
                return build()

        return forward, lambda: [forward()]
    with torch.no_grad():
        shape = build().shape
    if mode == "gradient":
        floating = [x for x in [*v.inputs.values(), *v.weights.values()] if x.is_floating_point()]
        for x in floating:
            x.requires_grad_(True)
        upstream = floats("upstream", list(shape))
        run = lambda: torch.autograd.grad((build() * upstream).sum(), floating)  # noqa: E731
        return run, lambda: list(run())
    weights = list(v.weights.values())
    for w in weights:
        w.requires_grad_(True)
    groups = [
        {"params": [w for w in weights if w.dim() >= 2], "weight_decay": WEIGHT_DECAY},
        {"params": [w for w in weights if w.dim() < 2], "weight_decay": 0.0},
    ]
    optimizer = torch.optim.AdamW([g for g in groups if g["params"]], **ADAMW)

    def step():
        loss = build()
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        optimizer.step()
        return loss.item()

    return step, lambda: [torch.tensor([step() for _ in range(3)])]


def main():
    out = os.fdopen(3, "w")
    run = None
    for line in sys.stdin:
        request = json.loads(line)
        try:
            reply = {"ok": True}
            if request["do"] == "open":
                torch.set_num_threads(request["threads"])
                torch.set_num_interop_threads(1)
                reply["versions"] = {"torch": torch.__version__, "python": sys.version.split()[0]}
            elif request["do"] == "prepare":
                start = time.perf_counter()
                run, results = prepare(request["work"])
                arrays = [np.ascontiguousarray(x.detach().float().numpy()) for x in results()]
                reply["firstMs"] = (time.perf_counter() - start) * 1e3
                if request["file"]:
                    with open(request["file"], "wb") as file:
                        file.write(np.array([len(arrays), *(a.size for a in arrays)], np.uint32).tobytes())
                        for array in arrays:
                            file.write(array.tobytes())
            elif request["do"] == "measure":
                samples, cpu = [], []
                now = time.perf_counter()
                until = now + request["milliseconds"] / 1e3
                while True:
                    used = time.process_time()
                    run()
                    cpu.append((time.process_time() - used) * 1e3)
                    end = time.perf_counter()
                    samples.append((end - now) * 1e3)
                    now = time.perf_counter()
                    if now >= until:
                        break
                reply |= {"samples": samples, "cpu": cpu}
            elif request["do"] == "dispose":
                run = None
        except Exception as error:  # the failure is a result, too
            reply = {"ok": False, "error": str(error).split("\n")[0], "offered": True}
        out.write(json.dumps(reply) + "\n")
        out.flush()


main()
