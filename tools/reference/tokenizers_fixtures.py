"""Writes packages/tokenizers/fixtures: small tokenizers of every family, and hashes of what the reference libraries make of
20,000 strings with each (see tokenizers_strings.py).

    python tools/reference/tokenizers_fixtures.py [--dump FOLDER] [family ...]

Vocabularies are trained here, on the strings and on the text of installed packages; CLIP's comes with open_clip_torch (MIT licence). --dump writes the
full results as JSON lines, to find the first difference.
"""

import gzip
import hashlib
import html
import io
import json
import sys
import unicodedata
from pathlib import Path

import ftfy
import open_clip
import sentencepiece
import transformers
from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, processors, trainers

from tokenizers_strings import FIXTURES, strings

COUNT, BLOCK, SEED = 20_000, 200, 20231117
ZOO_COUNT = 3_000


def corpus():
    """Text of installed packages, and strings of the generator with another seed."""
    root = Path(transformers.__file__).parent
    lines = []
    for folder in ["models/clip", "models/bert", "models/siglip"]:
        for path in sorted((root / folder).glob("*.py")):
            lines += path.read_text("utf-8").splitlines()
    return [line for line in lines if line.strip()][:9000] + strings(1, 6000)


TEXT = corpus()


def bert_template(tokenizer):
    cls, sep = tokenizer.token_to_id("[CLS]"), tokenizer.token_to_id("[SEP]")
    return processors.TemplateProcessing(
        single="[CLS] $A [SEP]", pair="[CLS] $A [SEP] $B:1 [SEP]:1", special_tokens=[("[CLS]", cls), ("[SEP]", sep)]
    )


def bert(lowercase):
    t = Tokenizer(models.WordPiece(unk_token="[UNK]"))
    t.normalizer = normalizers.BertNormalizer(lowercase=lowercase)
    t.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    special = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
    t.train_from_iterator(TEXT, trainers.WordPieceTrainer(vocab_size=2500, special_tokens=special, show_progress=False, limit_alphabet=900))
    t.post_processor = bert_template(t)
    t.decoder = decoders.WordPiece()
    return t


def clip_merges():
    path = Path(open_clip.__file__).parent / "bpe_simple_vocab_16e6.txt.gz"
    lines = gzip.decompress(path.read_bytes()).decode("utf-8").split("\n")
    return lines[: 49152 - 256 - 2 + 1]


def clip():
    merges = [tuple(m.split()) for m in clip_merges()[1:]]
    chars = list(open_clip.tokenizer.bytes_to_unicode().values())
    names = chars + [c + "</w>" for c in chars] + ["".join(m) for m in merges] + ["<|startoftext|>", "<|endoftext|>"]
    vocab = {name: i for i, name in enumerate(names)}
    t = Tokenizer(models.BPE(vocab, merges, end_of_word_suffix="</w>", unk_token="<|endoftext|>"))
    t.normalizer = normalizers.Sequence([normalizers.NFC(), normalizers.Replace(Regex(r"\s+"), " "), normalizers.Lowercase()])
    pattern = Regex(r"'s|'t|'re|'ve|'m|'ll|'d|[\p{L}]+|[\p{N}]|[^\s\p{L}\p{N}]+")
    t.pre_tokenizer = pre_tokenizers.Sequence(
        [pre_tokenizers.Split(pattern, "removed", invert=True), pre_tokenizers.ByteLevel(add_prefix_space=False)]
    )
    t.post_processor = processors.RobertaProcessing(
        ("<|endoftext|>", vocab["<|endoftext|>"]), ("<|startoftext|>", vocab["<|startoftext|>"]), trim_offsets=False, add_prefix_space=False
    )
    t.decoder = decoders.ByteLevel()
    t.add_special_tokens([AddedToken("<|startoftext|>", normalized=False, special=True), AddedToken("<|endoftext|>", normalized=False, special=True)])
    return t


def byte_level(size, special, prefix_space=False):
    t = Tokenizer(models.BPE())
    t.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=prefix_space)
    t.train_from_iterator(
        TEXT,
        trainers.BpeTrainer(
            vocab_size=size, special_tokens=special, initial_alphabet=pre_tokenizers.ByteLevel.alphabet(), show_progress=False
        ),
    )
    t.decoder = decoders.ByteLevel()
    return t


def gpt2():
    t = byte_level(3000, ["<|endoftext|>"])
    t.post_processor = processors.ByteLevel(trim_offsets=True)
    return t


def roberta():
    t = byte_level(2000, ["<s>", "<pad>", "</s>", "<unk>"], prefix_space=True)
    t.add_special_tokens([AddedToken("<mask>", lstrip=True, normalized=False, special=True)])
    t.add_tokens([AddedToken("single", single_word=True), AddedToken("rstrip", rstrip=True), AddedToken("lstrip", lstrip=True, normalized=False)])
    t.post_processor = processors.RobertaProcessing(("</s>", 2), ("<s>", 0), trim_offsets=True, add_prefix_space=True)
    return t


