"""Run a checkpoint in the original (DAMO) layout through transformers in f32 on fixed pictures and a fixed clip; store what a port must match.

Cases: `image` (224x224, 256 tokens), `clip` (8 frames 336x196, merge 2, partly static, pruned), `large` (644x476, 1564 tokens).
Inputs already have their final size, so no resize takes part. OUT/<case>.safetensors holds the raw uint8 frames, ids before and after pruning, grid, keep mask,
visual tokens, logits at the last prompt position, greedy ids and the logits of each step; OUT/<case>.json has times, peak memory, prompt and versions; PNG files of the frames too.
"""

import argparse
import json
import os
import resource
import time

import numpy as np
import torch
import transformers
from PIL import Image
from safetensors import safe_open
from safetensors.torch import save_file
from tokenizers import Tokenizer
from transformers import VideoLlama3Config, VideoLlama3ForConditionalGeneration

import make_original_toy
import make_videollama3_toy as toy
import original_rules as rules

NATIVE = (("model.vision_encoder.", "model.vision_model."), ("model.mm_projector.", "model.projector."), ("lm_head.", "lm_head."))


def native_name(name):
    """Published tensor name -> transformers-native name."""
    for old, new in NATIVE:
        if name.startswith(old):
            return new + name[len(old) :]
    return name.replace("model.", "model.language_model.", 1)


def native_config(original):
    """VideoLlama3Config of an original config.json (dict)."""
    keep = ("attention_dropout", "hidden_act", "hidden_size", "intermediate_size", "max_position_embeddings", "num_attention_heads")
    keep += ("num_hidden_layers", "num_key_value_heads", "rms_norm_eps", "vocab_size", "tie_word_embeddings")
    text = {k: original[k] for k in keep}
    text["rope_parameters"] = {"rope_type": "default", "rope_theta": original["rope_theta"]}
    vision = {k: v for k, v in original["vision_encoder_config"].items() if k != "model_type"}
    tied = original["tie_word_embeddings"]
    image = original["image_token_index"]
    return VideoLlama3Config(
        text_config={"model_type": "qwen2", **text}, vision_config=vision, tie_word_embeddings=tied, image_token_id=image, video_token_id=image + 10
    )


def load(folder, dtype=torch.float32):
    """The model in `dtype`; files are mapped, so that only what is converted lives in memory."""
    config = native_config(json.load(open(os.path.join(folder, "config.json"))))
    config._attn_implementation = "eager"
    state = {}
    for name in sorted(os.listdir(folder)):
        if name.endswith(".safetensors"):
            with safe_open(os.path.join(folder, name), "pt") as f:
                for key in f.keys():
                    state[native_name(key)] = f.get_tensor(key)
    model = VideoLlama3ForConditionalGeneration.from_pretrained(None, config=config, state_dict=state, dtype=dtype)
    wanted = {n for n, _ in model.named_parameters()} - {"lm_head.weight"}
    assert wanted <= set(state), sorted(wanted - set(state))[:5]
    return model.eval()


def case_inputs(name):
    """(frames uint8 [t, h, w, 3], merge, messages) of a case."""
    if name == "image":
        return toy.picture(224, 224, 21)[None], 1, [make_original_toy.user({"type": "image"}, make_original_toy.text("Describe the image."))]
    if name == "large":
        return toy.picture(476, 644, 22)[None], 1, [make_original_toy.user({"type": "image"}, make_original_toy.text("Describe the image."))]
    base = toy.picture(196, 336, 23)
    frames = []
    for i in range(8):
        frame = base.copy()
        x = 20 + 36 * i
        frame[70:126, x : x + 48] = [250, 220, 30]
        frames.append(frame)
    stamps = [float(i) for i in range(8)]
    messages = [make_original_toy.user(make_original_toy.video(*stamps), make_original_toy.text("Which way does the box move?"))]
    return np.stack(frames), 2, messages


def prepare(frames, merge, messages, tokenizer, placeholder):
    """Patches, ids before and after pruning, keep mask: the original's processor on frames of final size."""
    t, h, w, _ = frames.shape
    assert rules.sizes([(h, w, t)], [merge]) == [(h, w)]
    pixels, grid = make_original_toy.patches(frames, merge)
    per_frame = grid[1] * grid[2] // merge**2
    keep = torch.ones(t * per_frame, dtype=torch.bool)
    if t > 1:
        keep, _ = rules.keep_mask(torch.from_numpy(pixels), t, per_frame)
    rendered = rules.render(messages, True, False)
    parts = rendered.split("<image>")
    assert len(parts) == t + 1
    full = tokenizer.encode(("<image>" * per_frame).join(parts)).ids
    ids, k = [], 0
    for token in full:
        if token == placeholder:
            if keep[k]:
                ids.append(token)
            k += 1
        else:
            ids.append(token)
    assert k == len(keep)
    return pixels, grid, rendered, full, ids, keep


