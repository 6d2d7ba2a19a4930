"""The same training as `npm start` in PyTorch: same first weights, pictures, captions, order and recipe.

    npm start -- --export-initial --seed 1 --out runs/initial-1
    python tools/reference/start_pytorch.py runs/initial-1 --seed 1

The model is transformers' CLIPModel, which opens what `CLIP.save` writes. Random numbers are Threefry 2x32 and a hash,
as in @vlm/image and examples/start/data.ts, so that every batch is the same to the last bit. Prints one JSON object:
losses and held-out scores. `--compare runs/start/losses.json` says how far the first 50 losses are apart.
"""

import argparse
import json
import math
import time
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image
from safetensors.numpy import load_file
from tokenizers import Tokenizer
from transformers import CLIPModel

MASK = 0xFFFFFFFF
ROTATIONS = ((13, 15, 26, 6), (17, 29, 16, 24))
MEAN = np.array([0.48145466, 0.4578275, 0.40821073], np.float32)
STD = np.array([0.26862954, 0.26130258, 0.27577711], np.float32)
CONTEXT = 24
MUON_RATE = 4


def threefry(key, c0, c1):
    k0, k1 = key
    keys = (k0, k1, k0 ^ k1 ^ 0x1BD11BDA)
    x, y = (c0 + k0) & MASK, (c1 + k1) & MASK
    for r in range(5):
        for turn in ROTATIONS[r % 2]:
            x = (x + y) & MASK
            y = ((y << turn) | (y >> (32 - turn))) & MASK
            y ^= x
        x = (x + keys[(r + 1) % 3]) & MASK
        y = (y + keys[(r + 2) % 3] + r + 1) & MASK
    return x, y


def fold(key, index):
    return threefry(key, index, 0x5EED)


def uniform(key, index=0):
    return threefry(key, index, 0)[0] / 2**32


def permutation(key, length):
    order = list(range(length))
    for i in range(length - 1, 0, -1):
        j = int(uniform(key, i) * (i + 1))
        order[i], order[j] = order[j], order[i]
    return order


def between(low, high, u):
    return low + (high - low) * u


def crop_box(key, size, scale=(0.6, 1), ratio=(3 / 4, 4 / 3)):
    for attempt in range(10):
        area = size * size * between(*scale, uniform(key, attempt * 4))
        aspect = math.exp(between(math.log(ratio[0]), math.log(ratio[1]), uniform(key, attempt * 4 + 1)))
        w, h = math.floor(math.sqrt(area * aspect) + 0.5), math.floor(math.sqrt(area / aspect) + 0.5)
        if 1 <= w <= size and 1 <= h <= size:
            left = int(uniform(key, attempt * 4 + 2) * (size - w + 1))
            top = int(uniform(key, attempt * 4 + 3) * (size - h + 1))
            return left, top, left + w, top + h
    return 0, 0, size, size


def augment(picture, key):
    size = picture.width
    picture = picture.crop(crop_box(fold(key, 0), size))
    if picture.size != (size, size):
        picture = picture.resize((size, size), Image.Resampling.BILINEAR)
    if uniform(fold(key, 1)) < 0.5:
        picture = picture.transpose(Image.Transpose.FLIP_LEFT_RIGHT)
    return picture


def draws(key):
    counter = key[0] ^ (key[1] * 0x9E3779B9 & MASK)
    while True:
        counter = (counter + 0x9E3779B9) & MASK
        x = (counter ^ (counter >> 16)) * 0x85EBCA6B & MASK
        x = (x ^ (x >> 13)) * 0xC2B2AE35 & MASK
        yield (x ^ (x >> 16)) / 2**32


def shuffled(items, draw):
    items = list(items)
    for i in range(len(items) - 1, 0, -1):
        j = int(next(draw) * (i + 1))
        items[i], items[j] = items[j], items[i]
    return items