def opt():
    t = byte_level(1500, ["<s>", "<pad>", "</s>", "<unk>"])
    t.post_processor = processors.Sequence(
        [processors.ByteLevel(trim_offsets=False), processors.TemplateProcessing(single="</s> $A", pair="</s> $A </s> $B:1", special_tokens=[("</s>", 2)])]
    )
    return t


def qwen():
    t = byte_level(2000, [])
    model = json.loads(t.to_str())["model"]
    merges = [tuple(m) for m in model["merges"]]
    t = Tokenizer(models.BPE(model["vocab"], merges, ignore_merges=True))
    t.normalizer = normalizers.NFC()
    pattern = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
    t.pre_tokenizer = pre_tokenizers.Sequence(
        [pre_tokenizers.Split(Regex(pattern), "isolated"), pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)]
    )
    t.decoder = decoders.ByteLevel()
    t.post_processor = processors.ByteLevel(trim_offsets=False)
    t.add_special_tokens([AddedToken("<|endoftext|>", normalized=False, special=True), AddedToken("<|image|>", normalized=False, special=True)])
    return t


def llama3():
    t = qwen()
    pattern = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
    t.normalizer = None
    t.pre_tokenizer = pre_tokenizers.Sequence(
        [pre_tokenizers.Split(Regex(pattern), "isolated"), pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)]
    )
    return t


def llama(legacy):
    t = Tokenizer(models.BPE())
    t.pre_tokenizer = pre_tokenizers.Metaspace()
    t.train_from_iterator(TEXT, trainers.BpeTrainer(vocab_size=2000, show_progress=False, limit_alphabet=500))
    model = json.loads(t.to_str())["model"]
    names = ["<unk>", "<s>", "</s>"] + [f"<0x{b:02X}>" for b in range(256)]
    names += [n for n, _ in sorted(model["vocab"].items(), key=lambda kv: kv[1]) if n not in names]
    merges = [tuple(m) for m in model["merges"]]
    t = Tokenizer(models.BPE({n: i for i, n in enumerate(names)}, merges, unk_token="<unk>", fuse_unk=True, byte_fallback=True))
    steps = [decoders.Replace("▁", " "), decoders.ByteFallback(), decoders.Fuse(), decoders.Strip(" ", 1, 0)]
    t.decoder = decoders.Sequence(steps)
    if legacy:
        t.normalizer = normalizers.Sequence([normalizers.Prepend("▁"), normalizers.Replace(" ", "▁")])
    else:
        t.pre_tokenizer = pre_tokenizers.Metaspace(prepend_scheme="first", split=False)
    t.add_special_tokens([AddedToken(s, normalized=False, special=True) for s in ["<unk>", "<s>", "</s>"]])
    t.post_processor = processors.TemplateProcessing(single="<s> $A", pair="<s> $A <s>:1 $B:1", special_tokens=[("<s>", 1)])
    return t


_sp = {}


def sp_model(kind):
    """Bytes of a SentencePiece model."""
    if kind not in _sp:
        out = io.BytesIO()
        options = {
            "unigram": dict(model_type="unigram", vocab_size=2000),
            "bpe": dict(
                model_type="bpe", vocab_size=2000, byte_fallback=True, user_defined_symbols=["<added>", "single"],
                normalization_rule_name="identity", remove_extra_whitespaces=False,
            ),
        }[kind]
        sentencepiece.SentencePieceTrainer.train(
            sentence_iterator=iter([line.replace("\0", "") for line in TEXT]), model_writer=out, character_coverage=0.98, pad_id=3,
            minloglevel=2, num_threads=1, **options,
        )
        _sp[kind] = out.getvalue()
    return _sp[kind]


def unigram_vocab():
    sp = sentencepiece.SentencePieceProcessor(model_proto=sp_model("unigram"))
    return [(sp.id_to_piece(i), sp.get_score(i)) for i in range(sp.get_piece_size())]


def charsmap():
    from sentencepiece import sentencepiece_model_pb2 as pb

    proto = pb.ModelProto()
    proto.ParseFromString(sp_model("unigram"))
    return proto.normalizer_spec.precompiled_charsmap


def t5():
    t = Tokenizer(models.Unigram(unigram_vocab(), unk_id=0, byte_fallback=False))
    t.normalizer = normalizers.Precompiled(charsmap())
    t.pre_tokenizer = pre_tokenizers.Sequence([pre_tokenizers.WhitespaceSplit(), pre_tokenizers.Metaspace()])
    t.decoder = decoders.Metaspace()
    t.post_processor = processors.TemplateProcessing(single="$A </s>", pair="$A </s> $B </s>", special_tokens=[("</s>", 2)])
    t.add_special_tokens([AddedToken(s, normalized=False, special=True) for s in ["<unk>", "<s>", "</s>", "<pad>", "<extra_id_0>"]])
    return t


