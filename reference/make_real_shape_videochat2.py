"""Write a VideoChat2-Mistral-7B shaped checkpoint with random weights in the published layouts.

    python reference/make_real_shape_videochat2.py OUT [--tiny]

  OUT/apart    the files of stage 3 over Mistral-7B-Instruct-v0.2, all in one folder: `videochat2_mistral_7b_stage3.pth`
               (f16: encoder, Q-Former, projector, low-rank parts), the language model's config.json and bf16 shards
  OUT/stage, OUT/base
               the same in two folders (hard links), for `--base`
  OUT/merged   one folder in the layout of the release on the hub: config.json of the family, bf16 shards, the low-rank
               parts added to their matrices

Matrices of the language model are whole multiples of 1/1024 and so small that their sums with the low-rank parts are
exact in bf16: both checkpoints are the same model to the bit. Streams tensor by tensor; a tensor depends on its name
alone. About 17 GB for `apart` and 16 GB for `merged`; `--tiny` writes a few MB for a test of this program.
"""

import argparse
import hashlib
import json
import os
import struct

import numpy as np
import torch

import make_videochat2_toy as toy
import toy_tokenizer

PUBLISHED = {
    "language": dict(
        hidden_size=4096, num_hidden_layers=32, num_attention_heads=32, num_key_value_heads=8, intermediate_size=14336,
        vocab_size=32000, rms_norm_eps=1e-5, rope_theta=1e6, max_position_embeddings=32768,
    ),
    "vision": dict(encoder_embed_dim=1024, encoder_depth=24, encoder_num_heads=16, img_size=224, patch_size=16),
    "qformer": dict(hidden_size=768, num_hidden_layers=12, intermediate_size=3072, vocab_size=30523, max_position_embeddings=512),
    "rank": 16, "queries": (32, 64),
}  # fmt: skip
TINY = {
    "language": dict(
        hidden_size=64, num_hidden_layers=2, num_attention_heads=4, num_key_value_heads=2, intermediate_size=96,
        vocab_size=320, rms_norm_eps=1e-5, rope_theta=1e6, max_position_embeddings=1024,
    ),
    "vision": dict(encoder_embed_dim=32, encoder_depth=3, encoder_num_heads=4, img_size=32, patch_size=8),
    "qformer": dict(
        hidden_size=48, num_hidden_layers=3, num_attention_heads=4, intermediate_size=64, vocab_size=30523,
        max_position_embeddings=64,
    ),
    "rank": 16, "queries": (4, 6),
}  # fmt: skip
ADAPTED = ("q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj", "lm_head")
SHARD = 5 << 30


def rng(name):
    return np.random.default_rng(int.from_bytes(hashlib.sha256(name.encode()).digest()[:8], "little"))


def draw(name, shape, low, high):
    """Small integers: a random block repeated, whose length shares no factor with rows."""
    count, block = int(np.prod(shape)), 1_048_573
    values = rng(name).integers(low, high + 1, min(count, block), dtype=np.int16)
    return np.resize(values, count).reshape(shape)


def language_tensors(c):
    """(name, shape) of the language model under its own names."""
    h, i, v = c["hidden_size"], c["intermediate_size"], c["vocab_size"]
    kv = h // c["num_attention_heads"] * c["num_key_value_heads"]
    yield "model.embed_tokens.weight", (v, h)
    for n in range(c["num_hidden_layers"]):
        p = f"model.layers.{n}."
        for name, shape in (
            ("self_attn.q_proj", (h, h)), ("self_attn.k_proj", (kv, h)), ("self_attn.v_proj", (kv, h)),
            ("self_attn.o_proj", (h, h)), ("mlp.gate_proj", (i, h)), ("mlp.up_proj", (i, h)), ("mlp.down_proj", (h, i)),
        ):
            yield f"{p}{name}.weight", shape
        yield p + "input_layernorm.weight", (h,)
        yield p + "post_attention_layernorm.weight", (h,)
    yield "model.norm.weight", (h,)
    yield "lm_head.weight", (v, h)


def base_value(name, shape):
    if len(shape) == 1:
        return 1.0 + draw(name, shape, -32, 32).astype(np.float32) / 128
    if "embed" in name:
        return draw(name, shape, -64, 64).astype(np.float32) / 64
    return draw(name, shape, -40, 40).astype(np.float32) / 1024


def low_rank(name, shape, rank):
    """A and B of signs: alpha / rank * B A is a multiple of 1/1024 of at most 16 of them."""
    a = draw(name + ".lora_A", (rank, shape[1]), -1, 1).astype(np.float32) / 32
    b = draw(name + ".lora_B", (shape[0], rank), -1, 1).astype(np.float32) / 64
    return a, b


