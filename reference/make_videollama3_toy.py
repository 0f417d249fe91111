"""Make the toy VideoLLaMA3 checkpoint and its goldens with transformers (VideoLlama3ForConditionalGeneration).

Writes, under OUT (default crates/models/src/families/videollama3/golden):

  toy-hf/               a loadable folder in the transformers-native layout (f32, untied head)
  processor.safetensors raw uint8 inputs and what the processors make of them
  image.safetensors, video.safetensors, mixed.safetensors, text.safetensors
                        ids, encoder outputs, visual tokens, embeddings, logits, greedy continuation
  gradients.safetensors gradients of the mixed case (every named parameter listed in goldens.json)
  tied.safetensors      the same weights with the head tied to the embedding (mixed case)
  goldens.json          prompts, shapes, versions, seeds, margins

The search over seeds only makes sure that a greedy continuation meets no special token and no near tie.
Deterministic on one CPU thread: OMP_NUM_THREADS=1 python reference/make_videollama3_toy.py
"""

import argparse
import copy
import json
import os
import shutil
import tempfile

import numpy as np
import PIL
import torch
import torchvision
import transformers
from PIL import Image
from safetensors.torch import save_file
from transformers import (
    AutoProcessor,
    AutoTokenizer,
    GenerationConfig,
    VideoLlama3Config,
    VideoLlama3ForConditionalGeneration,
    VideoLlama3Processor,
    VideoLlama3VideoProcessor,
)
from transformers.models.video_llama_3.image_processing_pil_video_llama_3 import VideoLlama3ImageProcessorPil
from transformers.video_utils import VideoMetadata

import toy_tokenizer

VOCAB = 304
STEPS = 64
SEED_LIMIT = 400
HERE = os.path.dirname(os.path.abspath(__file__))
DEFAULT_OUT = os.path.join(HERE, "..", "crates", "models", "src", "families", "videollama3", "golden")

GRADIENT_NAMES = [
    "lm_head.weight",
    "model.language_model.embed_tokens.weight",
    "model.language_model.layers.0.input_layernorm.weight",
    "model.language_model.layers.0.self_attn.q_proj.weight",
    "model.language_model.layers.0.self_attn.q_proj.bias",
    "model.language_model.layers.0.self_attn.k_proj.weight",
    "model.language_model.layers.0.self_attn.v_proj.bias",
    "model.language_model.layers.1.self_attn.v_proj.weight",
    "model.language_model.layers.1.self_attn.o_proj.weight",
    "model.language_model.layers.1.post_attention_layernorm.weight",
    "model.language_model.layers.1.mlp.gate_proj.weight",
    "model.language_model.layers.0.mlp.up_proj.weight",
    "model.language_model.layers.1.mlp.down_proj.weight",
    "model.language_model.norm.weight",
    "model.projector.readout.0.weight",
    "model.projector.readout.2.bias",
    "model.vision_model.embeddings.patch_embedding.weight",
    "model.vision_model.embeddings.patch_embedding.bias",
    "model.vision_model.encoder.layers.0.layer_norm1.weight",
    "model.vision_model.encoder.layers.0.self_attn.q_proj.weight",
    "model.vision_model.encoder.layers.0.self_attn.k_proj.weight",
    "model.vision_model.encoder.layers.1.self_attn.v_proj.bias",
    "model.vision_model.encoder.layers.1.self_attn.out_proj.weight",
    "model.vision_model.encoder.layers.1.layer_norm2.bias",
    "model.vision_model.encoder.layers.0.mlp.fc1.weight",
    "model.vision_model.encoder.layers.1.mlp.fc2.bias",
    "model.vision_model.post_layernorm.weight",
]


def make_tokenizer(folder):
    """A Qwen2Tokenizer on the toy vocabulary, loaded back from a folder as a real one is."""
    with tempfile.TemporaryDirectory() as tmp:
        toy_tokenizer.toy_tokenizer().save(os.path.join(tmp, "tokenizer.json"))
        with open(os.path.join(tmp, "tokenizer_config.json"), "w") as f:
            json.dump(
                {
                    "tokenizer_class": "Qwen2Tokenizer",
                    "eos_token": "<|im_end|>",
                    "pad_token": "<|endoftext|>",
                    "bos_token": None,
                    "unk_token": None,
                    "model_max_length": 1024,
                    "clean_up_tokenization_spaces": False,
                    "errors": "replace",
                    "split_special_tokens": False,
                    "add_bos_token": False,
                    "add_prefix_space": False,
                    "additional_special_tokens": toy_tokenizer.SPECIALS[1:],
                },
                f,
            )
        return AutoTokenizer.from_pretrained(tmp)