def run(model, name, tokenizer, placeholder, out, steps):
    frames, merge, messages = case_inputs(name)
    pixels, grid, rendered, full, ids, keep = prepare(frames, merge, messages, tokenizer, placeholder)
    began = time.time()
    pixel_values, grids, merges = torch.from_numpy(pixels), torch.tensor([grid]), torch.tensor([merge])
    with torch.no_grad():
        visual = torch.cat(list(model.model.get_image_features(pixel_values, grids, merges).pooler_output))
        encoded = time.time()
        input_ids = torch.tensor([ids])
        embeds = model.get_input_embeddings()(input_ids)
        embeds[0, input_ids[0] == placeholder] = visual[keep]
        step = model.model(inputs_embeds=embeds, use_cache=True)
        past, row, greedy, rows = step.past_key_values, model.lm_head(step.last_hidden_state[0, -1]), [], []
        prefilled = time.time()
        for _ in range(steps):
            rows.append(row)
            greedy.append(int(row.argmax()))
            o = model(input_ids=torch.tensor([[greedy[-1]]]), past_key_values=past, use_cache=True)
            past, row = o.past_key_values, o.logits[0, -1]
    finished = time.time()
    top = rows[0].topk(5)
    report = {
        "versions": {"torch": torch.__version__, "transformers": transformers.__version__},
        "prompt": rendered, "prompt_tokens": len(ids), "prompt_tokens_before_pruning": len(full), "patches": len(pixels), "kept": int(keep.sum()),
        "seconds": {"encode": encoded - began, "prefill": prefilled - encoded, "steps": finished - prefilled}, "steps": steps,
        "threads": torch.get_num_threads(), "peak_rss_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024,
        "visual_mean": visual.mean().item(), "visual_std": visual.std().item(), "visual_abs_max": visual.abs().max().item(),
        "logits_std": rows[0].std().item(), "top5": [[int(i), float(v)] for v, i in zip(top.values, top.indices)], "greedy_ids": greedy,
        "greedy_min_gap": min((r.topk(2).values[0] - r.topk(2).values[1]).item() for r in rows),
    }  # fmt: skip
    tensors = {
        "frames": torch.from_numpy(frames), "grid": torch.tensor(grid), "merge": torch.tensor([merge]), "input_ids_full": torch.tensor(full),
        "input_ids": torch.tensor(ids), "keep": keep.to(torch.uint8), "visual_tokens": visual, "logits": rows[0], "greedy_ids": torch.tensor(greedy),
        "greedy_logits": torch.stack(rows),
    }  # fmt: skip
    save_file({k: v.contiguous().clone() for k, v in tensors.items()}, os.path.join(out, f"{name}.safetensors"))
    make_original_toy.dump(report, os.path.join(out, f"{name}.json"))
    folder = os.path.join(out, f"{name}-frames")
    os.makedirs(folder, exist_ok=True)
    for i, frame in enumerate(frames):
        Image.fromarray(frame).save(os.path.join(folder, f"{i:04d}.png"))
    print(name, json.dumps(report["seconds"]), "peak MB", report["peak_rss_mb"], "greedy", greedy, flush=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", help="checkpoint in the original layout (make_real_shape.py)")
    parser.add_argument("out")
    parser.add_argument("--cases", default="image,clip,large")
    parser.add_argument("--steps", type=int, default=8)
    args = parser.parse_args()
    transformers.logging.set_verbosity_error()
    os.makedirs(args.out, exist_ok=True)
    tokenizer = Tokenizer.from_file(os.path.join(args.folder, "tokenizer.json"))
    placeholder = json.load(open(os.path.join(args.folder, "config.json")))["image_token_index"]
    began = time.time()
    model = load(args.folder)
    print("loaded in", time.time() - began, flush=True)
    for name in args.cases.split(","):
        run(model, name, tokenizer, placeholder, args.out, args.steps)


if __name__ == "__main__":
    main()
