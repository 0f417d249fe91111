"""How long transformers takes from a clip to its first answer token and to the last: FOLDER (original layout), CLIP.

The same work as `zoetrope ask CLIP QUESTION --max-frames 16 --max-new-tokens 64` where that answer has its full length: decode (PyAV), sample one
frame a second, resize, prune, encode, read the prompt, write greedily; the original's rules, bf16, SDPA. Needs what `reference/requirements.txt` lists, and `av`.
Prints one JSON object: seconds of each part, seconds with loading, peak memory.
"""

import argparse
import json
import os
import resource
import sys
import time

BEGUN = time.perf_counter()

import av  # noqa: E402
import numpy as np  # noqa: E402
import torch  # noqa: E402
import transformers  # noqa: E402
from PIL import Image  # noqa: E402
from tokenizers import Tokenizer  # noqa: E402

sys.path.insert(0, os.path.join(os.path.dirname(__file__), "..", "..", "reference"))
import make_original_toy  # noqa: E402
import original_rules as rules  # noqa: E402
from run_real_shape import load, prepare  # noqa: E402

MERGE = 2


def sampled(clip, most):
    """(frames uint8 [t, h, w, 3] of final size, their seconds)."""
    with av.open(clip) as container:
        stream = container.streams.video[0]
        pictures = [(frame.pts * stream.time_base, frame) for frame in container.decode(stream)]
        end = stream.duration * stream.time_base if stream.duration else pictures[-1][0]
        picks = rules.slot_frames([seconds for seconds, _ in pictures], end, 1)
        picks = [picks[i] for i in rules.cap_positions(len(picks), most)] if len(picks) > most else picks
        first = pictures[0][1]
        (height, width) = rules.sizes([(first.height, first.width, len(picks))], [MERGE])[0]
        resized = [np.asarray(pictures[i][1].to_image().resize((width, height), Image.BICUBIC)) for i in picks]
        return np.stack(resized), [float(pictures[i][0]) for i in picks]


@torch.inference_mode()
def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder")
    parser.add_argument("clip")
    parser.add_argument("--frames", type=int, default=16)
    parser.add_argument("--answer", type=int, default=64)
    parser.add_argument("--dtype", default="bfloat16")
    parser.add_argument("--question", default="What happens in this video?")
    args = parser.parse_args()
    torch.set_num_threads(os.cpu_count())
    dtype = getattr(torch, args.dtype)
    model = load(args.folder, dtype)
    model.set_attn_implementation("sdpa")
    tokenizer = Tokenizer.from_file(os.path.join(args.folder, "tokenizer.json"))
    placeholder = model.config.image_token_id
    marks = {"load": time.perf_counter()}
    frames, stamps = sampled(args.clip, args.frames)
    messages = [make_original_toy.user(make_original_toy.video(*stamps), make_original_toy.text(args.question))]
    pixels, grid, _, _, ids, keep = prepare(frames, MERGE, messages, tokenizer, placeholder)
    marks["decode"] = time.perf_counter()
    pixels = torch.from_numpy(pixels).to(dtype)
    visual = torch.cat(list(model.model.get_image_features(pixels, torch.tensor([grid]), torch.tensor([MERGE])).pooler_output))
    marks["encode"] = time.perf_counter()
    ids = torch.tensor([ids])
    embeds = model.get_input_embeddings()(ids)
    embeds[0, ids[0] == placeholder] = visual[keep]
    out = model.model(inputs_embeds=embeds, use_cache=True)
    token = model.lm_head(out.last_hidden_state[:, -1:]).argmax(-1)
    marks["first_token"] = time.perf_counter()
    for _ in range(args.answer - 1):
        out = model.model(input_ids=token, past_key_values=out.past_key_values, use_cache=True)
        token = model.lm_head(out.last_hidden_state[:, -1:]).argmax(-1)
    end = time.perf_counter()
    report = {
        "load_s": marks["load"] - BEGUN, "decode_s": marks["decode"] - marks["load"], "encode_s": marks["encode"] - marks["decode"],
        "prefill_s": marks["first_token"] - marks["encode"], "write_s": end - marks["first_token"],
        "first_token_s": marks["first_token"] - marks["load"], "whole_s": end - marks["load"],
        "patches": len(pixels), "prompt_tokens": ids.shape[1], "answer_tokens": args.answer, "dtype": args.dtype,
        "peak_memory_gb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6,
        "torch": torch.__version__, "transformers": transformers.__version__, "threads": torch.get_num_threads(),
    }  # fmt: skip
    print(json.dumps(report))


if __name__ == "__main__":
    main()
