"""Writes packages/nn/test/fixtures/layers.json: layers of PyTorch, forward and gradient.

Run from the repository root: python tools/reference/nn_layers.py
Each case holds parameters under this library's names, the inputs, the output, the gradient of the output that the
backward pass starts from, and the gradients of inputs and parameters.
"""

import json
import pathlib

import torch
import torch.nn.functional as F
from transformers.models.llama.modeling_llama import apply_rotary_pos_emb

OUT = pathlib.Path(__file__).resolve().parents[2] / "packages/nn/test/fixtures/layers.json"
torch.manual_seed(0)
torch.set_default_dtype(torch.float32)


def pack(x: torch.Tensor) -> dict:
    x = x.detach()
    kind = "f32" if x.is_floating_point() else "bool" if x.dtype == torch.bool else "i32"
    values = [float(f"{v:.9g}") if kind == "f32" else int(v) for v in x.flatten().tolist()]
    return {"dtype": kind, "shape": list(x.shape), "data": values}


CASES = {}


def case(name, forward, parameters, inputs, config=None, buffers=None):
    """`forward(parameters, inputs)`; every float input and parameter gets a gradient."""
    leaves = {k: v.detach().clone().requires_grad_() for k, v in parameters.items()}
    ins = {k: v.clone().requires_grad_() if v.is_floating_point() else v for k, v in inputs.items()}
    y = forward(leaves, ins)
    dy = torch.randn_like(y)
    y.backward(dy)
    CASES[name] = {
        "config": config or {},
        "parameters": {k: pack(v) for k, v in leaves.items()},
        "inputs": {k: pack(v) for k, v in ins.items()},
        "output": pack(y),
        "dy": pack(dy),
        "inputGradients": {k: pack(v.grad) for k, v in ins.items() if v.grad is not None},
        "parameterGradients": {k: pack(v.grad) for k, v in leaves.items()},
    }
    if buffers:
        CASES[name]["buffers"] = {k: pack(v) for k, v in buffers().items()}


def randn(*shape, scale=1.0):
    return torch.randn(*shape) * scale


def linear(p, x, name=""):
    return F.linear(x, p[f"{name}weight"], p.get(f"{name}bias"))


def linear_parameters(out, inner, name="", bias=True):
    p = {f"{name}weight": randn(out, inner, scale=inner**-0.5)}
    if bias:
        p[f"{name}bias"] = randn(out, scale=0.1)
    return p


case("Linear", lambda p, i: linear(p, i["x"]), linear_parameters(5, 7), {"x": randn(2, 3, 7)})
case("Linear without bias", lambda p, i: linear(p, i["x"]), linear_parameters(5, 7, bias=False), {"x": randn(3, 7)})
case(
    "Embedding",
    lambda p, i: F.embedding(i["ids"], p["weight"]),
    {"weight": randn(11, 4)},
    {"ids": torch.tensor([[1, 4, 1], [10, 0, 4]])},
)
norm = lambda *shape: {"weight": 1 + randn(*shape, scale=0.2), "bias": randn(*shape, scale=0.2)}
case("LayerNorm", lambda p, i: F.layer_norm(i["x"], (6,), p["weight"], p["bias"], 1e-6), norm(6), {"x": randn(2, 3, 6)})
case("RMSNorm", lambda p, i: F.rms_norm(i["x"], (6,), p["weight"], 1e-5), {"weight": norm(6)["weight"]}, {"x": randn(2, 3, 6)})
case("GroupNorm", lambda p, i: F.group_norm(i["x"], 3, p["weight"], p["bias"], 1e-6), norm(6), {"x": randn(2, 6, 3, 2)})


