"""Writes packages/nn/test/fixtures/optimizers.json: thirty steps of PyTorch's optimisers, and schedules.

Run from the repository root: python tools/reference/nn_optimizers.py
The model is y = W₂·tanh(W₁x + b₁) + b₂ with a mean squared error; every fifth batch is another. Lion is not in PyTorch:
it is written here from algorithm 2 of arXiv:2302.06675. PyTorch's Muon iterates in bfloat16: here it does in float32.
"""

import json
import math
import pathlib

import torch

OUT = pathlib.Path(__file__).resolve().parents[2] / "packages/nn/test/fixtures/optimizers.json"
STEPS = 30
torch.manual_seed(0)


def pack(x):
    return {"shape": list(x.shape), "data": [float(f"{v:.9g}") for v in x.detach().flatten().tolist()]}


class Lion(torch.optim.Optimizer):
    def __init__(self, params, lr, betas=(0.9, 0.99), weight_decay=0.0):
        super().__init__(params, {"lr": lr, "betas": betas, "weight_decay": weight_decay})

    @torch.no_grad()
    def step(self):
        for group in self.param_groups:
            b1, b2 = group["betas"]
            for p in group["params"]:
                m = self.state[p].setdefault("m", torch.zeros_like(p))
                update = (b1 * m + (1 - b1) * p.grad).sign() + group["weight_decay"] * p
                p -= group["lr"] * update
                m.mul_(b2).add_(p.grad, alpha=1 - b2)


torch.Tensor.bfloat16 = torch.Tensor.clone  # Muon's iterations alone use it


class Muon:
    """Muon for the matrices, AdamW for the vectors."""

    def __init__(self, params, lr, weight_decay, adjust):
        matrices, vectors = [p for p in params if p.ndim == 2], [p for p in params if p.ndim < 2]
        muon = torch.optim.Muon(matrices, lr=lr, weight_decay=weight_decay, adjust_lr_fn=adjust)
        self.both = [muon, torch.optim.AdamW(vectors, lr=lr, weight_decay=0.0)]

    def zero_grad(self):
        for optimizer in self.both:
            optimizer.zero_grad()

    def step(self):
        for optimizer in self.both:
            optimizer.step()


START = {
    "up.weight": torch.randn(6, 4) * 0.5,
    "up.bias": torch.randn(6) * 0.1,
    "down.weight": torch.randn(3, 6) * 0.4,
    "down.bias": torch.zeros(3),
}
X = torch.randn(5, 8, 4)
Y = torch.randn(5, 8, 3)


def run(make, clip=None, schedule=None, accumulate=1, ema=None):
    p = {k: v.clone().requires_grad_() for k, v in START.items()}
    optimizer = make(list(p.values()))
    model = torch.nn.ParameterList(p.values())
    # The first update of an averaged model copies: the average begins at the start, not after the first step.
    averaged = torch.optim.swa_utils.AveragedModel(model, multi_avg_fn=torch.optim.swa_utils.get_ema_multi_avg_fn(ema or 0.0))
    averaged.update_parameters(model)
    if schedule:
        scheduler = torch.optim.lr_scheduler.LambdaLR(optimizer, schedule)
    losses = []
    norms = []
    for step in range(STEPS):
        optimizer.zero_grad()
        total = 0.0
        for part in range(accumulate):
            batch = (step * accumulate + part) % 5
            hidden = torch.tanh(X[batch] @ p["up.weight"].T + p["up.bias"])
            loss = ((hidden @ p["down.weight"].T + p["down.bias"] - Y[batch]) ** 2).mean() / accumulate
            loss.backward()
            total += loss.item()
        if clip:
            norms.append(torch.nn.utils.clip_grad_norm_(p.values(), clip).item())
        optimizer.step()
        averaged.update_parameters(model)
        if schedule:
            scheduler.step()
        losses.append(total)
    found = {"losses": losses, "norms": norms, "parameters": {k: pack(v) for k, v in p.items()}}
    if ema:
        found["averages"] = {k: pack(v) for k, v in zip(p, averaged.module)}
    return found


def cosine(step, warmup=5, steps=30):
    if step < warmup:
        return (step + 1) / warmup
    return 0.5 * (1 + math.cos(math.pi * (step - warmup) / (steps - warmup)))


o = torch.optim
RUNS = {
    "sgd": run(lambda p: o.SGD(p, lr=0.1)),
    "sgd momentum": run(lambda p: o.SGD(p, lr=0.1, momentum=0.9, weight_decay=0.01)),
    "sgd nesterov": run(lambda p: o.SGD(p, lr=0.1, momentum=0.9, nesterov=True, weight_decay=0.01)),
    "adam": run(lambda p: o.Adam(p, lr=0.01, weight_decay=0.1)),
    "adamw": run(lambda p: o.AdamW(p, lr=0.01, weight_decay=0.1)),
    "adamw clip cosine": run(lambda p: o.AdamW(p, lr=0.02, betas=(0.9, 0.98), eps=1e-6, weight_decay=0.2), 0.5, cosine),
    "sgd rates": run(lambda p: o.SGD([{"params": [p[0], p[1]], "lr": 0.02}, {"params": [p[2], p[3]]}], lr=0.1, momentum=0.9)),
    "adamw groups": run(
        lambda p: o.AdamW([{"params": [p[0], p[2]], "weight_decay": 0.1}, {"params": [p[1], p[3]], "weight_decay": 0.0}], lr=0.01)
    ),
    "lion": run(lambda p: Lion(p, lr=0.005, weight_decay=0.1)),
    "muon": run(lambda p: Muon(p, 0.02, 0.1, "match_rms_adamw")),
    "muon original": run(lambda p: Muon(p, 0.02, 0.1, "original")),
    "adafactor": run(lambda p: o.Adafactor(p, lr=0.05, weight_decay=0.1)),
}
# What `train` does besides: each with the data in their order.
TRAINED = {
    "accumulate": run(lambda p: o.AdamW(p, lr=0.01, weight_decay=0.1), 0.5, accumulate=2),
    "averages": run(lambda p: o.SGD(p, lr=0.1, momentum=0.9), ema=0.9),
}


def scheduled(rate, make):
    """Rates of one of torch's schedulers."""
    optimizer = o.SGD([torch.zeros(1, requires_grad=True)], lr=rate)
    scheduler = make(optimizer)
    rates = []
    for _ in range(20):
        rates.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        scheduler.step()
    return rates


s = o.lr_scheduler
SCHEDULES = {
    "cosine": [0.02 * cosine(t) for t in range(30)],
    "cosine to an end": scheduled(0.02, lambda x: s.CosineAnnealingLR(x, 20, 0.01)),
    "linear to an end": scheduled(0.5, lambda x: s.LinearLR(x, 1.0, 0.2, 12)),
    "stepped": scheduled(0.1, lambda x: s.StepLR(x, 7, 0.1)),
    "warm-up": scheduled(0.1, lambda x: s.LinearLR(x, 1 / 3, 1.0, 2)),
}
OUT.parent.mkdir(parents=True, exist_ok=True)
data = {"torch": torch.__version__, "start": {k: pack(v) for k, v in START.items()}, "x": pack(X), "y": pack(Y), "runs": RUNS,
        "trained": TRAINED, "schedules": SCHEDULES}
OUT.write_text(json.dumps(data) + "\n")
print(f"{len(RUNS)} runs, {OUT.stat().st_size} bytes")