def toy_config(tokenizer, tied=False):
    """The toy configuration: every dimension differs from its neighbours so that a transposition cannot pass."""
    return VideoLlama3Config(
        text_config=dict(
            model_type="qwen2",
            hidden_size=32,
            num_hidden_layers=2,
            num_attention_heads=4,
            num_key_value_heads=2,
            intermediate_size=64,
            vocab_size=VOCAB,
            tie_word_embeddings=tied,
            max_position_embeddings=1024,
            rope_parameters={"rope_type": "default", "rope_theta": 1000000.0},
        ),
        vision_config=dict(
            hidden_size=24, num_attention_heads=3, num_hidden_layers=2, intermediate_size=40, patch_size=14
        ),
        image_token_id=tokenizer.convert_tokens_to_ids("<|image_pad|>"),
        video_token_id=tokenizer.convert_tokens_to_ids("<|video_pad|>"),
        tie_word_embeddings=tied,
    )


def fill(model, seed):
    """Draw every parameter, large enough that attention, norms and biases all matter."""
    g = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for name, p in sorted(model.named_parameters()):
            draw = torch.randn(p.shape, generator=g)
            if name == "lm_head.weight" or "embed_tokens" in name:
                p.copy_(draw * 0.5)
            elif p.ndim == 1 and "norm" in name and name.endswith("weight"):
                p.copy_(1.0 + 0.2 * draw)
            elif p.ndim == 1:
                p.copy_(0.1 * draw)
            elif "patch_embedding" in name:
                p.copy_(0.06 * draw)
            elif "q_proj" in name or "k_proj" in name:
                p.copy_(0.3 * draw)
            else:
                p.copy_(0.15 * draw)


