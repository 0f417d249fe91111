"""The toy checkpoint in the original (DAMO) convention: config, processor and tokenizer files, and goldens of prompt, pruning and logits.

Needs golden/toy-hf (make_videollama3_toy.py). The weights are the same tensors under other names (see `original_name`), so they are not stored again:
a test renames them. Writes golden/original-layout/, golden/original.safetensors and golden/original.json, and the toy tokenizer's goldens for crates/text.
"""

import argparse
import json
import os
import shutil

import numpy as np
import torch
import transformers
from PIL import Image
from tokenizers import Tokenizer
from tokenizers.decoders import DecodeStream
from transformers import VideoLlama3ForConditionalGeneration
from transformers.models.video_llama_3.image_processing_pil_video_llama_3 import VideoLlama3ImageProcessorPil

import golden_texts
import make_videollama3_toy as toy
import original_rules as rules
import toy_tokenizer

HERE = os.path.dirname(os.path.abspath(__file__))
TEXT_DATA = os.path.join(HERE, "..", "crates", "text", "tests", "data")

# A4.2 of the model page: (messages, add_system_prompt, text)
SYSTEM = {"role": "system", "content": "You are a helpful assistant."}
IMAGE = {"type": "image"}
text = lambda s: {"type": "text", "text": s}
user = lambda *items: {"role": "user", "content": list(items)}
video = lambda *stamps: {"type": "video", "num_frames": len(stamps), "timestamps": list(stamps)}
RENDERINGS = [
    ([user(IMAGE, text("Describe the image."))], False, "<|im_start|>user\n<image>\nDescribe the image.<|im_end|>\n<|im_start|>assistant\n"),
    (
        [user(IMAGE, text("Describe the image."))],
        True,
        "<|im_start|>system\nYou are VideoLLaMA3 created by Alibaba DAMO Academy, a helpful assistant to help people understand images and videos.<|im_end|>\n<|im_start|>user\n<image>\nDescribe the image.<|im_end|>\n<|im_start|>assistant\n",
    ),
    (
        [SYSTEM, user(video(0.0, 1.0, 2.0), text("What is the cat doing?"))],
        True,
        "<|im_start|>system\nYou are a helpful assistant.<|im_end|>\n<|im_start|>user\nTime 0.0s:<image>,Time 1.0s:<image>,Time 2.0s:<image>\nWhat is the cat doing?<|im_end|>\n<|im_start|>assistant\n",
    ),
    ([user(IMAGE, IMAGE, text("What changed?"))], False, "<|im_start|>user\n<image>\n<image>\nWhat changed?<|im_end|>\n<|im_start|>assistant\n"),
    (
        [user(video(0.0, 1.0), text("What is the relationship between the video and the following image?"), IMAGE)],
        False,
        "<|im_start|>user\nTime 0.0s:<image>,Time 1.0s:<image>\nWhat is the relationship between the video and the following image?<image>\n<|im_end|>\n<|im_start|>assistant\n",
    ),
    (
        [user(IMAGE, text("Who is this?")), {"role": "assistant", "content": "A painter."}, {"role": "user", "content": "Where?"}],
        False,
        "<|im_start|>user\n<image>\nWho is this?<|im_end|>\n<|im_start|>assistant\nA painter.<|im_end|>\n<|im_start|>user\nWhere?<|im_end|>\n<|im_start|>assistant\n",
    ),
    ([{"role": "user", "content": "What is the color of bananas?"}], False, "<|im_start|>user\nWhat is the color of bananas?<|im_end|>\n<|im_start|>assistant\n"),
]


def original_name(name):
    """transformers-native tensor name -> name in the published layout (A10.1)."""
    for old, new in (
        ("model.vision_model.", "model.vision_encoder."),
        ("model.projector.", "model.mm_projector."),
        ("model.language_model.", "model."),
    ):
        if name.startswith(old):
            return new + name[len(old) :]
    return name


