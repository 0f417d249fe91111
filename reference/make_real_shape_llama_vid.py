"""Write a LLaMA-VID-7B checkpoint for long video with random weights in the published layout: f16, two files of torch.save.

All tensors of the published names and shapes (7,941,388,160 parameters, 15.9 GB), the index, the JSON files, and stand-ins
for the two tokenizers. Tensors are windows of one block of random numbers that is mapped from a file, so that memory stays
small and the disk is the limit.

  python reference/make_real_shape_llama_vid.py OUT
"""

import argparse
import hashlib
import json
import os
import sys

import numpy as np
import torch

HERE = os.path.dirname(os.path.abspath(__file__))
# What `save_pretrained` fills a file up to.
SHARD_BYTES = 10 * 10**9
PARAMETERS = 7_941_388_160
HIDDEN, LAYERS, INNER, WORDS = 4096, 32, 11008, 32000
E, BLOCKS, MLP = 1408, 39, 6144
D, BERT_LAYERS, BERT_INNER, BERT_WORDS = 768, 12, 3072, 30523


def config():
    return {
        "architectures": ["LlavaLlamaAttForCausalLM"], "bert_type": "qformer_pretrain_freeze", "bos_token_id": 1, "compress_type": "mean_concat",
        "cross_att_freq": 2, "eos_token_id": 2, "fusion_type": "attention_concat_all_query", "hidden_act": "silu", "hidden_size": HIDDEN,
        "image_aspect_ratio": "pad", "image_processor": "./llamavid/processor/clip-patch14-224", "intermediate_size": INNER,
        "max_position_embeddings": 4096, "max_token": 65536, "mm_hidden_size": E, "mm_projector_type": "mlp2x_gelu", "mm_use_im_patch_token": False,
        "mm_use_im_start_end": False, "mm_vision_select_feature": "patch", "mm_vision_select_layer": -2, "model_type": "llava",
        "num_attention_heads": 32, "num_hidden_layers": LAYERS, "num_key_value_heads": 32, "num_qformer": 32, "pad_token_id": 0,
        "rms_norm_eps": 1e-5, "rope_scaling": {"factor": 16.0, "type": "linear"}, "tie_word_embeddings": False, "torch_dtype": "float16",
        "transformers_version": "4.31.0", "use_cache": True, "vocab_size": WORDS,
    }  # fmt: skip


def linear(name, output, width):
    yield f"{name}.weight", (output, width)
    yield f"{name}.bias", (output,)


def norm(name, width):
    yield f"{name}.weight", (width,)
    yield f"{name}.bias", (width,)


def tensors():
    """(name, shape) in the order of the model's state."""
    yield "model.vlm_att_query", (1, 32, D)
    yield "model.embed_tokens.weight", (WORDS, HIDDEN)
    for n in range(LAYERS):
        layer = f"model.layers.{n}"
        for part in "qkvo":
            yield f"{layer}.self_attn.{part}_proj.weight", (HIDDEN, HIDDEN)
        yield f"{layer}.self_attn.rotary_emb.inv_freq", (64,)
        yield f"{layer}.mlp.gate_proj.weight", (INNER, HIDDEN)
        yield f"{layer}.mlp.up_proj.weight", (INNER, HIDDEN)
        yield f"{layer}.mlp.down_proj.weight", (HIDDEN, INNER)
        yield f"{layer}.input_layernorm.weight", (HIDDEN,)
        yield f"{layer}.post_attention_layernorm.weight", (HIDDEN,)
    yield "model.norm.weight", (HIDDEN,)
    tower = "model.vision_tower.vision_tower"
    yield f"{tower}.cls_token", (1, 1, E)
    yield f"{tower}.pos_embed", (1, 257, E)
    yield f"{tower}.patch_embed.proj.weight", (E, 3, 14, 14)
    yield f"{tower}.patch_embed.proj.bias", (E,)
    for n in range(BLOCKS):
        block = f"{tower}.blocks.{n}"
        yield from norm(f"{block}.norm1", E)
        yield f"{block}.attn.q_bias", (E,)
        yield f"{block}.attn.v_bias", (E,)
        yield f"{block}.attn.qkv.weight", (3 * E, E)
        yield from linear(f"{block}.attn.proj", E, E)
        yield from norm(f"{block}.norm2", E)
        yield from linear(f"{block}.mlp.fc1", MLP, E)
        yield from linear(f"{block}.mlp.fc2", E, MLP)
    yield from linear("model.mm_projector.0", HIDDEN, E)
    yield from linear("model.mm_projector.2", HIDDEN, HIDDEN)
    yield from bert("model.vlm_att_encoder.bert")
    yield from linear("model.vlm_att_projector", E, D)
    yield from linear("model.vlm_att_key_projector", E, E)
    yield from linear("model.vlm_att_val_projector", HIDDEN, E)
    yield from norm("model.vlm_att_ln", E)
    yield "lm_head.weight", (WORDS, HIDDEN)


