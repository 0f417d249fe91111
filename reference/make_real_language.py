"""A folder of the 2B shape with real language weights: those of a Qwen2.5-1.5B GGUF file (any quantisation, dequantised to bf16) in the place of the random ones.

FOLDER is what `make_real_shape.py` made (original layout); OUT gets its JSON files and one model.safetensors. The encoder and projector stay random.
"""

import argparse
import glob
import os
import shutil

import gguf
import numpy as np
import torch
from safetensors import safe_open
from safetensors.torch import save_file

PARTS = {
    "attn_norm": "input_layernorm",
    "ffn_norm": "post_attention_layernorm",
    "attn_q": "self_attn.q_proj",
    "attn_k": "self_attn.k_proj",
    "attn_v": "self_attn.v_proj",
    "attn_output": "self_attn.o_proj",
    "ffn_gate": "mlp.gate_proj",
    "ffn_up": "mlp.up_proj",
    "ffn_down": "mlp.down_proj",
}


def published_name(name):
    """GGUF name -> name in the original layout."""
    whole = {"token_embd.weight": "model.embed_tokens.weight", "output_norm.weight": "model.norm.weight", "output.weight": "lm_head.weight"}
    if name in whole:
        return whole[name]
    _, layer, part, kind = name.split(".")
    return f"model.layers.{layer}.{PARTS[part]}.{kind}"


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("gguf")
    parser.add_argument("folder")
    parser.add_argument("out")
    args = parser.parse_args()
    os.makedirs(args.out, exist_ok=True)
    state = {}
    for tensor in gguf.GGUFReader(args.gguf).tensors:
        values = gguf.dequantize(tensor.data, tensor.tensor_type)
        state[published_name(tensor.name)] = torch.from_numpy(np.ascontiguousarray(values)).to(torch.bfloat16)
    rows = state["model.embed_tokens.weight"].shape[0]
    for shard in sorted(glob.glob(os.path.join(args.folder, "*.safetensors"))):
        with safe_open(shard, "pt") as file:
            for name in file.keys():
                if name == "model.embed_tokens.weight":
                    # The rows of the tokens that the video model adds stay random.
                    own = file.get_tensor(name)
                    print("embedding", tuple(own.shape), "of which real", rows)
                    if own.shape[0] > rows:
                        state[name] = torch.cat([state[name], own[rows:].to(torch.bfloat16)])
                    else:
                        state[name] = state[name][: own.shape[0]]
                elif name not in state:
                    state[name] = file.get_tensor(name)
    save_file({name: value.contiguous() for name, value in state.items()}, os.path.join(args.out, "model.safetensors"), {"format": "pt"})
    for file in glob.glob(os.path.join(args.folder, "*.json")):
        if not file.endswith("index.json"):
            shutil.copy(file, args.out)


if __name__ == "__main__":
    main()
