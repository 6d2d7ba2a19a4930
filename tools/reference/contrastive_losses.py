"""Contrastive losses and their gradients in PyTorch and open_clip, on one small batch.

    python tools/reference/contrastive_losses.py
"""
import json
import math
from pathlib import Path

import torch
import torch.nn.functional as F
from open_clip.loss import ClipLoss, SigLipLoss

torch.manual_seed(0)
B, D = 6, 5
a = torch.randn(B, D, requires_grad=True)
b = torch.randn(B, D, requires_grad=True)
negatives = torch.randn(4, D)
labels = torch.tensor([0, 1, 0, 2, 1, 0])
t = torch.tensor(math.log(8.0), requires_grad=True)
bias = torch.tensor(-1.5, requires_grad=True)
positives = (torch.rand(B, B) < 0.3) | torch.eye(B, dtype=torch.bool)


def n(x):
    return F.normalize(x, dim=-1)


def nt_xent(a, b, temperature):
    z = n(torch.cat([a, b]))
    s = z @ z.T / temperature
    s = s.masked_fill(torch.eye(2 * B, dtype=torch.bool), -math.inf)
    return F.cross_entropy(s, torch.cat([torch.arange(B, 2 * B), torch.arange(B)]))


def info_nce(a, b, temperature, negatives=None):
    s = n(a) @ n(b).T / temperature
    if negatives is not None:
        s = torch.cat([s, n(a) @ n(negatives).T / temperature], 1)
    return F.cross_entropy(s, torch.arange(B))


def supervised(a, labels, temperature):
    z = n(a)
    s = z @ z.T / temperature
    total, count = 0, 0
    for i in range(B):
        others = [j for j in range(B) if j != i]
        same = [j for j in others if labels[j] == labels[i]]
        if not same:
            continue
        total = total - sum(s[i, j] - torch.logsumexp(s[i, others], 0) for j in same) / len(same)
        count += 1
    return total / count


def multi_positive(a, b, positives, t):
    s = t.exp() * n(a) @ n(b).T
    w = positives.float()
    rows = -(F.log_softmax(s, 1) * w / w.sum(1, keepdim=True)).sum(1).mean()
    columns = -(F.log_softmax(s, 0) * w / w.sum(0, keepdim=True)).sum(0).mean()
    return (rows + columns) / 2


def binary_nce(data, noise, log_data, log_noise):
    k = noise.numel() / data.numel()
    x = torch.cat([data - log_data, noise - log_noise]) - math.log(k)
    y = torch.cat([torch.ones_like(data), torch.zeros_like(noise)])
    return F.binary_cross_entropy_with_logits(x, y, reduction="sum") / data.numel()


cases = {
    "clip": ClipLoss()(n(a), n(b), t.exp()),
    "siglip": SigLipLoss()(n(a), n(b), t.exp(), bias),
    "infoNCE": info_nce(a, b, 0.2),
    "infoNCE negatives": info_nce(a, b, 0.2, negatives),
    "ntXent": nt_xent(a, b, 0.5),
    "supervised": supervised(a, labels, 0.1),
    "multiPositive": multi_positive(a, b, positives, t),
    "binaryNCE": binary_nce(a.sum(1), b.reshape(-1)[: 2 * B], -a.detach().sum(1).abs(), -b.detach().reshape(-1)[: 2 * B].abs()),
}
out = {"a": a.tolist(), "b": b.tolist(), "negatives": negatives.tolist(), "labels": labels.tolist(),
       "logScale": t.item(), "bias": bias.item(), "positives": positives.tolist(), "cases": {}}
for name, loss in cases.items():
    gradients = torch.autograd.grad(loss, [a, b, t, bias], allow_unused=True, retain_graph=True)
    out["cases"][name] = {"loss": loss.item(), **{k: g.tolist() for k, g in zip(["da", "db", "dt", "dbias"], gradients) if g is not None}}
path = Path(__file__).resolve().parents[2] / "packages/contrastive/test/fixtures/losses.json"
path.write_text(json.dumps(out))
print(path, path.stat().st_size)