def original_config(hf):
    """config.json of the published layout for a native config (dict)."""
    t, v = hf["text_config"], hf["vision_config"]
    keep = ("attention_dropout", "hidden_act", "hidden_size", "initializer_range", "intermediate_size", "max_position_embeddings", "max_window_layers")
    keep += ("num_attention_heads", "num_hidden_layers", "num_key_value_heads", "rms_norm_eps", "use_sliding_window", "vocab_size")
    seen = ("attention_dropout", "hidden_act", "hidden_size", "intermediate_size", "layer_norm_eps", "num_attention_heads", "num_channels", "num_hidden_layers", "patch_size")
    return {
        "architectures": ["Videollama3Qwen2ForCausalLM"],
        **{k: t[k] for k in keep},
        "bos_token_id": 292,
        "eos_token_id": 294,
        "image_token_index": 300,
        "mm_projector_type": "mlp2x_gelu",
        "model_type": "videollama3_qwen2",
        "rope_scaling": None,
        "rope_theta": t["rope_parameters"]["rope_theta"],
        "sliding_window": None,
        "tie_word_embeddings": t["tie_word_embeddings"],
        "torch_dtype": "float32",
        "transformers_version": "4.46.3",
        "use_cache": False,
        "use_token_compression": True,
        "vision_encoder": None,
        "vision_encoder_config": {"model_type": "videollama3_vision_encoder", **{k: v[k] for k in seen}},
    }


PREPROCESSOR = {
    "do_convert_rgb": True, "do_normalize": True, "do_rescale": True, "do_resize": True, "image_mean": [0.5, 0.5, 0.5],
    "image_processor_type": "Videollama3ImageProcessor", "image_std": [0.5, 0.5, 0.5], "max_tokens": 16384, "min_tokens": 16,
    "patch_size": 14, "processor_class": "Videollama3Qwen2Processor", "resample": 3, "rescale_factor": 0.00392156862745098,
}  # fmt: skip
PROCESSOR = {"fps": 1, "image_merge_size": 1, "max_frames": 128, "processor_class": "Videollama3Qwen2Processor", "video_merge_size": 2}


def dump(value, path):
    with open(path, "w") as f:
        json.dump(value, f, indent=2, ensure_ascii=False)
        f.write("\n")


def write_folder(golden):
    """golden/original-layout without weights; the chat template sits in chat_template.json and a text-only one in tokenizer_config.json."""
    folder = os.path.join(golden, "original-layout")
    shutil.rmtree(folder, ignore_errors=True)
    os.makedirs(folder)
    hf = json.load(open(os.path.join(golden, "toy-hf", "config.json")))
    dump(original_config(hf), os.path.join(folder, "config.json"))
    dump(PREPROCESSOR, os.path.join(folder, "preprocessor_config.json"))
    dump(PROCESSOR, os.path.join(folder, "processor_config.json"))
    dump({"chat_template": rules.CHAT_TEMPLATE}, os.path.join(folder, "chat_template.json"))
    generation = {"bos_token_id": 292, "do_sample": True, "eos_token_id": [294, 292], "pad_token_id": 292, "repetition_penalty": 1.1, "temperature": 0.7, "top_k": 20, "top_p": 0.8, "transformers_version": "4.46.3"}
    dump(generation, os.path.join(folder, "generation_config.json"))
    tokenizer = toy_tokenizer.toy_tokenizer(original=True)
    tokenizer.save(os.path.join(folder, "tokenizer.json"), pretty=False)
    added = {
        str(i): {"content": t.content, "lstrip": False, "normalized": False, "rstrip": False, "single_word": False, "special": t.special}
        for i, t in sorted(tokenizer.get_added_tokens_decoder().items())
    }
    text_only = "{% for m in messages %}{{ '<|im_start|>' + m.role + '\\n' + m.content + '<|im_end|>\\n' }}{% endfor %}{% if add_generation_prompt %}{{ '<|im_start|>assistant\\n' }}{% endif %}"
    config = {
        "add_bos_token": False, "add_prefix_space": False, "added_tokens_decoder": added,
        "additional_special_tokens": toy_tokenizer.SPECIALS[1:] + toy_tokenizer.ORIGINAL_EXTRA, "bos_token": None, "chat_template": text_only,
        "clean_up_tokenization_spaces": False, "eos_token": "<|im_end|>", "errors": "replace", "model_max_length": 1024,
        "pad_token": "<|endoftext|>", "padding_side": "right", "split_special_tokens": False, "tokenizer_class": "Qwen2Tokenizer", "unk_token": None,
    }  # fmt: skip
    dump(config, os.path.join(folder, "tokenizer_config.json"))
    return tokenizer