def stage_tensors(size):
    """(name, shape) of what a stage holds beside low-rank parts."""
    v, q = size["vision"], size["qformer"]
    d, patch = v["encoder_embed_dim"], v["patch_size"]
    e = "vision_encoder.encoder."
    yield e + "patch_embed.proj.weight", (d, 3, 1, patch, patch)
    yield e + "patch_embed.proj.bias", (d,)
    for n in range(v["encoder_depth"] - 1):
        p = f"{e}blocks.{n}."
        for norm in ("norm1", "norm2"):
            yield f"{p}{norm}.weight", (d,)
            yield f"{p}{norm}.bias", (d,)
        yield p + "attn.q_bias", (d,)
        yield p + "attn.v_bias", (d,)
        yield p + "attn.qkv.weight", (3 * d, d)
        for name, out, into in (("attn.proj", d, d), ("mlp.fc1", 4 * d, d), ("mlp.fc2", d, 4 * d)):
            yield f"{p}{name}.weight", (out, into)
            yield f"{p}{name}.bias", (out,)
    yield "vision_layernorm.weight", (d,)
    yield "vision_layernorm.bias", (d,)
    w, i = q["hidden_size"], q["intermediate_size"]
    yield "query_tokens", (1, size["queries"][0], w)
    yield "extra_query_tokens", (1, size["queries"][1], w)
    b = "qformer.bert."
    yield b + "embeddings.word_embeddings.weight", (q["vocab_size"], w)
    yield b + "embeddings.position_embeddings.weight", (q["max_position_embeddings"], w)
    yield b + "embeddings.LayerNorm.weight", (w,)
    yield b + "embeddings.LayerNorm.bias", (w,)
    for n in range(q["num_hidden_layers"]):
        p = f"{b}encoder.layer.{n}."
        for part, source in (("attention", w), ("crossattention", d)):
            if part == "crossattention" and n % 2:
                continue
            for name, out, into in (
                ("self.query", w, w), ("self.key", w, source), ("self.value", w, source), ("output.dense", w, w),
            ):
                yield f"{p}{part}.{name}.weight", (out, into)
                yield f"{p}{part}.{name}.bias", (out,)
            yield f"{p}{part}.output.LayerNorm.weight", (w,)
            yield f"{p}{part}.output.LayerNorm.bias", (w,)
        for suffix in ("", "_query"):
            for name, out, into in ((f"intermediate{suffix}.dense", i, w), (f"output{suffix}.dense", w, i)):
                yield f"{p}{name}.weight", (out, into)
                yield f"{p}{name}.bias", (out,)
            yield f"{p}output{suffix}.LayerNorm.weight", (w,)
            yield f"{p}output{suffix}.LayerNorm.bias", (w,)
    yield "mistral_proj.weight", (size["language"]["hidden_size"], w)
    yield "mistral_proj.bias", (size["language"]["hidden_size"],)


def stage_value(name, shape):
    """Spread of a trained model; exact in f16 and in bf16."""
    if len(shape) == 1:
        norm = "norm" in name.lower() and name.endswith("weight")
        return (1.0 if norm else 0.0) + draw(name, shape, -16, 16).astype(np.float32) / 128
    bound = 2.0 / np.sqrt(np.prod(shape[1:])) if "token" not in name and "embeddings" not in name else 0.5
    step = 2.0 ** np.floor(np.log2(bound / 100))
    return draw(name, shape, -100, 100).astype(np.float32) * np.float32(step)


def bf16(values):
    """Bytes of values that are exact in bf16."""
    bits = np.ascontiguousarray(values, dtype=np.float32).view(np.uint32)
    assert not (bits & 0xFFFF).any(), "a value is not exact in bf16"
    return (bits >> 16).astype(np.uint16).tobytes()


def write_shards(folder, tensors):
    """`tensors`: (name, shape, function that gives the values)."""
    shards, size = [[]], 0
    for name, shape, value in tensors:
        own = 2 * int(np.prod(shape))
        if size and size + own > SHARD:
            shards.append([])
            size = 0
        shards[-1].append((name, shape, value))
        size += own
    weight_map, total = {}, 0
    for number, shard in enumerate(shards):
        file = f"model-{number + 1:05}-of-{len(shards):05}.safetensors"
        header, at = {}, 0
        for name, shape, _ in shard:
            end = at + 2 * int(np.prod(shape))
            header[name] = {"dtype": "BF16", "shape": list(shape), "data_offsets": [at, end]}
            weight_map[name], at = file, end
        text = json.dumps(header).encode()
        text += b" " * (-len(text) % 8)
        with open(os.path.join(folder, file), "wb") as f:
            f.write(struct.pack("<Q", len(text)) + text)
            for name, shape, value in shard:
                f.write(bf16(value(name, shape)))
        total += at
    with open(os.path.join(folder, "model.safetensors.index.json"), "w") as f:
        json.dump({"metadata": {"total_size": total}, "weight_map": weight_map}, f)


