"""Opens models that @vlm/clip saved with the libraries whose form they have, and compares what they compute.

    npx tsx --conditions=@vlm/source packages/clip/test/support/save-models.ts /tmp/saved
    python tools/reference/clip_saved.py /tmp/saved
"""
import json
import sys
from pathlib import Path

import open_clip
import torch
from safetensors.torch import load_file
from transformers import AutoImageProcessor, AutoModel, AutoTokenizer


def features(folder):
    if (folder / "config.json").exists():
        model, report = AutoModel.from_pretrained(folder, output_loading_info=True)
        assert not any(report[k] for k in ("missing_keys", "unexpected_keys", "mismatched_keys")), report
        AutoImageProcessor.from_pretrained(folder)
        if (folder / "tokenizer.json").exists():
            tokenizer = AutoTokenizer.from_pretrained(folder)
            print(folder.name, "tokens of 'a red car':", tokenizer("a red car")["input_ids"])
        of = lambda out: out if isinstance(out, torch.Tensor) else out.pooler_output
        return model.eval(), lambda x: of(model.get_image_features(pixel_values=x)), lambda t: of(model.get_text_features(input_ids=t))
    config = json.loads((folder / "open_clip_config.json").read_text())["model_cfg"]
    model = open_clip.CLIP(**config).eval()
    model.load_state_dict(load_file(folder / "open_clip_model.safetensors"))  # strict
    return model, model.encode_image, model.encode_text


for folder in sorted(Path(sys.argv[1]).iterdir()):
    ours = load_file(folder / "outputs.safetensors")
    model, image, text = features(folder)
    with torch.no_grad():
        for name, theirs in (("image", image(ours["pixels"])), ("text", text(ours["ids"].long()))):
            error = ((theirs - ours[name]).abs().max() / theirs.abs().max()).item()
            print(f"{folder.name} {name}: relative error {error:.1e}")
            assert error < 1e-5
