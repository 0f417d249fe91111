"""How fast transformers runs a LLaVA-OneVision folder (llava-hf layout) here: encode frames, read a prompt, write an answer.

The same work as `zoetrope bench --model FOLDER --frames 4 --side 384 --prompt 1024 --answer 16`: noise frames, pooled as a video's; any token ids,
greedy, batch 1, medians. Prints one JSON object a data type. Needs what `reference/requirements.txt` lists.
"""

import argparse
import json
import os

import torch
import transformers
from transformers import LlavaOnevisionForConditionalGeneration

from transformers_speed import speeds


def measure(model, dtype, args):
    config = model.config.vision_config
    frames = torch.randn(1, args.frames, 3, config.image_size, config.image_size, dtype=dtype)
    patches = args.frames * (config.image_size // config.patch_size) ** 2
    return speeds(model, dtype, args, patches, lambda: model.model.get_video_features(frames))


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder")
    parser.add_argument("--frames", type=int, default=4)
    parser.add_argument("--prompt", type=int, default=1024)
    parser.add_argument("--answer", type=int, default=16)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--dtypes", default="bfloat16,float32")
    parser.add_argument("--threads", type=int, default=os.cpu_count())
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    for name in args.dtypes.split(","):
        dtype = getattr(torch, name)
        model = LlavaOnevisionForConditionalGeneration.from_pretrained(args.folder, dtype=dtype, attn_implementation="sdpa").eval()
        row = measure(model, dtype, args)
        row.update(torch=torch.__version__, transformers=transformers.__version__, threads=args.threads)
        print(json.dumps(row), flush=True)


if __name__ == "__main__":
    main()