def siglip():
    t = t5()
    t.normalizer = normalizers.Sequence(
        [
            normalizers.Lowercase(),
            normalizers.Replace(Regex(r"[!\"\#\$%\&'\(\)\*\+,\-\.:;=\?@\[\\\]\^_`\{\|\}\~]"), ""),
            normalizers.Replace(Regex(r"\s+"), " "),
            normalizers.Strip(),
            normalizers.Precompiled(charsmap()),
            normalizers.Replace(Regex(r" {2,}"), "▁"),
        ]
    )
    t.pre_tokenizer = pre_tokenizers.Metaspace()
    return t


def gemma():
    t = llama(True)
    t.normalizer = normalizers.Sequence([normalizers.Lowercase(), normalizers.Replace(" ", "▁")])
    t.pre_tokenizer = pre_tokenizers.Split(" ", "merged_with_previous")
    t.decoder = decoders.Sequence([decoders.Replace("▁", " "), decoders.ByteFallback(), decoders.Fuse()])
    return t


def word_level():
    t = Tokenizer(models.WordLevel(unk_token="<unk>"))
    t.normalizer = normalizers.Sequence([normalizers.NFKC(), normalizers.Lowercase(), normalizers.NFD(), normalizers.StripAccents()])
    t.pre_tokenizer = pre_tokenizers.Whitespace()
    t.train_from_iterator(TEXT, trainers.WordLevelTrainer(vocab_size=3000, special_tokens=["<unk>", "<pad>"], show_progress=False))
    t.add_tokens([AddedToken("<AdDeD>", normalized=True), AddedToken("single", single_word=True)])
    return t


FAMILIES = {
    "bert": lambda: bert(True),
    "bert-cased": lambda: bert(False),
    "clip": clip,
    "gpt2": gpt2,
    "roberta": roberta,
    "opt": opt,
    "qwen": qwen,
    "llama3": llama3,
    "llama-legacy": lambda: llama(True),
    "llama": lambda: llama(False),
    "gemma": gemma,
    "t5": t5,
    "siglip": siglip,
    "word-level": word_level,
}

# Trained and saved by this project: packages/tokenizers/test/write-trained.mts.
for _name in ["trained-clip", "trained-bytes"]:
    FAMILIES[_name] = lambda name=_name: Tokenizer.from_str(gzip.decompress((FIXTURES / f"{name}.json.gz").read_bytes()).decode())


def open_clip_ids(texts):
    """Ids of open_clip's own tokenizer, and the strings that it changes first: mojibake and HTML entities are repaired, a final sigma is
    lower-cased as such, and U+0345 counts as a letter."""
    tokenizer = open_clip.tokenizer.SimpleTokenizer()
    rows, skip = [], []
    for i, text in enumerate(texts):
        plain = ftfy.fix_text(text) == unicodedata.normalize("NFC", text) and html.unescape(html.unescape(text)) == text
        if plain and "\u03a3" not in text and "\u0345" not in text:
            rows.append(",".join(map(str, tokenizer.encode(text))))
        else:
            rows.append("")
            skip.append(i)
    return {"ids": [digest(rows[i : i + BLOCK]) for i in range(0, len(rows), BLOCK)], "skip": skip}


def zoo():
    """One component each around a vocabulary of one unknown token: the offsets show every split and alignment."""
    P, N = pre_tokenizers, normalizers
    parts = {
        "digits": (None, P.Digits(False)),
        "digits-single": (None, P.Digits(True)),
        "punctuation": (None, P.Punctuation()),
        "delimiter": (None, P.CharDelimiterSplit("e")),
        "fixed": (None, P.FixedLength(3)),
        "whitespace": (None, P.Whitespace()),
        "metaspace-never": (None, P.Metaspace(prepend_scheme="never")),
        "byte-level-inside": (None, P.Sequence([P.ByteLevel(), P.Digits(True)])),
        "possessive": (None, P.Split(Regex(r"(?>\w+)\s?+|[^\w\s]++"), "isolated")),
        "scripts-regex": (None, P.Split(Regex(r"\p{Han}+|[[:upper:]]+|\b\d{2,}|(?<=a)[b-t]|^\S|\h$"), "isolated")),
        "ignore-case": (None, P.Split(Regex(r"(?i)the|photo|[c-d]og|\x{41}"), "isolated")),
        "nmt": (N.Nmt(), None),
        "nfc": (N.NFC(), None),
        "nfd": (N.NFD(), None),
        "nfkc": (N.NFKC(), None),
        "nfkd": (N.NFKD(), None),
        "strip": (N.Strip(), None),
        "lowercase": (N.Lowercase(), None),
        "byte-level": (N.ByteLevel(), None),
    }
    for behavior in ["removed", "isolated", "merged_with_previous", "merged_with_next", "contiguous"]:
        for invert in [False, True]:
            parts[f"split-{behavior}-{invert}"] = (None, P.Split(Regex(r"[aeiou ]|\d+"), behavior, invert))
    for name, (normalizer, pre) in parts.items():
        t = Tokenizer(models.WordLevel({"<unk>": 0}, unk_token="<unk>"))
        if normalizer is not None:
            t.normalizer = normalizer
        # Splits of one character show what a normaliser has done with each.
        t.pre_tokenizer = pre or P.Split(Regex(r"[\s\S]"), "isolated")
        yield name, t