def prompt_rows(tokenizer):
    """Every literal of the page, rendered by the template, with toy ids before expansion."""
    rows = []
    for messages, system, expected in RENDERINGS:
        got = rules.render(messages, True, system)
        assert got == expected, (got, expected)
        rows.append({"messages": messages, "add_system_prompt": system, "text": got, "ids": tokenizer.encode(got).ids})
    streams = [{"role": "stream", "content": [{"type": "image", "timestamp": t}]} for t in (0.0, 1.0)]
    got = rules.render([*streams, user(text("Q"))], True, False)
    rows.append({"messages": [*streams, user(text("Q"))], "add_system_prompt": False, "text": got, "ids": tokenizer.encode(got).ids})
    return rows


def patches(frames, merge):
    """uint8 [t, h, w, 3] -> normalized f32 patches of the original (numpy: f64 rescale, f32 normalize), A2.5 order."""
    values = (frames.astype(np.float64) * 0.00392156862745098).astype(np.float32)
    values = (values - np.float32(0.5)) / np.float32(0.5)
    t, h, w, c = values.shape
    gh, gw = h // 14, w // 14
    x = values.transpose(0, 3, 1, 2).reshape(t, c, gh // merge, merge, 14, gw // merge, merge, 14)
    return np.ascontiguousarray(x.transpose(0, 2, 5, 3, 6, 1, 4, 7)).reshape(t * gh * gw, 588), (t, gh, gw)


def mixed_request(golden, tokenizer):
    """A video (merge 2) and a picture (merge 1) in the original convention, run through transformers' model."""
    clip, small = toy.clip(), toy.picture(56, 75, 1)
    sizes = rules.sizes([(84, 112, 4), (56, 75, 1)], [2, 1])
    assert sizes == [(84, 112), (56, 70)], sizes
    small = np.array(Image.fromarray(small).resize((70, 56), Image.BICUBIC))
    video_px, video_grid = patches(clip, 2)
    image_px, image_grid = patches(small[None], 1)
    pil = VideoLlama3ImageProcessorPil.from_pretrained(os.path.join(golden, "toy-hf"))
    same = pil(images=[Image.fromarray(small)], return_tensors="np")["pixel_values"]
    assert (image_px == same).all()

    stamps = [0.0, 1.0, 2.0, 3.0]
    messages = [user(video(*stamps), text("Is it the same as the following image? "), IMAGE, text("Time it."))]
    rendered = rules.render(messages, True, False)
    keep, diff = rules.keep_mask(torch.from_numpy(video_px), 4, 12)
    keep16, diff16 = rules.keep_mask(torch.from_numpy(video_px), 4, 12, bf16=True)
    counts = [12] * 4 + [20]
    parts = rendered.split("<image>")
    assert len(parts) == len(counts) + 1
    expanded = "".join(p + "<image>" * n for p, n in zip(parts, counts)) + parts[-1]
    ids = tokenizer.encode(expanded).ids
    visual = torch.cat([keep, torch.ones(20, dtype=torch.bool)])
    pruned, native, k = [], [], 0
    for token in ids:
        if token != 300:
            pruned.append(token)
            native.append(token)
            continue
        if visual[k]:
            pruned.append(300)
            native.append(299 if k < 48 else 298)  # the port's video and image placeholders
        k += 1
    assert k == 68

    model = VideoLlama3ForConditionalGeneration.from_pretrained(os.path.join(golden, "toy-hf"), attn_implementation="eager").eval()
    inputs = {
        "input_ids": torch.tensor([native]),
        "attention_mask": torch.ones(1, len(native), dtype=torch.long),
        "pixel_values": torch.from_numpy(image_px),
        "image_grid_thw": torch.tensor([image_grid]),
        "image_merge_sizes": torch.tensor([1]),
        "pixel_values_videos": torch.from_numpy(video_px),
        "video_grid_thw": torch.tensor([video_grid]),
        "video_merge_sizes": torch.tensor([2]),
        "video_compression_mask": keep,
    }
    parts = toy.capture(model, inputs)
    greedy, rows, gap = toy.greedy(model, inputs, toy.STEPS)
    tensors = {
        "input_ids_full": torch.tensor(ids),
        "input_ids": torch.tensor(pruned),
        "keep": keep.to(torch.uint8),
        "keep_bf16": keep16.to(torch.uint8),
        "difference": diff,
        "difference_bf16": diff16.float(),
        "logits_last8": parts["logits"][-8:],
        "greedy_ids": torch.tensor(greedy),
        "greedy_logits_last": rows[-1],
    }
    toy.save(tensors, os.path.join(golden, "original.safetensors"))
    report = {"messages": messages, "raw": ["raw.video", "raw.image0"], "stamps": stamps, "rendered": rendered, "sizes": sizes, "greedy_min_gap": gap}
    print("original mixed: smallest gap", gap, "kept", int(keep.sum()), "bf16", int(keep16.sum()), "of 48")
    return report


def near_threshold():
    """Blocks with one value changed by d: the pruner's answer in f32 and bf16 around its threshold."""
    rows = []
    for d in (1, 100, 116, 117, 118, 119, 130):
        frames = np.full((2, 28, 28, 3), 60, np.uint8)
        frames[1, 3, 4, 1] += d
        px, _ = patches(frames, 2)
        out = {"change": d}
        for key, bf16 in (("f32", False), ("bf16", True)):
            _, diff = rules.keep_mask(torch.from_numpy(px), 2, 1, min_tokens=0, bf16=bf16)
            out[key] = {"difference": float(diff[1, 0]), "keep": bool(diff[1, 0] > 0.1)}
        rows.append(out)
    everything = np.stack([np.full((28, 28, 3), 60, np.uint8), np.full((28, 28, 3), 61, np.uint8)])
    px, _ = patches(everything, 2)
    _, diff = rules.keep_mask(torch.from_numpy(px), 2, 1)
    rows.append({"change": "all by 1", "f32": {"difference": float(diff[1, 0]), "keep": True}})
    return rows


def text_goldens():
    """The toy tokenizer and its ids, decoded text and streamed pieces, for crates/text."""
    os.makedirs(TEXT_DATA, exist_ok=True)
    tokenizer = toy_tokenizer.toy_tokenizer(original=True)
    tokenizer.save(os.path.join(TEXT_DATA, "toy_tokenizer.json"), pretty=False)
    rows = []
    for i, t in enumerate(golden_texts.all_texts()):
        ids = tokenizer.encode(t, add_special_tokens=False).ids
        row = {"text": t, "ids": ids}
        plain = tokenizer.decode(ids, skip_special_tokens=True)
        full = tokenizer.decode(ids, skip_special_tokens=False)
        if full != t:
            row["decoded"] = full
        if plain != full:
            row["decoded_plain"] = plain
        if i % 6 == 0 and ids:
            stream = DecodeStream(skip_special_tokens=True)
            row["pieces"] = [stream.step(tokenizer, token) for token in ids]
        rows.append(row)
    with open(os.path.join(TEXT_DATA, "toy_ids.json"), "w") as f:
        f.write('{"rows": [\n' + ",\n".join(json.dumps(r) for r in rows) + "\n]}\n")
    again = Tokenizer.from_file(os.path.join(TEXT_DATA, "toy_tokenizer.json"))
    assert again.encode("What is it?").ids == tokenizer.encode("What is it?").ids


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--golden", default=toy.DEFAULT_OUT)
    args = parser.parse_args()
    transformers.logging.set_verbosity_error()
    torch.use_deterministic_algorithms(True)
    tokenizer = write_folder(args.golden)
    native = json.load(open(os.path.join(args.golden, "goldens.json")))
    report = {
        "versions": native["versions"],
        "prompts": prompt_rows(tokenizer),
        "mixed": mixed_request(args.golden, tokenizer),
        "pruner_threshold": near_threshold(),
    }
    dump(report, os.path.join(args.golden, "original.json"))
    text_goldens()


if __name__ == "__main__":
    main()
