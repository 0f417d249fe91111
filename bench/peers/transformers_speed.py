"""How fast transformers runs a VideoLLaMA3 folder (original layout) here: encode frames, read a prompt, write an answer.

The same work as `zoetrope bench --frames 1 --side 448 --prompt 1024 --answer 32`: noise frames, any token ids, greedy, batch 1, medians.
Needs what `reference/requirements.txt` lists; prints one JSON object a data type.
"""

import argparse
import json
import os
import statistics
import sys
import time

import torch
import transformers

sys.path.insert(0, os.path.join(os.path.dirname(__file__), "..", "..", "reference"))
from run_real_shape import load  # noqa: E402


def median(repeats, work):
    seconds = []
    for _ in range(repeats):
        begin = time.perf_counter()
        work()
        seconds.append(time.perf_counter() - begin)
    return statistics.median(seconds)


@torch.inference_mode()
def speeds(model, dtype, args, patches, encode):
    """Medians of `encode`, which encodes so many patches, and of what the language model does behind it."""
    ids = (torch.arange(args.prompt) * 7919 % model.config.text_config.vocab_size)[None]

    def first_logits():
        out = model.model.language_model(input_ids=ids, use_cache=True)
        return model.lm_head(out.last_hidden_state[:, -1:]), out.past_key_values

    encode_s = median(args.repeats, encode)
    read_s = median(args.repeats, first_logits)
    _, cache = first_logits()

    def write():
        for _ in range(args.answer):
            out = model.model.language_model(input_ids=ids[:, :1], past_key_values=cache, use_cache=True)
            model.lm_head(out.last_hidden_state[:, -1:])

    write_s = median(max(1, args.repeats // 2), write)
    return {
        "dtype": str(dtype),
        "attention": model.config._attn_implementation,
        "patches_per_s": patches / encode_s,
        "prompt_tokens_per_s": args.prompt / read_s,
        "answer_tokens_per_s": args.answer / write_s,
    }


def measure(model, dtype, args):
    side = args.side // 14
    patches = torch.randn(args.frames * side * side, 3 * 14 * 14, dtype=dtype)
    grid = torch.tensor([[args.frames, side, side]])
    merge = torch.tensor([2])
    vision = model.model.vision_model

    def encode():
        model.model.projector(vision(patches, grid, merge).last_hidden_state)

    return speeds(model, dtype, args, patches.shape[0], encode)


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder")
    parser.add_argument("--frames", type=int, default=1)
    parser.add_argument("--side", type=int, default=448)
    parser.add_argument("--prompt", type=int, default=1024)
    parser.add_argument("--answer", type=int, default=16)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--dtypes", default="bfloat16,float32")
    parser.add_argument("--threads", type=int, default=os.cpu_count())
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    for name in args.dtypes.split(","):
        dtype = getattr(torch, name)
        model = load(args.folder, dtype)
        model.set_attn_implementation("sdpa")
        row = measure(model, dtype, args)
        row.update(torch=torch.__version__, transformers=transformers.__version__, threads=args.threads)
        print(json.dumps(row), flush=True)


if __name__ == "__main__":
    main()
