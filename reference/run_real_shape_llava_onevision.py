"""Run a llava-hf checkpoint through transformers in f32 on a fixed picture, three pictures and a short clip; store what a port must match.

FOLDER as make_real_shape_llava_onevision.py writes it. OUT/CASE.safetensors holds ids, visual tokens, logits of the last prompt position and of
greedy steps; OUT/CASE-0.png ... the pictures (a clip is one animated PNG), OUT/CASE.json times and peak memory. Then, with CASE's question:

zoetrope dump OUT/CASE-*.png QUESTION --model FOLDER --dtype f32 --max-new-tokens N --out OURS; python reference/compare_dump.py OURS OUT/CASE.safetensors
"""

import argparse
import json
import os
import resource
import time

import torch
import transformers
from PIL import Image
from safetensors.torch import save_file
from transformers import AutoProcessor, LlavaOnevisionForConditionalGeneration

import make_original_toy
from make_videollama3_toy import picture

QUESTIONS = {"image": "Describe the image.", "images": "What differs?", "clip": "Which way does the box move?"}


def inputs_of(case):
    """(pictures, frames of a clip)."""
    if case == "image":
        return [picture(480, 640, 21)], None
    if case == "images":
        return [picture(480, 640, 21), picture(300, 200, 22), picture(384, 384, 23)], None
    frames = []
    for i in range(4):
        frame = picture(240, 320, 24)
        frame[90:150, 20 + 60 * i : 80 + 60 * i] = [250, 220, 30]
        frames.append(frame)
    return [], frames


@torch.inference_mode()
def run(model, processor, case, out, steps):
    pictures, frames = inputs_of(case)
    stills = [Image.fromarray(p) for p in pictures]
    for i, still in enumerate(stills):
        still.save(os.path.join(out, f"{case}-{i}.png"))
    kwargs = {"images": [stills]} if stills else {}
    if frames:
        clip = [Image.fromarray(frame) for frame in frames]
        clip[0].save(os.path.join(out, f"{case}-0.png"), save_all=True, append_images=clip[1:], duration=1000)
        kwargs["videos"] = [torch.stack([torch.from_numpy(frame).permute(2, 0, 1) for frame in frames])]
    items = [{"type": "image"}] * len(stills) + [{"type": "video"}] * bool(frames)
    messages = [{"role": "user", "content": items + [{"type": "text", "text": QUESTIONS[case]}]}]
    text = processor.apply_chat_template(messages, add_generation_prompt=True, tokenize=False)
    inputs = dict(processor(text=[text], return_tensors="pt", **kwargs))
    embeds = []
    hook = model.model.language_model.register_forward_pre_hook(lambda m, a, k: embeds.append(k["inputs_embeds"]), with_kwargs=True)
    began = time.perf_counter()
    step = model(**inputs, use_cache=True, logits_to_keep=1)
    first = time.perf_counter() - began
    hook.remove()
    past, rows, ids = step.past_key_values, [step.logits[0, -1]], []
    for _ in range(steps):
        ids.append(int(rows[-1].argmax()))
        step = model(input_ids=torch.tensor([[ids[-1]]]), past_key_values=past, use_cache=True)
        rows.append(step.logits[0, -1])
    prompt = inputs["input_ids"][0]
    visual = (prompt == model.config.image_token_id) | (prompt == model.config.video_token_id)
    tensors = {
        "input_ids": prompt, "visual_tokens": embeds[0][0][visual], "logits": torch.stack(rows[:steps]), "ids": torch.tensor(ids),
    }  # fmt: skip
    save_file({k: v.contiguous().clone() for k, v in tensors.items()}, os.path.join(out, f"{case}.safetensors"))
    gap = min((row.topk(2).values[0] - row.topk(2).values[1]).item() for row in rows[:steps])
    report = {
        "question": QUESTIONS[case], "prompt_tokens": len(prompt), "visual_tokens": int(visual.sum()), "seconds_to_first_logits": first,
        "threads": torch.get_num_threads(), "peak_rss_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024, "greedy_min_gap": gap,
        "versions": {"torch": torch.__version__, "transformers": transformers.__version__},
    }  # fmt: skip
    make_original_toy.dump(report, os.path.join(out, f"{case}.json"))
    print(case, json.dumps(report), flush=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder")
    parser.add_argument("out")
    parser.add_argument("--cases", default="image,images,clip")
    parser.add_argument("--steps", type=int, default=4)
    args = parser.parse_args()
    transformers.logging.set_verbosity_error()
    os.makedirs(args.out, exist_ok=True)
    processor = AutoProcessor.from_pretrained(args.folder)
    model = LlavaOnevisionForConditionalGeneration.from_pretrained(args.folder, dtype=torch.float32, attn_implementation="sdpa").eval()
    for case in args.cases.split(","):
        run(model, processor, case, args.out, args.steps)


if __name__ == "__main__":
    main()