def digest(parts):
    return hashlib.sha256("\n".join(parts).encode("utf-8")).hexdigest()[:12]


def clip_decode(text):
    return text.replace("</w>", " ").strip()


def blocks(rows):
    return [[digest([row[k] for row in rows[i : i + BLOCK]]) for k in range(3)] for i in range(0, len(rows), BLOCK)]


def run(t, texts, decode=lambda text: text):
    rows = []
    for text in texts:
        e = t.encode(text)
        rows.append(
            (
                ",".join(map(str, e.ids)),
                ",".join(f"{a}:{b}" for a, b in e.offsets),
                decode(t.decode(e.ids)),
            )
        )
    return rows


def run_sp(sp, texts):
    rows = []
    for text in texts:
        proto = sp.encode(text, return_type="proto")
        ids = [p.id for p in proto.pieces]
        index, at = {}, 0
        for k, c in enumerate(text):
            index[at] = k
            at += len(c.encode("utf-8"))
        index[at] = len(text)
        offsets = ",".join(f"{index[p.begin]}:{index[p.end]}" for p in proto.pieces)
        rows.append((",".join(map(str, ids)), offsets, sp.decode(ids)))
    return rows


def write(name, data):
    (FIXTURES / f"{name}.gz").write_bytes(gzip.compress(data, 9, mtime=0))


def main():
    args = sys.argv[1:]
    dump = Path(args[args.index("--dump") + 1]) if "--dump" in args else None
    wanted = [a for a in args if not a.startswith("--") and Path(a) != dump]
    texts = strings(SEED, COUNT)
    results = FIXTURES / "hashes.json"
    hashes = json.loads(results.read_text()) if results.exists() else {}

    def record(name, rows, count):
        hashes[name] = {"count": count, "blocks": blocks(rows)}
        if dump:
            dump.mkdir(exist_ok=True)
            (dump / f"{name}.jsonl").write_text("".join(json.dumps(r) + "\n" for r in rows))

    for name, make in FAMILIES.items():
        if wanted and name not in wanted:
            continue
        t = make()
        if name == "clip":
            write("bpe_simple_vocab_16e6.txt", "\n".join(clip_merges()).encode("utf-8"))
        elif name == "siglip":
            # The character map is large and stored once, in t5.
            shell = json.loads(t.to_str())
            write("siglip.json", json.dumps({k: v for k, v in strip_charsmap(shell).items() if k != "model"}).encode())
        elif not name.startswith("trained"):
            write(f"{name}.json", t.to_str().encode("utf-8"))
        record(name, run(t, texts, clip_decode if name.endswith("clip") else lambda text: text), COUNT)
        t.encode_special_tokens = True
        record(f"{name}+text", run(t, texts[:4000], clip_decode if name.endswith("clip") else lambda text: text), 4000)
        print(name, t.get_vocab_size(), flush=True)
    for kind in ["unigram", "bpe"]:
        name = f"sp-{kind}"
        if wanted and name not in wanted:
            continue
        write(f"{name}.model", sp_model(kind))
        record(name, run_sp(sentencepiece.SentencePieceProcessor(model_proto=sp_model(kind)), texts), COUNT)
        print(name, flush=True)
    if not wanted or "open-clip" in wanted:
        write("open-clip.json", json.dumps(open_clip_ids(texts)).encode())
    if not wanted or "zoo" in wanted:
        configs = {}
        for name, t in zoo():
            configs[name] = json.loads(t.to_str())
            record(f"zoo-{name}", run(t, texts[:ZOO_COUNT]), ZOO_COUNT)
        write("zoo.json", json.dumps(configs).encode())
        print("zoo", len(configs), flush=True)
    hashes = {name: hashes[name] for name in sorted(hashes)}
    results.write_text(json.dumps(hashes, separators=(",", ":")))


def strip_charsmap(node):
    if isinstance(node, dict):
        return {k: ("@t5" if k == "precompiled_charsmap" else strip_charsmap(v)) for k, v in node.items()}
    return [strip_charsmap(v) for v in node] if isinstance(node, list) else node


main()
