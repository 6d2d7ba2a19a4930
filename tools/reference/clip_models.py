"""Tiny CLIP, SigLIP and ViT models with random weights, in the real checkpoint formats, with everything they compute.

    python tools/reference/clip_models.py

Writes packages/{clip,vit}/test/fixtures/NAME/: the checkpoint as its own library saves it, and expected.safetensors
with inputs, named intermediates, outputs, the loss, and the gradient of the loss for every parameter (float32).
"""
import json
import math
import shutil
from pathlib import Path

import open_clip
import timm
import torch
from open_clip.loss import ClipLoss, SigLipLoss
from safetensors.torch import save_file
from transformers import (
    CLIPConfig, CLIPModel, CLIPTextConfig, CLIPTextModelWithProjection, CLIPVisionConfig, CLIPVisionModel, SiglipConfig, SiglipModel, ViTConfig,
    ViTForImageClassification, ViTModel,
)

ROOT = Path(__file__).resolve().parents[2] / "packages"


def randomise(model, seed):
    """Weights large enough that every part of the network matters, norms away from their neutral values."""
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            noise = torch.randn(parameter.shape, generator=generator)
            if name.endswith(("logit_scale", "logit_bias")) or not parameter.requires_grad:
                continue
            if parameter.dim() >= 2:
                fan_in = math.prod(parameter.shape[1:])
                parameter.copy_(noise * (0.8 / math.sqrt(fan_in)) if "embedding" not in name and "pos" not in name else noise * 0.3)
            elif "norm" in name.lower() or ".bn" in name or name.startswith("bn") or "ln_" in name or "layrnorm" in name:
                parameter.copy_((1 if name.endswith("weight") else 0) + 0.1 * noise)
            else:
                parameter.copy_(0.1 * noise)
        for name, buffer in model.named_buffers():
            if name.endswith("running_mean"):
                buffer.copy_(0.1 * torch.randn(buffer.shape, generator=generator))
            elif name.endswith("running_var"):
                buffer.copy_(1 + 0.2 * torch.rand(buffer.shape, generator=generator))
    return model


def folder(package, name):
    path = ROOT / package / "test" / "fixtures" / name
    shutil.rmtree(path, ignore_errors=True)
    path.mkdir(parents=True)
    return path


def checkpoint_key(name):
    """transformers 5 renames ViT's parameters in memory and saves them under the names that all checkpoints have."""
    for new, old in (("vit.layers.", "vit.encoder.layer."), (".attention.q_proj.", ".attention.attention.query."),
                     (".attention.k_proj.", ".attention.attention.key."), (".attention.v_proj.", ".attention.attention.value."),
                     (".attention.o_proj.", ".attention.output.dense."), (".mlp.fc1.", ".intermediate.dense."),
                     (".mlp.fc2.", ".output.dense.")):
        if name.startswith("vit."):
            name = name.replace(new, old)
    return name