def batch_norm(training):
    mean, variance = randn(4, scale=0.3), 1 + torch.rand(4)
    start = {"runningMean": mean.clone(), "runningVariance": variance.clone()}

    def forward(p, i):
        return F.batch_norm(i["x"], mean, variance, p["weight"], p["bias"], training, 0.1, 1e-5)

    name = "BatchNorm in training" if training else "BatchNorm"
    case(name, forward, norm(4), {"x": randn(3, 4, 2, 2)}, buffers=lambda: {"runningMean": mean, "runningVariance": variance})
    CASES[name]["startBuffers"] = {k: pack(v) for k, v in start.items()}


batch_norm(False)
batch_norm(True)

weights = lambda *shape, out: {"weight": randn(*shape, scale=0.3), "bias": randn(out, scale=0.1)}
case("Conv1d", lambda p, i: F.conv1d(i["x"], p["weight"], p["bias"], 2, 1, 2, 2), weights(4, 3, 3, out=4), {"x": randn(2, 6, 11)})
case(
    "Conv2d",
    lambda p, i: F.conv2d(i["x"], p["weight"], p["bias"], (2, 1), (1, 2), (1, 2), 2),
    weights(4, 3, 3, 2, out=4),
    {"x": randn(2, 6, 7, 6)},
)
case("Conv2d of patches", lambda p, i: F.conv2d(i["x"], p["weight"], None, 3), {"weight": randn(5, 2, 3, 3)}, {"x": randn(2, 2, 6, 9)})
case(
    "ConvTranspose2d",
    lambda p, i: F.conv_transpose2d(i["x"], p["weight"], p["bias"], 2, 1, 1, 2, 1),
    weights(6, 2, 3, 3, out=4),
    {"x": randn(2, 6, 3, 4)},
)


def heads(x, n):
    return x.unflatten(-1, (n, -1)).transpose(1, 2)


def merge(x):
    return x.transpose(1, 2).flatten(2)


def self_attention(p, i, h, k=None, d=None, causal=False, norm=None, rotary=None):
    k = k or h
    x = i["x"]
    d = d or x.shape[-1] // h
    q, key, v = linear(p, x, "qkv.").split([h * d, k * d, k * d], -1)
    q, key, v = heads(q, h), heads(key, k), heads(v, k)
    if norm:
        q, key = norm(q, "qNorm."), norm(key, "kNorm.")
    if rotary:
        q, key = rotary(q, key)
    mask = i.get("mask")
    if "keyMask" in i:
        mask = i["keyMask"][:, None, None, :]
    if "bias" in i:
        mask = i["bias"]
    y = F.scaled_dot_product_attention(q, key, v, attn_mask=mask, is_causal=causal, enable_gqa=k != h)
    return linear(p, merge(y), "out.")


def attention_parameters(width, h, k=None, d=None, bias=True):
    k, d = k or h, d or width // h
    return linear_parameters((h + 2 * k) * d, width, "qkv.", bias) | linear_parameters(width, h * d, "out.", bias)


case(
    "Attention",
    lambda p, i: F.multi_head_attention_forward(
        *[i["x"].transpose(0, 1)] * 3, 8, 2, p["qkv.weight"], p["qkv.bias"], None, None, False, 0.0,
        p["out.weight"], p["out.bias"], need_weights=False,
    )[0].transpose(0, 1),
    attention_parameters(8, 2),
    {"x": randn(2, 5, 8)},
    {"width": 8, "heads": 2},
)
case("Attention, causal", lambda p, i: self_attention(p, i, 2, causal=True), attention_parameters(8, 2), {"x": randn(2, 5, 8)},
     {"width": 8, "heads": 2, "causal": True})
case("Attention, grouped queries", lambda p, i: self_attention(p, i, 4, 2, 4, causal=True), attention_parameters(8, 4, 2, 4, False),
     {"x": randn(2, 5, 8)}, {"width": 8, "heads": 4, "kvHeads": 2, "headWidth": 4, "bias": False, "causal": True})
mask = torch.rand(2, 1, 5, 5) > 0.4
mask[..., 0] = True
case("Attention, mask", lambda p, i: self_attention(p, i, 2), attention_parameters(8, 2), {"x": randn(2, 5, 8), "mask": mask},
     {"width": 8, "heads": 2})
