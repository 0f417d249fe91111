"""The language path of a family on real weights: a folder with the toy's encoder and the language model of a GGUF file, and transformers' greedy tokens.

TOY is the toy checkpoint of a family whose decoder has the GGUF file's form (LLaVA-OneVision: Qwen2; LLaMA-VID and CogVLM2-Video: Llama). OUT gets its encoder, a random
projector, the GGUF file's language weights in f32 and its vocabulary as vocab.json with merges.txt. With --program, `zoetrope dump` answers a question
without media in f32, and transformers, which reads the GGUF file by its own code, continues the same ids: the tokens are compared.
"""

import argparse
import json
import os
import subprocess

import gguf
import numpy as np
import torch
from safetensors.torch import load_file, save_file

from make_real_language import PARTS

QUESTION = "Write a short story about a lighthouse keeper and a storm. What does he see in the morning?"


def metadata(reader):
    """The file's metadata as Python values."""
    return {name: field.contents() for name, field in reader.fields.items()}


def unpermuted(values, heads):
    """Rows of q or k in the half-split rotary order, which llama.cpp stores interleaved."""
    rows, cols = values.shape
    return values.reshape(heads, rows // heads // 2, 2, cols).swapaxes(1, 2).reshape(rows, cols)


def language_weights(reader, facts, prefix, head):
    """State of the decoder under the family's names."""
    arch = facts["general.architecture"]
    heads = {"attn_q": facts[f"{arch}.attention.head_count"], "attn_k": facts[f"{arch}.attention.head_count_kv"]}
    state = {}
    for tensor in reader.tensors:
        values = gguf.dequantize(tensor.data, tensor.tensor_type).astype(np.float32)
        whole = {"token_embd.weight": prefix + "embed_tokens.weight", "output_norm.weight": prefix + "norm.weight", "output.weight": head}
        name = whole.get(tensor.name)
        if name is None:
            _, layer, part, kind = tensor.name.split(".")
            if arch == "llama" and part in heads:
                values = unpermuted(values, heads[part])
            name = f"{prefix}layers.{layer}.{PARTS[part]}.{kind}"
        state[name] = torch.from_numpy(np.ascontiguousarray(values))
    state.setdefault(head, state[prefix + "embed_tokens.weight"])
    return state


def as_experts(state, prefix):
    """The state under the names of CogVLM2: queries, keys and values are one matrix, and every matrix is the language's expert."""
    renamed, parts = {}, {}
    for name, value in state.items():
        layer, _, matrix = name.rpartition(".self_attn.")
        if matrix in ("q_proj.weight", "k_proj.weight", "v_proj.weight"):
            parts.setdefault(layer, {})[matrix[0]] = value
        else:
            renamed[name.replace("self_attn.o_proj", "self_attn.language_expert_dense").replace(".mlp.", ".mlp.language_mlp.")] = value
    for layer, own in parts.items():
        renamed[layer + ".self_attn.language_expert_query_key_value.weight"] = torch.cat([own[part] for part in "qkv"])
    return renamed


def sizes(facts):
    """Fields of a decoder's configuration."""
    arch = facts["general.architecture"]
    own = lambda key: facts[f"{arch}.{key}"]
    return {
        "hidden_size": own("embedding_length"), "num_hidden_layers": own("block_count"), "intermediate_size": own("feed_forward_length"),
        "num_attention_heads": own("attention.head_count"), "num_key_value_heads": own("attention.head_count_kv"),
        "rms_norm_eps": round(float(own("attention.layer_norm_rms_epsilon")), 9), "rope_theta": float(own("rope.freq_base")),
        "max_position_embeddings": own("context_length"), "vocab_size": len(facts["tokenizer.ggml.tokens"]), "rope_scaling": None,
        "tie_word_embeddings": False,
    }  # fmt: skip


def write_vocabulary(facts, out, toy):
    """vocab.json, merges.txt and the rules; the toy's added tokens take the place of padding. Returns the ids of these."""
    tokens, kinds = list(facts["tokenizer.ggml.tokens"]), facts["tokenizer.ggml.token_type"]
    with open(os.path.join(toy, "tokenizer_config.json"), encoding="utf-8") as file:
        rules = json.load(file)
    free = [id for id, token in enumerate(tokens) if token.startswith("[PAD") or kinds[id] == 5]
    for token in ["<image>", "<video>"]:
        if token not in tokens and free:
            tokens[free.pop(0)] = token
    special = [id for id, kind in enumerate(kinds) if kind in (3, 4)] + [tokens.index(t) for t in ("<image>", "<video>") if t in tokens]
    rules["added_tokens_decoder"] = {str(id): {"content": tokens[id], "special": True} for id in special}
    rules["tokenizer_class"] = "Qwen2Tokenizer" if facts["general.architecture"] == "qwen2" else "GPT2Tokenizer"
    write = lambda name, text: open(os.path.join(out, name), "w", encoding="utf-8").write(text)
    write("vocab.json", json.dumps({token: id for id, token in enumerate(tokens)}))
    write("merges.txt", "#version: 0.2\n" + "\n".join(facts["tokenizer.ggml.merges"]) + "\n")
    write("tokenizer_config.json", json.dumps(rules))
    return {token: tokens.index(token) for token in ("<image>", "<video>") if token in tokens}


def write_folder(reader, facts, toy, out):
    os.makedirs(out, exist_ok=True)
    for name in os.listdir(toy):
        if name.startswith("tokenizer") or name.endswith((".safetensors", ".bin")):
            continue
        source, target = os.path.join(toy, name), os.path.join(out, name)
        if os.path.isdir(source):
            subprocess.run(["cp", "-r", source, out], check=True)
        else:
            open(target, "wb").write(open(source, "rb").read())
    ids = write_vocabulary(facts, out, toy)
    config = json.load(open(os.path.join(toy, "config.json"), encoding="utf-8"))
    text = config.get("text_config", config)
    old, new = text["hidden_size"], facts[f"{facts['general.architecture']}.embedding_length"]
    for stale in ("rope_parameters", "layer_types", "head_dim"):
        text.pop(stale, None)
    old_inner = text["intermediate_size"]
    text.update(sizes(facts))
    if "num_multi_query_heads" in text:
        text["num_multi_query_heads"] = text.pop("num_key_value_heads")
    text["eos_token_id"] = facts["tokenizer.ggml.eos_token_id"]
    if "<image>" in ids:
        config.update({key: ids["<image>"] for key in ("image_token_index", "image_token_id") if key in config})
        config.update({key: ids["<video>"] for key in ("video_token_index", "video_token_id") if key in config})
    json.dump(config, open(os.path.join(out, "config.json"), "w", encoding="utf-8"), indent=1)
    toy_state = {}
    for name in sorted(os.listdir(toy)):
        path = os.path.join(toy, name)
        if name.endswith(".safetensors"):
            toy_state.update(load_file(path))
        elif name.endswith(".bin"):
            toy_state.update(torch.load(path, weights_only=True))
    prefix = next(name for name in toy_state if name.endswith("embed_tokens.weight") and "bert" not in name).removesuffix("embed_tokens.weight")
    head = next((name for name in toy_state if name.endswith("lm_head.weight")), "lm_head.weight")
    state = language_weights(reader, facts, prefix, head)
    if any("language_expert" in name for name in toy_state):
        state = as_experts(state, prefix)
    generator = torch.Generator().manual_seed(0)
    first_only = ("linear_1.weight", "mm_projector.0.weight", "vlm_att_val_projector.weight")
    for name, value in toy_state.items():
        if name.startswith((prefix + "layers.", prefix + "embed", prefix + "norm", head)):
            continue
        shape = list(value.shape)
        if any(part in name for part in ("vision.linear_proj", "vision.boi", "vision.eoi")):
            grown = {old: new, old_inner: text["intermediate_size"]}
            value = torch.randn([grown.get(size, size) for size in shape], generator=generator) * 0.02
        elif any(part in name for part in ("multi_modal_projector", "mm_projector", "vlm_att_val_projector", "image_newline")):
            shape = [new if size == old and (axis == 0 or not name.endswith(first_only)) else size for axis, size in enumerate(shape)]
            value = torch.randn(shape, generator=generator) * 0.02
        state[name] = value
    state = {name: value.clone().contiguous().float() for name, value in state.items()}
    save_file(state, os.path.join(out, "model.safetensors"), {"format": "pt"})


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("gguf")
    parser.add_argument("toy")
    parser.add_argument("out")
    parser.add_argument("--program", help="the zoetrope binary")
    parser.add_argument("--tokens", type=int, default=200)
    args = parser.parse_args()
    reader = gguf.GGUFReader(args.gguf)
    facts = metadata(reader)
    write_folder(reader, facts, args.toy, args.out)
    if not args.program:
        return
    dump = os.path.join(args.out, "dump.safetensors")
    command = [args.program, "dump", QUESTION, "--model", args.out, "--dtype", "f32", "--kv-cache-dtype", "f32", "--max-new-tokens", str(args.tokens), "--out", dump]
    print(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
    ours = load_file(dump)
    prompt, greedy = ours["input_ids"].long().flatten(), ours["greedy_ids"].long().flatten()
    from transformers import AutoModelForCausalLM

    model = AutoModelForCausalLM.from_pretrained(os.path.dirname(args.gguf), gguf_file=os.path.basename(args.gguf), dtype=torch.float32)
    # Ours goes on beyond the end, and so does theirs.
    model.generation_config.eos_token_id = None
    with torch.no_grad():
        theirs = model.generate(prompt[None], attention_mask=torch.ones_like(prompt[None]), do_sample=False, max_new_tokens=len(greedy),
                                repetition_penalty=1.0)[0, len(prompt):]  # fmt: skip
    same = int((theirs[: len(greedy)] == greedy).long().cumprod(0).sum())
    print(f"{same} of {len(greedy)} greedy tokens are those of transformers, from the first on")


if __name__ == "__main__":
    main()
