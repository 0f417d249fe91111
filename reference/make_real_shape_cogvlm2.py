"""Write a CogVLM2 checkpoint with random weights in the published layout: bf16, sharded, with all JSON files.

  python reference/make_real_shape_cogvlm2.py video OUT    12.5 B parameters, 25.0 GB, 6 shards (chat, base and caption have this shape)
  python reference/make_real_shape_cogvlm2.py image OUT    19.5 B parameters, 39.0 GB, 8 shards (cogvlm2-llama3-chat-19B)

Writes tensor by tensor from one random block of 64 Mi values, which is read from another place for every tensor: memory
stays below 1 GB, and the disk is the limit. Matrices have the spread that a trained model has, norms and biases are not
trivial. The tokenizer stands in for Llama-3's: all bytes, Llama-3's pattern, and its special tokens at their ids.
"""

import argparse
import hashlib
import json
import os
import struct

import torch
from tokenizers import AddedToken, Regex, Tokenizer, decoders, pre_tokenizers
from tokenizers.models import BPE

import toy_tokenizer

BLOCK = 64 << 20
VOCABULARY, FIRST_SPECIAL = 128256, 128000
HIDDEN, INTERMEDIATE, LAYERS, HEADS, KEY_HEADS = 4096, 14336, 32, 32, 8
VISION, VISION_MLP, BLOCKS = 1792, 15360, 63
LLAMA3_PATTERN = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
)
KINDS = {
    # side, positions, context, architecture, shards, parameters, tensors with the rotary tables
    "video": (224, 257, 2048, "CogVLMVideoForCausalLM", 6, 12_507_530_496, 1029),
    "image": (1344, 9217, 8192, "CogVLMForCausalLM", 8, 19_503_105_280, 1221),
}


def config(kind):
    side, positions, context, architecture, *_ = KINDS[kind]
    eos = 128001 if kind == "video" else [128001, 128009]
    value = {
        "architectures": [architecture], "bos_token_id": 128000, "eos_token_id": eos, "pad_token_id": 128002, "hidden_act": "silu",
        "hidden_size": HIDDEN, "initializer_range": 0.02, "intermediate_size": INTERMEDIATE, "max_position_embeddings": context,
        "num_attention_heads": HEADS, "num_hidden_layers": LAYERS, "rms_norm_eps": 1e-5, "template_version": "base" if kind == "video" else "chat",
        "use_cache": True, "vocab_size": VOCABULARY,
        "vision_config": {
            "dropout_prob": 0.0, "hidden_act": "gelu", "hidden_size": VISION, "image_size": side, "in_channels": 3, "intermediate_size": VISION_MLP,
            "layer_norm_eps": 1e-6, "num_heads": 16, "num_hidden_layers": BLOCKS, "num_positions": positions, "patch_size": 14,
        },
    }  # fmt: skip
    if kind == "video":
        value.update(num_multi_query_heads=KEY_HEADS, tie_word_embeddings=False, torch_dtype="bfloat16", transformers_version="4.43.1")
    return value