keys = torch.tensor([[1, 1, 1, 0, 0], [1, 1, 1, 1, 1]]).bool()
case("Attention, key mask", lambda p, i: self_attention(p, i, 2), attention_parameters(8, 2), {"x": randn(2, 5, 8), "keyMask": keys},
     {"width": 8, "heads": 2})
case("Attention, bias", lambda p, i: self_attention(p, i, 2), attention_parameters(8, 2),
     {"x": randn(2, 5, 8), "bias": randn(1, 2, 5, 5)}, {"width": 8, "heads": 2})


def layer_norm_heads(p):
    return lambda x, name: F.layer_norm(x, (x.shape[-1],), p[f"{name}weight"], p[f"{name}bias"], 1e-6)


def rms_norm_heads(p):
    return lambda x, name: F.rms_norm(x, (x.shape[-1],), p[f"{name}weight"], 1e-6)


qk = {f"{n}.{k}": v for n in ("qNorm", "kNorm") for k, v in norm(4).items()}
case("Attention, layer-normed heads", lambda p, i: self_attention(p, i, 2, norm=layer_norm_heads(p)), attention_parameters(8, 2) | qk,
     {"x": randn(2, 5, 8)}, {"width": 8, "heads": 2, "qkNorm": "layer", "qkNormEps": 1e-6})
qk = {f"{n}.weight": norm(4)["weight"] for n in ("qNorm", "kNorm")}
case("Attention, RMS-normed heads", lambda p, i: self_attention(p, i, 2, norm=rms_norm_heads(p)), attention_parameters(8, 2) | qk,
     {"x": randn(2, 5, 8)}, {"width": 8, "heads": 2, "qkNorm": "rms", "qkNormEps": 1e-6})


def llama_rotary(q, k):
    d, n = q.shape[-1], q.shape[-2]
    frequencies = 1.0 / 10000 ** (torch.arange(0, d, 2).float() / d)
    angles = torch.arange(n).float()[:, None] * frequencies
    table = torch.cat([angles, angles], -1)[None]
    return apply_rotary_pos_emb(q, k, table.cos(), table.sin())


def interleaved_rotary(q, k):
    """As GPT-J: neighbouring channels are pairs; only the first four of eight turn."""

    def turn(x):
        d, n = 4, x.shape[-2]
        frequencies = 1.0 / 500 ** (torch.arange(0, d, 2).float() / d)
        angles = torch.arange(n).float()[:, None] * frequencies
        pairs = torch.view_as_complex(x[..., :d].unflatten(-1, (-1, 2)).contiguous())
        turned = torch.view_as_real(pairs * torch.polar(torch.ones_like(angles), angles)).flatten(-2)
        return torch.cat([turned, x[..., d:]], -1)

    return turn(q), turn(k)


case("Attention, rotary", lambda p, i: self_attention(p, i, 2, causal=True, rotary=llama_rotary), attention_parameters(16, 2),
     {"x": randn(2, 5, 16)}, {"width": 16, "heads": 2, "causal": True, "rotary": {}})
case("Attention, interleaved rotary", lambda p, i: self_attention(p, i, 2, rotary=interleaved_rotary), attention_parameters(16, 2),
     {"x": randn(2, 5, 16)}, {"width": 16, "heads": 2, "rotary": {"theta": 500, "channels": 4, "interleaved": True}})


def cross_attention(p, i):
    q = heads(linear(p, i["x"], "q."), 2)
    k, v = linear(p, i["context"], "kv.").chunk(2, -1)
    return linear(p, merge(F.scaled_dot_product_attention(q, heads(k, 2), heads(v, 2))), "out.")


case(
    "Attention, cross",
    cross_attention,
    linear_parameters(8, 8, "q.") | linear_parameters(16, 6, "kv.") | linear_parameters(10, 8, "out."),
    {"x": randn(2, 3, 8), "context": randn(2, 5, 6)},
    {"width": 8, "heads": 2, "contextWidth": 6, "outputs": 10},
)