def expected(path, model, tensors, loss):
    loss.backward()
    out = {name: value.detach().contiguous().clone() for name, value in tensors.items()}
    out["loss"] = loss.detach().clone()
    for name, parameter in model.named_parameters():
        if parameter.grad is not None:
            out[f"grad.{checkpoint_key(name)}"] = parameter.grad.contiguous().clone()
    save_file(out, path / "expected.safetensors")
    print(path.name, sum(f.stat().st_size for f in path.iterdir()) // 1024, "kB")


def outputs_of(modules):
    """What the next forward pass makes of each module, by the name given; filled in as it runs."""
    found = {}
    for name, module in modules.items():
        module.register_forward_hook(lambda _module, _inputs, out, name=name: found.__setitem__(name, out))
    return found


def numbered(prefix, modules):
    return {f"{prefix}.{i}": module for i, module in enumerate(modules)}


def images(batch, size, seed):
    height, width = size if isinstance(size, (list, tuple)) else (size, size)
    return torch.randn(batch, 3, height, width, generator=torch.Generator().manual_seed(seed))


def tokens(batch, length, vocab, end, seed, bos=None):
    """Random ids, each row ended by `end` at its own place and padded with it (CLIP) behind."""
    generator = torch.Generator().manual_seed(seed)
    ids = torch.randint(1, vocab - 3, (batch, length), generator=generator)
    for row in range(batch):
        stop = length - 1 - row % 3
        ids[row, stop:] = end
        if bos is not None:
            ids[row, 0] = bos
    return ids


def hf_clip(name, seed, act, eos, vision, text, embed, image, patch):
    vocab, context = 50, 11
    config = CLIPConfig(
        projection_dim=embed,
        vision_config=dict(hidden_size=vision, intermediate_size=vision * 3, num_hidden_layers=2, num_attention_heads=4,
                           image_size=image, patch_size=patch, hidden_act=act, projection_dim=embed),
        text_config=dict(hidden_size=text, intermediate_size=text * 3, num_hidden_layers=3, num_attention_heads=2,
                         vocab_size=vocab, max_position_embeddings=context, hidden_act=act, eos_token_id=eos,
                         bos_token_id=vocab - 2, pad_token_id=vocab - 1, projection_dim=embed),
    )
    config._attn_implementation = "eager"
    model = randomise(CLIPModel(config), seed).eval()
    path = folder("clip", name)
    model.save_pretrained(path)
    pixels, ids = images(3, image, seed), tokens(3, context, vocab, vocab - 1 if eos == 2 else eos, seed, vocab - 2)
    vision_out = model.vision_model(pixels, output_hidden_states=True)
    text_out = model.text_model(ids, output_hidden_states=True)
    out = model(input_ids=ids, pixel_values=pixels, return_loss=True)
    parts = {"pixels": pixels, "ids": ids, "image.pooled": vision_out.pooler_output, "image.tokens": vision_out.last_hidden_state,
             "text.pooled": text_out.pooler_output, "text.tokens": text_out.last_hidden_state,
             "image.embeds": out.image_embeds, "text.embeds": out.text_embeds, "logits": out.logits_per_image}
    for i, state in enumerate(vision_out.hidden_states):
        parts[f"image.hidden.{i}"] = state
    for i, state in enumerate(text_out.hidden_states):
        parts[f"text.hidden.{i}"] = state
    expected(path, model, parts, out.loss)


def hf_siglip(name, seed):
    vocab, context, image, patch = 40, 9, 30, 7
    config = SiglipConfig(
        vision_config=dict(hidden_size=24, intermediate_size=50, num_hidden_layers=2, num_attention_heads=3, image_size=image, patch_size=patch),
        text_config=dict(hidden_size=24, intermediate_size=50, num_hidden_layers=2, num_attention_heads=3, vocab_size=vocab,
                         max_position_embeddings=context),
    )
    config._attn_implementation = "eager"
    model = randomise(SiglipModel(config), seed).eval()
    with torch.no_grad():
        model.logit_scale.fill_(math.log(10))
        model.logit_bias.fill_(-2.0)
    path = folder("clip", name)
    model.save_pretrained(path)
    pixels, ids = images(3, image, seed), tokens(3, context, vocab, 1, seed)
    vision_out = model.vision_model(pixels, output_hidden_states=True)
    text_out = model.text_model(ids, output_hidden_states=True)
    out = model(input_ids=ids, pixel_values=pixels, return_loss=True)
    parts = {"pixels": pixels, "ids": ids, "image.pooled": vision_out.pooler_output, "image.tokens": vision_out.last_hidden_state,
             "text.pooled": text_out.pooler_output, "text.tokens": text_out.last_hidden_state,
             "image.embeds": out.image_embeds, "text.embeds": out.text_embeds, "logits": out.logits_per_image}
    for i, state in enumerate(vision_out.hidden_states):
        parts[f"image.hidden.{i}"] = state
    for i, state in enumerate(text_out.hidden_states):
        parts[f"text.hidden.{i}"] = state
    expected(path, model, parts, out.loss)


def hf_vit(name, seed):
    config = ViTConfig(hidden_size=32, num_hidden_layers=2, num_attention_heads=4, intermediate_size=48, image_size=32,
                       patch_size=8, num_labels=5, hidden_dropout_prob=0, attention_probs_dropout_prob=0)
    config._attn_implementation = "eager"
    model = randomise(ViTForImageClassification(config), seed).eval()
    path = folder("vit", name)
    model.save_pretrained(path)
    pixels = images(2, 32, seed)
    out = model(pixels, output_hidden_states=True, labels=torch.tensor([1, 3]))
    tokens_out = model.vit(pixels).last_hidden_state
    larger = model(images(2, 48, seed), interpolate_pos_encoding=True).logits
    parts = {"pixels": pixels, "logits": out.logits, "tokens": tokens_out, "pixels.larger": images(2, 48, seed), "logits.larger": larger}
    for i, state in enumerate(out.hidden_states):
        parts[f"hidden.{i}"] = state
    expected(path, model, parts, out.loss)


def hf_vit_alone(name, seed):
    """ViTModel without a classifier and its keys without a prefix, in shards."""
    config = ViTConfig(hidden_size=24, num_hidden_layers=1, num_attention_heads=3, intermediate_size=48, image_size=[16, 24],
                       patch_size=8, hidden_dropout_prob=0, attention_probs_dropout_prob=0)
    config._attn_implementation = "eager"
    model = randomise(ViTModel(config), seed).eval()
    path = folder("vit", name)
    model.save_pretrained(path, max_shard_size="10KB")
    pixels = torch.randn(2, 3, 16, 24, generator=torch.Generator().manual_seed(seed))
    save_file({"pixels": pixels, "tokens": model(pixels).last_hidden_state.detach()}, path / "expected.safetensors")


def hf_clip_vision(name, seed):
    """CLIP's image tower in a checkpoint of its own."""
    config = CLIPVisionConfig(hidden_size=24, intermediate_size=48, num_hidden_layers=1, num_attention_heads=3, image_size=16, patch_size=8)
    config._attn_implementation = "eager"
    model = randomise(CLIPVisionModel(config), seed).eval()
    path = folder("vit", name)
    model.save_pretrained(path)
    pixels = images(2, 16, seed)
    out = model(pixels)
    save_file({"pixels": pixels, "tokens": out.last_hidden_state.detach().contiguous(), "pooled": out.pooler_output.detach().contiguous()},
              path / "expected.safetensors")


def hf_clip_text(name, seed):
    """CLIP's text tower in a checkpoint of its own, with its projection."""
    config = CLIPTextConfig(hidden_size=16, intermediate_size=24, num_hidden_layers=1, num_attention_heads=2, vocab_size=30,
                            max_position_embeddings=7, eos_token_id=29, bos_token_id=28, pad_token_id=29, projection_dim=8)
    config._attn_implementation = "eager"
    model = randomise(CLIPTextModelWithProjection(config), seed).eval()
    path = folder("clip", name)
    model.save_pretrained(path)
    ids = tokens(3, 7, 30, 29, seed)
    out = model.text_model(ids)
    save_file({"ids": ids, "tokens": out.last_hidden_state.detach().contiguous(), "pooled": out.pooler_output.detach().contiguous()},
              path / "expected.safetensors")


def timm_vit(name, seed, **options):
    model = timm.models.VisionTransformer(img_size=24, patch_size=6, embed_dim=32, depth=2, num_heads=4, num_classes=5, **options)
    model = randomise(model, seed).eval()
    path = folder("vit", name)
    save_file({k: v.contiguous() for k, v in model.state_dict().items()}, path / "model.safetensors")
    architecture = {"architecture": name, "num_classes": 5, "global_pool": model.global_pool, "model_args":
                    {"img_size": 24, "patch_size": 6, "embed_dim": 32, "depth": 2, "num_heads": 4, **options}}
    (path / "config.json").write_text(json.dumps(architecture, indent=2))
    dynamic = timm.models.VisionTransformer(img_size=24, patch_size=6, embed_dim=32, depth=2, num_heads=4, num_classes=5,
                                            dynamic_img_size=True, **options).eval()
    dynamic.load_state_dict(model.state_dict())
    other = images(2, (18, 42), seed + 1)
    pixels = images(2, 24, seed)
    hidden = outputs_of(numbered("hidden", model.blocks))
    out = model(pixels)
    loss = torch.nn.functional.cross_entropy(out, torch.tensor([1, 3]))
    parts = {"pixels": pixels, "logits": out, **hidden, "pixels.other": other, "logits.other": dynamic(other)}
    parts["tokens"] = model.forward_features(pixels)
    expected(path, model, parts, loss)


@timm.models.register_model
def vit_narrow_patch8_siglip(pretrained=False, **options):
    options.pop("pretrained_cfg", None), options.pop("pretrained_cfg_overlay", None), options.pop("cache_dir", None)
    return timm.models.VisionTransformer(**{"patch_size": 8, "embed_dim": 24, "depth": 1, "num_heads": 3,
                                             "class_token": False, "img_size": 16, **options})


def openclip(name, seed, config, siglip=False):
    arguments = {key: value for key, value in config.items() if key != "custom_text"}
    model = randomise(open_clip.CustomTextCLIP(**arguments) if siglip else open_clip.CLIP(**arguments), seed).eval()
    if siglip:
        with torch.no_grad():
            model.logit_bias.fill_(-2.0)
    path = folder("clip", name)
    state = {k: v.contiguous() for k, v in model.state_dict().items()}
    save_file(state, path / "open_clip_model.safetensors")
    (path / "open_clip_config.json").write_text(json.dumps({"model_cfg": config, "preprocess_cfg": {
        "mean": [0.48145466, 0.4578275, 0.40821073], "std": [0.26862954, 0.26130258, 0.27577711]}}, indent=2))
    text = config["text_cfg"]
    size = config["vision_cfg"]["image_size"]
    pixels = images(3, size, seed)
    ids = tokens(3, text["context_length"], text["vocab_size"], text["vocab_size"] - 1, seed)
    visual, text_tower = model.visual, model.text if siglip else model
    if hasattr(visual, "layer1"):
        parts = {"image.stem": visual.avgpool, **numbered("image.stage", [visual.layer1, visual.layer2, visual.layer3, visual.layer4])}
    else:
        parts = numbered("image.block", visual.trunk.blocks if hasattr(visual, "trunk") else visual.transformer.resblocks)
    hidden = outputs_of({**parts, **numbered("text.block", text_tower.transformer.resblocks)})
    image_raw, text_raw = model.encode_image(pixels), model.encode_text(ids)
    image_embeds, text_embeds = model.encode_image(pixels, normalize=True), model.encode_text(ids, normalize=True)
    scale = model.logit_scale.exp()
    if siglip:
        loss = SigLipLoss()(image_embeds, text_embeds, scale, model.logit_bias)
        logits = scale * image_embeds @ text_embeds.T + model.logit_bias
    else:
        loss = ClipLoss()(image_embeds, text_embeds, scale)
        logits = scale * image_embeds @ text_embeds.T
    parts = {"pixels": pixels, "ids": ids, "image.features": image_raw, "text.features": text_raw,
             "image.embeds": image_embeds, "text.embeds": text_embeds, "logits": logits, **hidden}
    expected(path, model, parts, loss)


if __name__ == "__main__":
    torch.manual_seed(0)
    hf_clip("hf-clip", 1, "quick_gelu", 2, 32, 24, 16, 32, 8)
    hf_clip("hf-clip-gelu", 2, "gelu", 49, 16, 16, 20, 30, 6)
    hf_siglip("hf-siglip", 3)
    hf_vit("hf-vit", 4)
    hf_vit_alone("hf-vit-alone", 10)
    hf_clip_vision("hf-clip-vision", 11)
    hf_clip_text("hf-clip-text", 13)
    timm_vit("timm-vit", 5)
    timm_vit("timm-vit-mean", 6, global_pool="avg", class_token=False, fc_norm=True)
    timm_vit("timm-vit-map", 7, global_pool="map", class_token=False)
    openclip("openclip-vit", 8, {"embed_dim": 16, "quick_gelu": True,
             "vision_cfg": {"image_size": 24, "layers": 2, "width": 24, "head_width": 8, "patch_size": 6},
             "text_cfg": {"context_length": 10, "vocab_size": 40, "width": 24, "heads": 3, "layers": 1}})
    openclip("openclip-rn50", 9, {"embed_dim": 16, "quick_gelu": True,
             "vision_cfg": {"image_size": 64, "layers": [2, 1, 1, 1], "width": 2, "head_width": 16, "patch_size": None},
             "text_cfg": {"context_length": 10, "vocab_size": 40, "width": 12, "heads": 3, "layers": 1}})
    # SigLIP in OpenCLIP's form has a trunk of timm; this one is narrower than any that timm has a name for.
    openclip("openclip-siglip", 12, {"embed_dim": 24, "init_logit_bias": -10, "custom_text": True,
             "vision_cfg": {"image_size": 16, "timm_model_name": "vit_narrow_patch8_siglip", "timm_model_pretrained": False,
                            "timm_pool": "map", "timm_proj": "none"},
             "text_cfg": {"context_length": 8, "vocab_size": 40, "width": 24, "heads": 3, "layers": 1, "no_causal_mask": True,
                          "proj_bias": True, "pool_type": "last", "norm_kwargs": {"eps": 1e-6}}}, siglip=True)
    # What else OpenCLIP's configurations can say: tanh, fixed positions, mean, scales of shape [1], ends by id.
    openclip("openclip-variants", 14, {"embed_dim": 12, "custom_text": True, "nonscalar_logit_scale": True, "init_logit_bias": -10,
             "vision_cfg": {"image_size": 24, "layers": 1, "width": 16, "head_width": 8, "patch_size": 8, "mlp_ratio": 2.5,
                            "pool_type": "avg", "final_ln_after_pool": True, "no_ln_pre": True, "pos_embed_type": "sin_cos_2d",
                            "act_kwargs": {"approximate": "tanh"}, "norm_kwargs": {"eps": 1e-3}},
             "text_cfg": {"context_length": 8, "vocab_size": 40, "width": 12, "heads": 3, "layers": 1, "mlp_ratio": 2.0, "pool_type": "eos",
                          "eos_id": 39, "act_kwargs": {"approximate": "tanh"}}}, siglip=True)