def some_words(words, draw):
    tags = shuffled(words["tags"], draw)
    some = tags[: int(next(draw) * (len(tags) + 1))]
    with_name = next(draw) >= 0.3 or not some
    return ", ".join(shuffled([words["annotation"], *some] if with_name else some, draw))


def likeness(some):
    """As in examples/start/data.ts: 1 for its own caption, else the share of common words, of the shorter list."""
    sets = [set(w["annotation"].split(" ")) | set(w["tags"]) for w in some]
    alike = torch.tensor([[len(a & b) / min(len(a), len(b)) for b in sets] for a in sets])
    return alike.fill_diagonal_(1)


def normalized(pictures):
    values = np.stack([np.asarray(p) for p in pictures]).astype(np.float64) * (1 / 255)
    return torch.from_numpy(((values.astype(np.float32) - MEAN) / STD).transpose(0, 3, 1, 2).copy())


def orthogonal(x):
    """Five Newton–Schulz iterations towards UVᵀ, as in torch.optim.Muon, but in float32."""
    if x.shape[0] > x.shape[1]:
        return orthogonal(x.T).T
    y = x / x.norm().clamp(min=1e-7)
    for _ in range(5):
        square = y @ y.T
        y = 3.4445 * y + (-4.775 * square + 2.0315 * square @ square) @ y
    return y


class Muon:
    """The matrices of the blocks; query, key and value are one, as in @vlm/nn."""

    def __init__(self, model):
        named = dict(model.named_parameters())
        heads = [n.removesuffix("q_proj.weight") for n in named if n.endswith("q_proj.weight")]
        self.matrices = [[named[f"{h}{x}_proj.weight"] for x in "qkv"] for h in heads]
        self.matrices += [[p] for n, p in named.items() if n.endswith(("out_proj.weight", "fc1.weight", "fc2.weight"))]
        self.momenta = [torch.zeros_like(torch.cat(parts)) for parts in self.matrices]

    @torch.no_grad()
    def step(self, rate):
        for parts, momentum in zip(self.matrices, self.momenta):
            gradient = torch.cat([p.grad for p in parts])
            momentum.lerp_(gradient, 0.05)
            change = orthogonal(gradient.lerp(momentum, 0.95)) * (0.2 * math.sqrt(max(momentum.shape)) * rate)
            for p, part in zip(parts, change.split(parts[0].shape[0])):
                p.mul_(1 - rate * 0.1).sub_(part)