ACTIVATIONS = {
    "gelu": F.gelu,
    "gelu-tanh": lambda x: F.gelu(x, approximate="tanh"),
    "quick-gelu": lambda x: x * torch.sigmoid(1.702 * x),
    "relu": F.relu,
    "silu": F.silu,
}
for name, act in ACTIVATIONS.items():
    case(
        f"Mlp, {name}",
        lambda p, i: linear(p, act(linear(p, i["x"], "up.")), "down."),
        linear_parameters(9, 4, "up.") | linear_parameters(4, 9, "down."),
        {"x": randn(2, 3, 4)},
        {"width": 4, "hidden": 9, "activation": name},
    )
case(
    "GatedMlp, silu",
    lambda p, i: linear(p, F.silu(linear(p, i["x"], "gate.")) * linear(p, i["x"], "up."), "down."),
    linear_parameters(9, 4, "gate.", False) | linear_parameters(9, 4, "up.", False) | linear_parameters(4, 9, "down.", False),
    {"x": randn(2, 3, 4)},
    {"width": 4, "hidden": 9},
)

case("LayerNorm without bias", lambda p, i: F.layer_norm(i["x"], (6,), p["weight"], None, 1e-5), {"weight": norm(6)["weight"]},
     {"x": randn(2, 6)})
case("LayerNorm without gain", lambda p, i: F.layer_norm(i["x"], (6,), None, None, 1e-5), {}, {"x": randn(2, 6)})
case(
    "Linear with LoRA",
    lambda p, i: linear(p, i["x"]) + 4 / 2 * F.linear(F.linear(i["x"], p["adapter.down"]), p["adapter.up"]),
    linear_parameters(5, 7) | {"adapter.down": randn(2, 7, scale=0.4), "adapter.up": randn(5, 2, scale=0.4)},
    {"x": randn(2, 3, 7)},
)
case(
    "GatedMlp, gelu",
    lambda p, i: linear(p, F.gelu(linear(p, i["x"], "gate.")) * linear(p, i["x"], "up."), "down."),
    linear_parameters(6, 4, "gate.", False) | linear_parameters(6, 4, "up.", False) | linear_parameters(4, 6, "down.", False),
    {"x": randn(2, 3, 4)},
    {"width": 4, "hidden": 6, "activation": "gelu"},
)


def torch_block(p, i):
    """torch's own pre-norm encoder layer, with the parameters put in."""
    layer = torch.nn.TransformerEncoderLayer(8, 2, 12, 0.0, "gelu", 1e-6, batch_first=True, norm_first=True)
    names = {
        "norm1": "norm1", "norm2": "norm2", "self_attn.out_proj": "attention.out", "linear1": "mlp.up", "linear2": "mlp.down",
    }
    state = {f"{theirs}.{kind}": p[f"{ours}.{kind}"] for theirs, ours in names.items() for kind in ("weight", "bias")}
    state |= {f"self_attn.in_proj_{kind}": p[f"attention.qkv.{kind}"] for kind in ("weight", "bias")}
    return torch.func.functional_call(layer, state, (i["x"],))


case(
    "TransformerBlock",
    torch_block,
    {f"norm1.{k}": v for k, v in norm(8).items()}
    | {f"attention.{k}": v for k, v in attention_parameters(8, 2).items()}
    | {f"norm2.{k}": v for k, v in norm(8).items()}
    | linear_parameters(12, 8, "mlp.up.") | linear_parameters(8, 12, "mlp.down."),
    {"x": randn(2, 5, 8)},
    {"width": 8, "heads": 2, "mlpWidth": 12, "eps": 1e-6},
)

OUT.parent.mkdir(parents=True, exist_ok=True)
OUT.write_text(json.dumps({"torch": torch.__version__, "cases": CASES}) + "\n")
print(f"{len(CASES)} cases, {OUT.stat().st_size} bytes")