def picture(h, w, seed):
    """A smooth colour gradient with a disc and noise, uint8 [h, w, 3]."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[0:h, 0:w].astype(np.float64)
    base = np.stack([255 * x / w, 255 * y / h, 127 + 100 * np.sin(x / 9.0 + y / 7.0)], -1)
    disc = (x - w * 0.6) ** 2 + (y - h * 0.4) ** 2 < (min(h, w) * 0.3) ** 2
    base[disc] = [230, 40, 60]
    return np.clip(base + rng.integers(-12, 13, base.shape), 0, 255).astype(np.uint8)


def clip(frames=4, h=84, w=112, seed=5):
    """Frames with static parts: frame 1 changes one block, frame 2 nothing at all, frame 3 four blocks, two of them barely.

    A block is 28x28 pixels (merge 2). Frame 2 is identical to frame 1, so it keeps only the one token of the minimum.
    In frame 3 one value of block (0, 0) changes by 117 (dropped, D = 0.0995) and one of block (0, 1) by 118 (kept, D = 0.1003).
    """
    first = picture(h, w, seed)
    first[5, 5, 1] = 20
    first[6, 33, 2] = 30
    out = [first]
    second = first.copy()
    second[28:56, 56:84] = 255 - second[28:56, 56:84]
    out.append(second)
    out.append(second.copy())
    last = second.copy()
    last[5, 5, 1] += 117
    last[6, 33, 2] += 118
    last[56:84, 0:28] = np.roll(last[56:84, 0:28], 3, axis=1)
    last[56:84, 84:112, 0] ^= 7
    out.append(last)
    return np.stack(out[:frames])


def metadata(n, fps, indices, total):
    """Metadata of frames that were sampled at `indices` from a file of `total` frames."""
    return VideoMetadata(total_num_frames=total, fps=fps, frames_indices=list(indices), duration=total / fps)


def make_requests():
    """The four cases: messages for the chat template, pictures, videos."""
    small = picture(56, 75, 1)  # 75 wide -> 70 wide: only the horizontal axis is resized
    second = picture(84, 70, 2)  # no resize
    video = clip()
    meta = metadata(4, 25.0, [0, 25, 50, 87], 100)
    user = lambda *items: [{"role": "user", "content": list(items)}]
    t = lambda s: {"type": "text", "text": s}
    image, vid = {"type": "image"}, {"type": "video"}
    return {
        "image": (user(image, t("What is in the image?")), [small], []),
        "video": (user(vid, t("Is the man on the street?\nTime it.")), [], [(video, meta)]),
        "mixed": (
            [{"role": "system", "content": "You are a helpful assistant."}]
            + user(vid, t("Is it the same as "), image, t("and"), image, t("?")),
            [small, second],
            [(video, meta)],
        ),
        "text": (user(t("What is the colour of bananas? Naïve café, 12 ½ 東京 🙂\n\n  end")), [], []),
    }


def run_processor(processor, messages, images, videos):
    """Chat template, expansion and tokenization as the user of transformers does it."""
    text = processor.apply_chat_template(messages, add_generation_prompt=True, tokenize=False)
    kwargs = {}
    if images:
        kwargs["images"] = [Image.fromarray(i) for i in images]
    if videos:
        kwargs["videos"] = [torch.from_numpy(v).permute(0, 3, 1, 2) for v, _ in videos]
        kwargs["video_metadata"] = [copy.deepcopy(m) for _, m in videos]
    inputs = processor(text=[text], return_tensors="pt", **kwargs)
    inputs.pop("video_metadata", None)
    return text, inputs


def capture(model, inputs):
    """One forward with hooks: encoder output before the merge, merged, projected, embeddings, logits."""
    parts, hooks = {}, []
    pre, merged = [], []
    hooks.append(model.model.vision_model.post_layernorm.register_forward_hook(lambda m, a, o: pre.append(o.detach())))
    hooks.append(
        model.model.projector.register_forward_hook(lambda m, a, o: merged.append((a[0].detach(), o.detach())))
    )
    embeds = []

    def on_language(module, args, kwargs):
        embeds.append(kwargs["inputs_embeds"].detach())

    hooks.append(model.model.language_model.register_forward_pre_hook(on_language, with_kwargs=True))
    with torch.no_grad():
        out = model(**inputs, use_cache=False)
    for h in hooks:
        h.remove()
    kinds = [k for k, present in (("image", "pixel_values" in inputs), ("video", "pixel_values_videos" in inputs)) if present]
    for kind, p, (a, o) in zip(kinds, pre, merged):
        parts[f"{kind}.encoder"] = p.reshape(-1, p.shape[-1])
        parts[f"{kind}.merged"] = a
        parts[f"{kind}.visual_tokens"] = o
    parts["inputs_embeds"] = embeds[0][0]
    parts["logits"] = out.logits[0].detach()
    return parts


def greedy(model, inputs, steps):
    """Greedy continuation through the KV cache; ids, logits of each step, smallest gap between first and second."""
    kwargs = dict(inputs)
    mask = kwargs.pop("attention_mask")
    ids, rows, gap = [], [], float("inf")
    past, step_inputs = None, kwargs
    with torch.no_grad():
        for _ in range(steps):
            out = model(**step_inputs, attention_mask=mask, past_key_values=past, use_cache=True)
            past = out.past_key_values
            row = out.logits[0, -1]
            top = row.topk(2).values
            gap = min(gap, (top[0] - top[1]).item())
            token = int(row.argmax())
            ids.append(token)
            rows.append(row)
            step_inputs = {"input_ids": torch.tensor([[token]])}
            mask = torch.cat([mask, torch.ones(1, 1, dtype=mask.dtype)], 1)
    return ids, torch.stack(rows), gap


def score(model, cases, base):
    """(usable, worst gap, variety): no token beyond the base vocabulary, no near tie, not one token for ever."""
    worst, variety = float("inf"), 10**6
    for inputs in cases.values():
        ids, _, gap = greedy(model, inputs, STEPS)
        if max(ids) >= base or gap < 2e-3:
            return False, gap, 0
        worst, variety = min(worst, gap), min(variety, len(set(ids)))
    return variety >= 6, worst, variety


def gradients(model, inputs):
    """Loss (mean cross entropy over marked targets) and the gradients of GRADIENT_NAMES."""
    ids = inputs["input_ids"][0]
    labels = torch.full_like(ids, -100)
    targets = list(range(len(ids) - 14, len(ids), 2)) + [3, 4]  # positions whose token is predicted from the one before
    for p in targets:
        labels[p] = ids[p]
    model.zero_grad()
    out = model(**inputs, use_cache=False)
    logits = out.logits[0]
    loss = torch.nn.functional.cross_entropy(logits[:-1], labels[1:], ignore_index=-100)
    loss.backward()
    named = dict(model.named_parameters())
    grads = {n: named[n].grad.detach().clone() for n in GRADIENT_NAMES if n in named}
    return loss.item(), labels, grads


def widened(inputs):
    """The same inputs with f64 pixels."""
    return {k: v.double() if torch.is_tensor(v) and v.is_floating_point() else v for k, v in inputs.items()}


def noise(parts, wide_parts):
    """Largest |f32 - f64| of every part: the reference's own rounding, from which a port's tolerance follows.

    (transformers keeps softmax, rotary angles and RMSNorm in f32 inside the f64 run, so this is a lower estimate.)
    """
    return {k: (parts[k].double() - wide_parts[k].double()).abs().max().item() for k in parts}


def processor_goldens(processor, requests, out):
    """Raw inputs, the Pillow path (used by the cases) and the default torchvision path."""
    tensors = {}
    (small, second), (video, _) = requests["mixed"][1], requests["mixed"][2][0]
    tensors["raw.image0"], tensors["raw.image1"] = torch.from_numpy(small), torch.from_numpy(second)
    tensors["raw.video"] = torch.from_numpy(video)
    pil = processor.image_processor
    fast = transformers.VideoLlama3ImageProcessor(size=dict(pil.size))
    for key, raw in (("image0", small), ("image1", second)):
        result = pil(images=[Image.fromarray(raw)], return_tensors="pt")
        tensors[f"{key}.pixel_values"] = result["pixel_values"].float()
        quick = fast(images=[Image.fromarray(raw)], return_tensors="pt")
        grey = ((quick["pixel_values"] * 127.5) + 127.5).round().to(torch.uint8)
        tensors[f"{key}.torchvision_u8"] = grey
    levels = np.arange(256, dtype=np.uint8)
    square = np.zeros((14 * 4, 14 * 4, 3), np.uint8)
    square.reshape(-1)[: 256 * 3] = np.repeat(levels, 3)
    for key, proc in (("pil", pil), ("torchvision", fast)):
        values = proc(images=[Image.fromarray(square)], return_tensors="pt", do_resize=False)["pixel_values"]
        channel = values.reshape(4, 4, 3, 14, 14).permute(2, 0, 3, 1, 4).reshape(3, 56 * 56)
        tensors[f"normalize.{key}"] = channel[0][:256].float().contiguous()
    wide = np.stack([picture(84, 116, 9 + i) for i in range(2)])  # torchvision video resize 116 -> 112
    result = processor.video_processor(
        videos=[torch.from_numpy(wide).permute(0, 3, 1, 2)], video_metadata=[metadata(2, 1.0, [0, 1], 2)],
        return_tensors="pt",
    )
    tensors["raw.video_wide"] = torch.from_numpy(wide)
    tensors["video_wide.torchvision_u8"] = ((result["pixel_values_videos"] * 127.5) + 127.5).round().to(torch.uint8)
    tensors["video_wide.grid"] = result["video_grid_thw"]
    save(tensors, os.path.join(out, "processor.safetensors"))


def save(tensors, path):
    """Contiguous copies, so that no two entries share memory."""
    save_file({k: v.detach().contiguous().clone() for k, v in tensors.items()}, path)


def case_tensors(inputs, parts, ids, rows):
    """What one case stores."""
    tensors = {"input_ids": inputs["input_ids"][0], "greedy_ids": torch.tensor(ids), "greedy_logits": rows, **parts}
    for key in ("image_grid_thw", "image_merge_sizes", "video_grid_thw", "video_merge_sizes", "video_compression_mask"):
        if key in inputs:
            value = inputs[key]
            tensors[key] = value.to(torch.uint8) if value.dtype == torch.bool else value
    return tensors


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", default=DEFAULT_OUT)
    parser.add_argument("--seed", type=int, default=330, help="first seed of the search")
    args = parser.parse_args()
    transformers.logging.set_verbosity_error()
    torch.manual_seed(0)
    torch.use_deterministic_algorithms(True)
    os.makedirs(args.out, exist_ok=True)

    tokenizer = make_tokenizer(args.out)
    processor = VideoLlama3Processor(
        image_processor=VideoLlama3ImageProcessorPil(size={"shortest_edge": 16 * 196, "longest_edge": 16384 * 196}),
        tokenizer=tokenizer,
        video_processor=VideoLlama3VideoProcessor(size={"shortest_edge": 4 * 784, "longest_edge": 16384 * 784}),
        chat_template=toy_tokenizer.CHAT_TEMPLATE,
    )
    config = toy_config(tokenizer)
    config._attn_implementation = "eager"
    model = VideoLlama3ForConditionalGeneration(config).eval()
    base = len(tokenizer) - len(toy_tokenizer.SPECIALS)

    requests = make_requests()
    texts, cases = {}, {}
    for name, (messages, images, videos) in requests.items():
        texts[name], cases[name] = run_processor(processor, messages, images, videos)
    seed = args.seed
    while True:
        fill(model, seed)
        usable, worst, variety = score(model, cases, base)
        if usable:
            break
        seed += 1
        assert seed < args.seed + SEED_LIMIT, "no usable seed"
    print("seed", seed, "smallest gap", worst, "fewest distinct tokens", variety)

    folder = os.path.join(args.out, "toy-hf")
    shutil.rmtree(folder, ignore_errors=True)
    model.generation_config = GenerationConfig(
        do_sample=False,
        eos_token_id=[tokenizer.convert_tokens_to_ids("<|im_end|>"), tokenizer.convert_tokens_to_ids("<|endoftext|>")],
        pad_token_id=tokenizer.convert_tokens_to_ids("<|endoftext|>"),
        bos_token_id=tokenizer.convert_tokens_to_ids("<|endoftext|>"),
    )
    model.save_pretrained(folder)
    processor.save_pretrained(folder)
    again = AutoProcessor.from_pretrained(folder)
    assert isinstance(again.image_processor, transformers.VideoLlama3ImageProcessor), type(again.image_processor)
    assert VideoLlama3ImageProcessorPil.from_pretrained(folder).size == processor.image_processor.size

    report = {
        "versions": {
            "torch": torch.__version__,
            "torchvision": torchvision.__version__,
            "transformers": transformers.__version__,
            "pillow": PIL.__version__,
            "numpy": np.__version__,
        },
        "seed": seed,
        "image_processor": type(processor.image_processor).__name__,
        "video_processor": type(processor.video_processor).__name__,
        "attention": "eager",
        "dtype": "float32",
        "cases": {},
    }
    processor_goldens(processor, requests, args.out)
    wide = copy.deepcopy(model).double()
    for name, inputs in cases.items():
        parts = capture(model, inputs)
        ids, rows, gap = greedy(model, inputs, STEPS)
        full = model.generate(**inputs, max_new_tokens=STEPS, do_sample=False, eos_token_id=None, pad_token_id=0)
        assert full[0, inputs["input_ids"].shape[1] :].tolist() == ids, name
        tensors = case_tensors(inputs, parts, ids, rows)
        if name == "video":
            tensors["pixel_values_videos"] = inputs["pixel_values_videos"]
        save(tensors, os.path.join(args.out, f"{name}.safetensors"))
        messages, images, videos = requests[name]
        report["cases"][name] = {
            "messages": messages,
            "prompt": texts[name],
            "images": [f"image{i}" for i in range(len(images))],
            "videos": [
                {"raw": "video", "fps": m.fps, "frames_indices": m.frames_indices, "timestamps": m.timestamps}
                for _, m in videos
            ],
            "expanded": tokenizer.decode(inputs["input_ids"][0]),
            "prompt_tokens": int(inputs["input_ids"].shape[1]),
            "greedy_text": tokenizer.decode(ids),
            "greedy_min_gap": gap,
            "f32_noise": noise(parts, capture(wide, widened(inputs))),
        }
    loss, labels, grads = gradients(model, cases["mixed"])
    save({"labels": labels, **grads}, os.path.join(args.out, "gradients.safetensors"))
    _, _, wide_grads = gradients(wide, widened(cases["mixed"]))
    report["gradients"] = {"case": "mixed", "loss": loss, "names": sorted(grads), "f32_noise": noise(grads, wide_grads)}

    tied = VideoLlama3ForConditionalGeneration(toy_config(tokenizer, tied=True)).eval()
    tied.config._attn_implementation = "eager"
    state = {k: v for k, v in model.state_dict().items() if k != "lm_head.weight"}
    missing = tied.load_state_dict(state, strict=False)
    assert not missing.unexpected_keys
    tied.tie_weights()
    assert tied.lm_head.weight.data_ptr() == tied.get_input_embeddings().weight.data_ptr()
    parts = capture(tied, cases["mixed"])
    loss, labels, grads = gradients(tied, cases["mixed"])
    save(
        {"logits_last8": parts["logits"][-8:], "labels": labels, "embed_gradient": grads["model.language_model.embed_tokens.weight"]},
        os.path.join(args.out, "tied.safetensors"),
    )
    report["tied"] = {"case": "mixed", "loss": loss}
    with open(os.path.join(args.out, "goldens.json"), "w") as f:
        json.dump(report, f, indent=1, ensure_ascii=False)
        f.write("\n")


if __name__ == "__main__":
    main()