def tensors(kind):
    """(name, shape) of the published layout."""
    qkv = HIDDEN + 2 * KEY_HEADS * HIDDEN // HEADS
    yield "model.embed_tokens.weight", (VOCABULARY, HIDDEN)
    for n in range(LAYERS):
        p = f"model.layers.{n}."
        yield p + "input_layernorm.weight", (HIDDEN,)
        yield p + "post_attention_layernorm.weight", (HIDDEN,)
        yield p + "self_attn.rotary_emb.inv_freq", (HIDDEN // HEADS // 2,)
        for expert in ("language", "vision") if kind == "image" else ("language",):
            yield p + f"self_attn.{expert}_expert_query_key_value.weight", (qkv, HIDDEN)
            if expert == "vision":
                yield p + "self_attn.vision_expert_query_key_value.bias", (qkv,)
            yield p + f"self_attn.{expert}_expert_dense.weight", (HIDDEN, HIDDEN)
            for name, shape in (("gate", (INTERMEDIATE, HIDDEN)), ("up", (INTERMEDIATE, HIDDEN)), ("down", (HIDDEN, INTERMEDIATE))):
                yield p + f"mlp.{expert}_mlp.{name}_proj.weight", shape
    yield "model.norm.weight", (HIDDEN,)
    v = "model.vision."
    yield v + "boi", (1, 1, HIDDEN)
    yield v + "eoi", (1, 1, HIDDEN)
    yield v + "conv.weight", (VISION, VISION, 2, 2)
    yield v + "conv.bias", (VISION,)
    yield v + "linear_proj.linear_proj.weight", (HIDDEN, VISION)
    yield v + "linear_proj.norm1.weight", (HIDDEN,)
    yield v + "linear_proj.norm1.bias", (HIDDEN,)
    yield v + "linear_proj.gate_proj.weight", (INTERMEDIATE, HIDDEN)
    yield v + "linear_proj.dense_h_to_4h.weight", (INTERMEDIATE, HIDDEN)
    yield v + "linear_proj.dense_4h_to_h.weight", (HIDDEN, INTERMEDIATE)
    yield v + "patch_embedding.cls_embedding", (1, VISION)
    yield v + "patch_embedding.position_embedding.weight", (KINDS[kind][1], VISION)
    yield v + "patch_embedding.proj.weight", (VISION, 3, 14, 14)
    yield v + "patch_embedding.proj.bias", (VISION,)
    for n in range(BLOCKS):
        p = f"{v}transformer.layers.{n}."
        for norm in ("input_layernorm", "post_attention_layernorm"):
            yield p + norm + ".weight", (VISION,)
            yield p + norm + ".bias", (VISION,)
        for name, shape in (
            ("attention.query_key_value", (3 * VISION, VISION)),
            ("attention.dense", (VISION, VISION)),
            ("mlp.fc1", (VISION_MLP, VISION)),
            ("mlp.fc2", (VISION, VISION_MLP)),
        ):
            yield p + name + ".weight", shape
            yield p + name + ".bias", shape[:1]
    yield "lm_head.weight", (VOCABULARY, HIDDEN)


def size(shape):
    return torch.Size(shape).numel()


class Draw:
    """bf16 values from one block of normal values, at a place that the name decides."""

    def __init__(self, seed):
        g = torch.Generator().manual_seed(seed)
        block = torch.randn(BLOCK, generator=g)
        self.blocks = {spread: (block * spread).to(torch.bfloat16).view(torch.int16).numpy() for spread in (0.02, 0.03)}

    def write(self, f, name, shape):
        if name.endswith("inv_freq"):
            exponents = torch.arange(0, 2 * shape[0], 2) / (2 * shape[0])
            f.write((1.0 / 500000**exponents).to(torch.bfloat16).view(torch.int16).numpy().tobytes())
            return
        place = int.from_bytes(hashlib.sha256(name.encode()).digest()[:8], "little") % BLOCK
        block = self.blocks[0.03 if "embed" in name else 0.02]
        left = size(shape)
        if "norm" in name and name.endswith("weight"):
            values = torch.from_numpy(block[:left].copy()).view(torch.bfloat16).float()
            # The norms of an encoder block come after its branches: small factors keep 63 of them calm.
            base = 0.2 if "vision.transformer" in name else 1.0
            f.write((base * (1.0 + 5.0 * values)).to(torch.bfloat16).view(torch.int16).numpy().tobytes())
            return
        while left:
            part = block[place : place + left]
            f.write(memoryview(part).cast("B"))
            left, place = left - len(part), 0


def write_shard(path, entries, draw):
    """One safetensors file."""
    header, offset = {"__metadata__": {"format": "pt"}}, 0
    for name, shape in entries:
        end = offset + 2 * size(shape)
        header[name] = {"dtype": "BF16", "shape": list(shape), "data_offsets": [offset, end]}
        offset = end
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    with open(path, "wb") as f:
        f.write(struct.pack("<Q", len(text)) + text)
        for name, shape in entries:
            draw.write(f, name, shape)
    return offset


def tokenizer():
    """All bytes and a few merges, unused entries up to Llama-3's 128,000, then its special tokens."""
    vocab, merges = toy_tokenizer.vocab_and_merges()
    for id in range(len(vocab), FIRST_SPECIAL):
        vocab[f"<unused {id}>"] = id
    made = Tokenizer(BPE(vocab=vocab, merges=merges, byte_fallback=False, fuse_unk=False))
    split = pre_tokenizers.Split(Regex(LLAMA3_PATTERN), behavior="isolated", invert=False)
    made.pre_tokenizer = pre_tokenizers.Sequence([split, pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)])
    made.decoder = decoders.ByteLevel()
    named = {0: "begin_of_text", 1: "end_of_text", 6: "start_header_id", 7: "end_header_id", 9: "eot_id"}
    free = iter(range(256))
    names = [named.get(n) or f"reserved_special_token_{next(free)}" for n in range(VOCABULARY - FIRST_SPECIAL)]
    made.add_special_tokens([AddedToken(f"<|{name}|>", special=True, normalized=False) for name in names])
    assert made.token_to_id("<|reserved_special_token_0|>") == 128002 and made.token_to_id("<|eot_id|>") == 128009
    return made


def dump(value, path):
    with open(path, "w") as f:
        json.dump(value, f, indent=2)
        f.write("\n")


def shards_of(entries, count):
    """The entries in `count` parts of about one size."""
    total, shards, filled = sum(size(shape) for _, shape in entries), [[]], 0
    for entry in entries:
        if filled >= total / count and len(shards) < count:
            shards.append([])
            filled = 0
        shards[-1].append(entry)
        filled += size(entry[1])
    return shards


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("kind", choices=sorted(KINDS))
    parser.add_argument("out")
    parser.add_argument("--seed", type=int, default=1)
    args = parser.parse_args()
    *_, count, parameters, number = KINDS[args.kind]
    entries = list(tensors(args.kind))
    assert len(entries) == number, len(entries)
    values = sum(size(shape) for name, shape in entries if not name.endswith("inv_freq"))
    assert values == parameters, values
    os.makedirs(args.out, exist_ok=True)
    dump(config(args.kind), os.path.join(args.out, "config.json"))
    generation = {"bos_token_id": 128000, "do_sample": True, "eos_token_id": [128001, 128009], "pad_token_id": 128002, "temperature": 0.6, "top_p": 0.9}
    dump(generation, os.path.join(args.out, "generation_config.json"))
    tokenizer().save(os.path.join(args.out, "tokenizer.json"))
    tokens = {"bos_token": "<|begin_of_text|>", "eos_token": "<|end_of_text|>", "tokenizer_class": "PreTrainedTokenizerFast"}
    dump(tokens, os.path.join(args.out, "tokenizer_config.json"))
    draw, weight_map, total = Draw(args.seed), {}, 0
    shards = shards_of(entries, count)
    for k, shard in enumerate(shards, 1):
        name = f"model-{k:05d}-of-{len(shards):05d}.safetensors"
        total += write_shard(os.path.join(args.out, name), shard, draw)
        weight_map.update({tensor: name for tensor, _ in shard})
        print(name, len(shard), "tensors", flush=True)
    dump({"metadata": {"total_size": total}, "weight_map": dict(sorted(weight_map.items()))}, os.path.join(args.out, "model.safetensors.index.json"))


if __name__ == "__main__":
    main()