def bert(name):
    yield f"{name}.embeddings.position_ids", (1, 512)
    yield f"{name}.embeddings.word_embeddings.weight", (BERT_WORDS, D)
    yield f"{name}.embeddings.position_embeddings.weight", (512, D)
    yield from norm(f"{name}.embeddings.LayerNorm", D)
    for n in range(BERT_LAYERS):
        layer = f"{name}.encoder.layer.{n}"
        for kind, width in (("attention", D), ("crossattention", E)):
            if kind == "crossattention" and n % 2:
                continue
            yield from linear(f"{layer}.{kind}.self.query", D, D)
            yield from linear(f"{layer}.{kind}.self.key", D, width)
            yield from linear(f"{layer}.{kind}.self.value", D, width)
            yield from linear(f"{layer}.{kind}.output.dense", D, D)
            yield from norm(f"{layer}.{kind}.output.LayerNorm", D)
        for kind in ("", "_query"):
            yield from linear(f"{layer}.intermediate{kind}.dense", BERT_INNER, D)
            yield from linear(f"{layer}.output{kind}.dense", D, BERT_INNER)
            yield from norm(f"{layer}.output{kind}.LayerNorm", D)


def is_buffer(name):
    return name.endswith(("position_ids", "inv_freq"))


class Values:
    """Values of each tensor: windows of a mapped block of random numbers; norms are near 1."""

    def __init__(self, path, seed):
        self.path, self.spare = path, 1 << 22
        self.size = WORDS * HIDDEN + self.spare
        rng = np.random.default_rng(seed)
        with open(path, "wb") as file:
            for first in range(0, self.size, 1 << 22):
                count = min(1 << 22, self.size - first)
                file.write((rng.standard_normal(count, dtype=np.float32) * 0.02).astype(np.float16).tobytes())

    def of(self, name, shape):
        if name.endswith("position_ids"):
            return torch.arange(shape[1]).reshape(shape)
        if name.endswith("inv_freq"):
            return (1.0 / 10000 ** (torch.arange(0, 128, 2) / 128)).half()
        digest = int.from_bytes(hashlib.sha256(name.encode()).digest()[:8], "little")
        count = int(np.prod(shape))
        window = np.memmap(self.path, np.float16, "c", offset=2 * (digest % self.spare), shape=(count,))
        if len(shape) == 1 and "norm" in name.lower() and name.endswith("weight") or name == "model.vlm_att_ln.weight":
            return torch.from_numpy((1 + 5 * window.astype(np.float32)).astype(np.float16))
        return torch.from_numpy(window).reshape(shape)


def llama_tokenizer(path):
    """The toy's Llama tokenizer, filled up to the published number of tokens."""
    sys.path.insert(0, HERE)
    from tokenizers import Tokenizer

    toy = os.path.join(HERE, "..", "crates", "models", "tests", "golden", "llama_vid", "toy", "tokenizer.json")
    content = json.load(open(toy))
    vocab = content["model"]["vocab"]
    for number in range(WORDS - len(vocab)):
        vocab[f"▁filler{number}"] = len(vocab)
    with open(path, "w") as file:
        json.dump(content, file, ensure_ascii=False)
    assert Tokenizer.from_file(path).get_vocab_size() == WORDS


def bert_vocabulary():
    """30,522 lines with the special tokens where BERT's are."""
    lines = ["[PAD]", *(f"[unused{n}]" for n in range(99)), "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
    letters = [chr(c) for c in range(ord("a"), ord("z") + 1)] + list("0123456789")
    lines += [*"!?.,;:'\"-()", *letters, *("##" + letter for letter in letters)]
    return lines + [f"filler{n}" for n in range(BERT_WORDS - 1 - len(lines))]


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("out")
    parser.add_argument("--seed", type=int, default=1)
    args = parser.parse_args()
    os.makedirs(os.path.join(args.out, "bert-base-uncased"), exist_ok=True)
    entries = list(tensors())
    counted = sum(int(np.prod(shape)) for name, shape in entries if not is_buffer(name))
    assert counted == PARAMETERS, counted

    files = {
        "config.json": config(),
        "generation_config.json": {"bos_token_id": 1, "eos_token_id": 2, "max_length": 4096, "pad_token_id": 0, "temperature": 0.9, "top_p": 0.6},
        "tokenizer_config.json": {"tokenizer_class": "LlamaTokenizer", "bos_token": "<s>", "eos_token": "</s>", "unk_token": "<unk>"},
    }  # fmt: skip
    for name, value in files.items():
        with open(os.path.join(args.out, name), "w") as file:
            json.dump(value, file, indent=2)
    llama_tokenizer(os.path.join(args.out, "tokenizer.json"))
    with open(os.path.join(args.out, "bert-base-uncased", "vocab.txt"), "w") as file:
        file.write("".join(line + "\n" for line in bert_vocabulary()))

    shards, filled = [[]], 0
    for name, shape in entries:
        size = 2 * int(np.prod(shape))
        if filled + size > SHARD_BYTES:
            shards.append([])
            filled = 0
        shards[-1].append((name, shape))
        filled += size
    block = os.path.join(args.out, "random.block")
    values, weight_map = Values(block, args.seed), {}
    for number, shard in enumerate(shards, 1):
        file = f"pytorch_model-{number:05d}-of-{len(shards):05d}.bin"
        torch.save({name: values.of(name, shape) for name, shape in shard}, os.path.join(args.out, file))
        weight_map |= {name: file for name, _ in shard}
        print(file, len(shard), "tensors", flush=True)
    os.remove(block)
    with open(os.path.join(args.out, "pytorch_model.bin.index.json"), "w") as file:
        json.dump({"metadata": {"total_size": 2 * PARAMETERS}, "weight_map": dict(sorted(weight_map.items()))}, file, indent=2)


if __name__ == "__main__":
    main()