class Run:
    def __init__(self, folder, seed):
        self.model = CLIPModel.from_pretrained(folder / "initial", attn_implementation="eager").train()
        self.tokenizer = Tokenizer.from_file(str(folder / "initial" / "tokenizer.json"))
        self.tokenizer.enable_truncation(CONTEXT)
        end = self.tokenizer.token_to_id("<|endoftext|>")
        self.tokenizer.enable_padding(length=CONTEXT, pad_id=end, pad_token="<|endoftext|>")
        pixels = load_file(folder / "pixels.safetensors")
        self.pictures = {name: [Image.fromarray(p) for p in pixels[name]] for name in pixels}
        self.words = json.loads((folder / "data.json").read_text())
        self.key = (seed >> 32, seed & MASK)

    def ids(self, captions):
        return torch.tensor([e.ids for e in self.tokenizer.encode_batch(captions)])

    def batches(self, size):
        epoch, count = 0, len(self.words["train"])
        while True:
            key = fold(self.key, epoch)
            order = permutation(key, count)
            for start in range(0, count - size + 1, size):
                some = order[start : start + size]
                keys = [fold(key, i) for i in some]
                images = [augment(self.pictures["train"][i], fold(k, view)) for view in (0, 1) for i, k in zip(some, keys)]
                captions = [some_words(self.words["train"][i], draws(k)) for i, k in zip(some, keys)]
                yield normalized(images), self.ids(captions), likeness([self.words["train"][i] for i in some])
            epoch += 1

    def image(self, x):
        out = self.model.visual_projection(self.model.vision_model(pixel_values=x).pooler_output)
        return F.normalize(out, dim=-1)

    def text(self, ids):
        return F.normalize(self.model.text_projection(self.model.text_model(input_ids=ids).pooler_output), dim=-1)

    def contrast(self, a, b, alike):
        """Equations 2 and 3 of Yang et al. 2022 (UniCL), with shares instead of yes and no."""
        logits = self.model.logit_scale.exp() * a @ b.T
        towards = lambda axis: -(logits.log_softmax(axis) * alike / alike.sum(axis, keepdim=True)).sum(axis).mean()
        return (towards(1) + towards(0)) / 2

    def loss(self, x, ids, alike):
        """Both views towards the text, and towards each other."""
        first, second = self.image(x).chunk(2)
        text = self.text(ids)
        to_text = (self.contrast(first, text, alike) + self.contrast(second, text, alike)) / 2
        return to_text + self.contrast(first, second, alike)

    @torch.no_grad()
    def scores(self, part):
        self.model.eval()
        images = self.image(normalized(self.pictures[part]))
        texts = self.text(self.ids([w["caption"] for w in self.words["heldOut"]]))
        classes = torch.stack([F.normalize(self.text(self.ids(g["sentences"])).mean(0), dim=0) for g in self.words["groups"]])
        labels = torch.tensor([w["group"] for w in self.words["heldOut"]])
        similar = images @ texts.T
        self.model.train()
        result = {"groups": ((images @ classes.T).argmax(1) == labels).float().mean().item()}
        for name, s in (("image to text", similar), ("text to image", similar.T)):
            rank = (s >= s.diag()[:, None]).sum(1)
            result |= {f"{name} R@{k}": (rank <= k).float().mean().item() for k in (1, 5, 10)}
        return result


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--steps", type=int, default=300)
    parser.add_argument("--stop", type=int, help="end after this many steps of the schedule")
    parser.add_argument("--batch", type=int, default=128)
    parser.add_argument("--compare", type=Path)
    args = parser.parse_args()
    ours = [loss for _, loss in json.loads(args.compare.read_text())][:50] if args.compare else None
    run = Run(args.folder, args.seed)
    muon = Muon(run.model)
    by_muon = {id(p) for parts in muon.matrices for p in parts}
    # Ours decays what has two axes or more; the class token has three there, and one here.
    decays = lambda name, p: p.ndim >= 2 or name.endswith("class_embedding")
    named = [(n, p) for n, p in run.model.named_parameters() if id(p) not in by_muon]
    groups = [
        {"params": [p for n, p in named if decays(n, p)], "weight_decay": 0.1},
        {"params": [p for n, p in named if not decays(n, p)], "weight_decay": 0.0},
    ]
    optimizer = torch.optim.AdamW(groups, lr=2e-3, betas=(0.9, 0.98), eps=1e-8)
    warmup, total = min(50, math.ceil(args.steps / 10)), args.steps + 1
    losses, started = [], time.time()
    for step, (x, ids, alike) in zip(range(args.stop or args.steps), run.batches(args.batch)):
        since = max(0, step - warmup) / (total - warmup)
        rate = 2e-3 * ((step + 1) / warmup if step < warmup else 0.5 + 0.5 * math.cos(math.pi * since))
        for group in optimizer.param_groups:
            group["lr"] = rate
        loss = run.loss(x, ids, alike)
        run.model.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(run.model.parameters(), 1.0)
        optimizer.step()
        muon.step(MUON_RATE * rate)
        losses.append(loss.item())
    result = {"seed": args.seed, "seconds": time.time() - started, "losses": losses}
    if ours:
        result["largest difference of the first losses"] = max(abs(a - b) for a, b in zip(ours, losses))
        result["losses compared"] = min(len(ours), len(losses))
    result["colour"], result["line art"] = run.scores("heldOut"), run.scores("black")
    print(json.dumps(result))


if __name__ == "__main__":
    main()