def write_words(folder):
    vocab, merges = toy_tokenizer.vocab_and_merges()
    toy_tokenizer.qwen2_pipeline(vocab, merges, toy.SPECIALS).save(os.path.join(folder, "tokenizer.json"))
    with open(os.path.join(folder, "tokenizer_config.json"), "w") as f:
        json.dump({"bos_token": "<s>", "eos_token": "</s>", "add_bos_token": True}, f)


def write_bert(folder):
    os.makedirs(os.path.join(folder, "bert-base-uncased"))
    lines = toy.BERT_VOCAB + [f"[unused{n}]" for n in range(30522 - len(toy.BERT_VOCAB))]
    for name in ("bert-base-uncased/vocab.txt", "vocab.txt"):
        with open(os.path.join(folder, name), "w") as f:
            f.write("\n".join(lines) + "\n")


def link(source, folder, names):
    for name in names:
        to = os.path.join(folder, name)
        os.makedirs(os.path.dirname(to), exist_ok=True)
        os.link(os.path.join(source, name), to)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("out")
    parser.add_argument("--tiny", action="store_true")
    args = parser.parse_args()
    size = TINY if args.tiny else PUBLISHED
    rank, language = size["rank"], size["language"]
    apart, merged, stage_folder, base = (os.path.join(args.out, name) for name in ("apart", "merged", "stage", "base"))
    for folder in (apart, merged, stage_folder, base):
        os.makedirs(folder)
    # The stage: f16, as the authors train.
    stage = {name: torch.from_numpy(stage_value(name, shape)).half() for name, shape in stage_tensors(size)}
    for name, shape in language_tensors(language):
        module = name.removesuffix(".weight")
        if module.endswith(ADAPTED):
            a, b = low_rank(name, shape, rank)
            own = f"mistral_model.base_model.model.{module}"
            stage[f"{own}.lora_A.default.weight"] = torch.from_numpy(a).half()
            stage[f"{own}.lora_B.default.weight"] = torch.from_numpy(b).half()
    torch.save({"model": stage}, os.path.join(apart, "videochat2_mistral_7b_stage3.pth"))
    del stage
    write_shards(apart, ((name, shape, base_value) for name, shape in language_tensors(language)))
    config = {"architectures": ["MistralForCausalLM"], "model_type": "mistral", **language}
    with open(os.path.join(apart, "config.json"), "w") as f:
        json.dump(config, f, indent=1)

    def summed(name, shape):
        own = name.removeprefix("mistral_model.")
        value = base_value(own, shape)
        if own.removesuffix(".weight").endswith(ADAPTED):
            a, b = low_rank(own, shape, rank)
            value = value + np.float32(2.0) * (b @ a)
        return value

    tensors = [(name, shape, stage_value) for name, shape in stage_tensors(size)]
    tensors += [(f"mistral_model.{name}", shape, summed) for name, shape in language_tensors(language)]
    write_shards(merged, tensors)
    model = {
        "model_cls": "VideoChat2_it_mistral", "vision_encoder": {**size["vision"], "return_index": -2, "ckpt_num_frame": 4},
        "num_query_token": size["queries"][0], "extra_num_query_token": size["queries"][1], "qformer_text_input": True,
        "max_txt_len": 512, "lora_r": rank, "lora_alpha": 2 * rank,
    }  # fmt: skip
    if args.tiny:
        model["qformer"] = size["qformer"]
    with open(os.path.join(merged, "config.json"), "w") as f:
        json.dump({"model_type": "videochat2", "model_config": model, "llm_config": language}, f, indent=1)
    for folder in (apart, merged):
        write_words(folder)
        write_bert(folder)
    bert = ["bert-base-uncased/vocab.txt", "vocab.txt"]
    link(apart, stage_folder, ["videochat2_mistral_7b_stage3.pth", *bert])
    others = [name for name in os.listdir(apart) if not name.endswith((".pth", "vocab.txt", "uncased"))]
    link(apart, base, others)


if __name__ == "__main__":
    main()
