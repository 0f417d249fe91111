"""Make the toy LLaVA-OneVision checkpoint and its goldens with transformers (LlavaOnevisionForConditionalGeneration).

Writes, under OUT (default crates/models/tests/golden/llava_onevision):

  toy-hf/              a loadable folder in the layout that transformers saves (f32, untied head)
  original-layout/     JSON files of the authors' layout for the same weights (the tests rename the tensors)
  inputs.safetensors   raw uint8 pictures and frames
  CASE.safetensors     pixels as gray levels, ids, encoder features, embeddings, last logits, greedy continuation
  gradients.safetensors gradients of the mixed case (every parameter named in goldens.json)
  goldens.json         prompts, versions, seed, rounding of f32
  original.safetensors, original.json, plan.json   (with --original: a checkout of LLaVA-VL/LLaVA-NeXT, run in place)

Deterministic on one CPU thread, with Pillow 12 (the authors' code resizes with it; Pillow 13 rounds otherwise for some sizes):
OMP_NUM_THREADS=1 python reference/make_llava_onevision_toy.py --original FOLDER
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
from transformers import (
    AutoTokenizer,
    GenerationConfig,
    LlavaOnevisionConfig,
    LlavaOnevisionForConditionalGeneration,
    LlavaOnevisionImageProcessor,
    LlavaOnevisionProcessor,
    LlavaOnevisionVideoProcessor,
)

import llava_onevision_original as original
import make_videollama3_toy as toy
import toy_tokenizer

HERE = os.path.dirname(os.path.abspath(__file__))
DEFAULT_OUT = os.path.join(HERE, "..", "crates", "models", "tests", "golden", "llava_onevision")
SPECIALS = ["<|endoftext|>", "<|im_start|>", "<|im_end|>", "<image>", "<video>"]
VOCAB = 304
SIDE, PATCH = 32, 6  # 5 patches of 6 pixels; two lines of pixels are not seen
PINPOINTS = [[SIDE * a, SIDE * b] for a in (1, 2, 3) for b in (1, 2, 3)]
STEPS, LAST = 64, 16

# B7.2 of the model page, and the form with a space and a mark of generation that copies of the published file have.
TEMPLATE = (
    "{% for message in messages %}{{ '<|im_start|>' + message['role'] + '\\n' }}"
    "{% for content in message['content'] | selectattr('type', 'equalto', 'image') %}{{ '<image>\\n' }}{% endfor %}"
    "{% for content in message['content'] | selectattr('type', 'equalto', 'video') %}{{ '<video>\\n' }}{% endfor %}"
    "{% for content in message['content'] | selectattr('type', 'equalto', 'text') %}{{ content['text'] }}{% endfor %}"
    "{{ '<|im_end|>\\n' }}{% endfor %}{% if add_generation_prompt %}{{ '<|im_start|>assistant\\n' }}{% endif %}"
)
OTHER_TEMPLATE = (
    "{% for message in messages %}{{'<|im_start|>' + message['role'] + ' '}}"
    "{# pictures #}{% for content in message['content'] | selectattr('type', 'equalto', 'image') %}{{ '<image>' }}{% endfor %}"
    "{# videos #}{% for content in message['content'] | selectattr('type', 'equalto', 'video') %}{{ '<video>' }}{% endfor %}"
    "{% if message['role'] != 'assistant' %}"
    "{% for content in message['content'] | selectattr('type', 'equalto', 'text') %}{{ '\\n' + content['text'] }}{% endfor %}"
    "{% else %}{% for content in message['content'] | selectattr('type', 'equalto', 'text') %}"
    "{% generation %}{{ '\\n' + content['text'] }}{% endgeneration %}{% endfor %}{% endif %}"
    "{{'<|im_end|>'}}{% endfor %}{% if add_generation_prompt %}{{ '<|im_start|>assistant\\n' }}{% endif %}"
)
GRADIENT_NAMES = [
    "lm_head.weight",
    "model.image_newline",
    "model.language_model.embed_tokens.weight",
    "model.language_model.layers.0.self_attn.q_proj.weight",
    "model.language_model.layers.1.mlp.down_proj.weight",
    "model.language_model.norm.weight",
    "model.multi_modal_projector.linear_1.weight",
    "model.multi_modal_projector.linear_2.bias",
    "model.vision_tower.embeddings.patch_embedding.weight",
    "model.vision_tower.embeddings.position_embedding.weight",
    "model.vision_tower.encoder.layers.0.self_attn.k_proj.weight",
    "model.vision_tower.encoder.layers.0.layer_norm1.weight",
    "model.vision_tower.encoder.layers.1.mlp.fc2.bias",
]


def make_tokenizer():
    """A Qwen2Tokenizer on the toy vocabulary with the two placeholders, loaded back from a folder."""
    tokenizer = toy_tokenizer.qwen2_pipeline(*toy_tokenizer.vocab_and_merges(), SPECIALS)
    with tempfile.TemporaryDirectory() as tmp:
        tokenizer.save(os.path.join(tmp, "tokenizer.json"))
        config = {
            "tokenizer_class": "Qwen2Tokenizer", "eos_token": "<|im_end|>", "pad_token": "<|endoftext|>", "bos_token": None, "unk_token": None,
            "model_max_length": 2048, "clean_up_tokenization_spaces": False, "errors": "replace", "split_special_tokens": False,
            "add_prefix_space": False, "additional_special_tokens": SPECIALS[1:],
        }  # fmt: skip
        with open(os.path.join(tmp, "tokenizer_config.json"), "w") as f:
            json.dump(config, f)
        return AutoTokenizer.from_pretrained(tmp)


def toy_config(tokenizer):
    return LlavaOnevisionConfig(
        text_config=dict(
            model_type="qwen2", hidden_size=32, num_hidden_layers=2, num_attention_heads=4, num_key_value_heads=2, intermediate_size=64,
            vocab_size=VOCAB, tie_word_embeddings=False, max_position_embeddings=2048,
            rope_parameters={"rope_type": "default", "rope_theta": 1000000.0},
        ),
        vision_config=dict(
            model_type="siglip_vision_model", hidden_size=24, num_attention_heads=3, num_hidden_layers=2, intermediate_size=40,
            patch_size=PATCH, image_size=SIDE, vision_use_head=False,
        ),
        image_token_index=tokenizer.convert_tokens_to_ids("<image>"), video_token_index=tokenizer.convert_tokens_to_ids("<video>"),
        image_grid_pinpoints=PINPOINTS, vision_aspect_ratio="anyres_max_2", tie_word_embeddings=False,
    )  # fmt: skip


def fill(model, seed):
    """As for the other toy, with position embeddings and a newline that show."""
    toy.fill(model, seed)
    g = torch.Generator().manual_seed(seed + 10_000)
    with torch.no_grad():
        model.model.image_newline.copy_(0.3 * torch.randn(model.model.image_newline.shape, generator=g))
        position = model.model.vision_tower.embeddings.position_embedding.weight
        position.copy_(0.2 * torch.randn(position.shape, generator=g))


def clip(frames=5, h=36, w=48):
    return np.stack([np.roll(toy.picture(h, w, 31), 4 * i, axis=1) for i in range(frames)])


PICTURES = {"wide": (50, 90, 1), "tall": (70, 30, 2), "small": (28, 40, 3), "square": (45, 45, 4)}


def make_cases():
    """Messages, names of pictures, number of videos."""
    t = lambda s: {"type": "text", "text": s}
    image, video = {"type": "image"}, {"type": "video"}
    user = lambda *items: {"role": "user", "content": list(items)}
    assistant = {"role": "assistant", "content": [t("The man.")]}
    system = {"role": "system", "content": [t("Answer in one word.")]}
    return {
        "scaled": ([user(t("What is in the image?"), image)], ["wide"], 0),
        "tall": ([system, user(image, t("What is on the street?"))], ["tall"], 0),
        "small": ([user(image, t("Is it the same?"))], ["small"], 0),
        "images": ([system, user(image, t("Is it "), image), assistant, user(image, t("and this?\n"))], ["wide", "tall", "square"], 0),
        "video": ([user(video, t("Which way does it go?"))], [], 1),
        "mixed": ([user(video, t("Is this "), image, t("in it?"))], ["small"], 1),
        "text": ([user(t("What is the colour of bananas? Naïve café, 12 ½ 東京 🙂\n\n  end"))], [], 0),
    }  # fmt: skip


def run_processor(processor, pictures, case):
    messages, images, videos = case
    text = processor.apply_chat_template(messages, add_generation_prompt=True, tokenize=False)
    kwargs = {}
    if images:
        # One sample with all of them: a flat list would be so many samples with one each.
        kwargs["images"] = [[Image.fromarray(pictures[name]) for name in images]]
    if videos:
        kwargs["videos"] = [torch.from_numpy(clip()).permute(0, 3, 1, 2)]
    return text, dict(processor(text=[text], return_tensors="pt", **kwargs))


def capture(model, inputs):
    """Encoder features of each kind, embeddings, logits."""
    parts, features, embeds = {}, [], []
    hooks = [
        model.model.multi_modal_projector.register_forward_hook(lambda m, a, o: features.append(a[0].detach())),
        model.model.language_model.register_forward_pre_hook(
            lambda m, a, k: embeds.append(k["inputs_embeds"].detach()), with_kwargs=True
        ),
    ]
    with torch.no_grad():
        out = model(**inputs, use_cache=False)
    for hook in hooks:
        hook.remove()
    kinds = [kind for kind, key in (("image", "pixel_values"), ("video", "pixel_values_videos")) if key in inputs]
    for kind, value in zip(kinds, features, strict=True):
        parts[f"{kind}.encoder"] = value.reshape(-1, value.shape[-1])
    parts["inputs_embeds"], parts["logits"] = embeds[0][0], out.logits[0, -LAST:].detach()
    return parts


def usable(model, inputs):
    """(no near tie and some variety, smallest gap). A special token that the toy says is an ordinary one to the decoder."""
    gap, variety = float("inf"), STEPS
    for one in inputs.values():
        ids, _, own = toy.greedy(model, one, STEPS)
        gap, variety = min(gap, own), min(variety, len(set(ids)))
        if gap < 1e-3 or variety < 5:
            return False, gap
    return True, gap


def gray(pixels):
    """Normalized pixels back to levels; exact, since neighbors are 1/127.5 apart."""
    levels = pixels.double() * 127.5 + 127.5
    assert (levels - levels.round()).abs().max() < 1e-3
    return levels.round().to(torch.uint8)


def gradients(model, inputs):
    ids = inputs["input_ids"][0]
    labels = torch.full_like(ids, -100)
    for p in list(range(len(ids) - 14, len(ids), 2)) + [3]:
        labels[p] = ids[p]
    model.zero_grad()
    logits = model(**inputs, use_cache=False).logits[0]
    loss = torch.nn.functional.cross_entropy(logits[:-1], labels[1:], ignore_index=-100)
    loss.backward()
    named = dict(model.named_parameters())
    return loss.item(), labels, {n: named[n].grad.detach().clone() for n in GRADIENT_NAMES}


def other_prompts(tokenizer, cases):
    """The second template's text of every case, with and without the header of a reply."""
    rows = []
    for name, (messages, _, _) in cases.items():
        for generate in (True, False):
            text = tokenizer.apply_chat_template(messages, chat_template=OTHER_TEMPLATE, add_generation_prompt=generate, tokenize=False)
            rows.append({"case": name, "generate": generate, "text": text})
    return rows


def write_original_folder(out, config, tokenizer_json):
    """The authors' layout: one flat configuration, SigLIP's sizes beside it, because the toy's are not the published ones."""
    folder = os.path.join(out, "original-layout")
    shutil.rmtree(folder, ignore_errors=True)
    os.makedirs(folder)
    text, vision = config.text_config, config.vision_config
    flat = {k: getattr(text, k) for k in ("hidden_size", "num_hidden_layers", "num_attention_heads", "num_key_value_heads", "intermediate_size",
                                          "vocab_size", "max_position_embeddings", "rms_norm_eps")}  # fmt: skip
    flat |= {
        "architectures": ["LlavaQwenForCausalLM"], "model_type": "llava", "rope_theta": 1000000.0, "tie_word_embeddings": False,
        "image_aspect_ratio": "anyres_max_2", "mm_patch_merge_type": "spatial_unpad", "image_grid_pinpoints": PINPOINTS,
        "image_crop_resolution": None, "image_split_resolution": None, "mm_hidden_size": 24, "mm_projector_type": "mlp2x_gelu",
        "mm_vision_tower": "toy", "mm_vision_select_layer": -2, "mm_vision_select_feature": "patch", "mm_spatial_pool_mode": "bilinear",
        "mm_newline_position": "one_token", "mm_use_im_start_end": False, "mm_use_im_patch_token": False,
        "vision_config": {"hidden_size": 24, "num_hidden_layers": vision.num_hidden_layers + 1, "num_attention_heads": 3, "intermediate_size": 40,
                          "patch_size": PATCH, "image_size": SIDE},
    }  # fmt: skip
    with open(os.path.join(folder, "config.json"), "w") as f:
        json.dump(flat, f, indent=1)
    shutil.copy(tokenizer_json, os.path.join(folder, "tokenizer.json"))


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", default=DEFAULT_OUT)
    parser.add_argument("--original", help="checkout of LLaVA-VL/LLaVA-NeXT")
    parser.add_argument("--seed", type=int, default=330)
    args = parser.parse_args()
    transformers.logging.set_verbosity_error()
    torch.manual_seed(0)
    torch.use_deterministic_algorithms(True)
    os.makedirs(args.out, exist_ok=True)
    tokenizer = make_tokenizer()
    half, size = [0.5, 0.5, 0.5], {"height": SIDE, "width": SIDE}
    processor = LlavaOnevisionProcessor(
        image_processor=LlavaOnevisionImageProcessor(image_mean=half, image_std=half, size=size, image_grid_pinpoints=PINPOINTS),
        tokenizer=tokenizer,
        video_processor=LlavaOnevisionVideoProcessor(image_mean=half, image_std=half, size=size),
        num_image_tokens=(SIDE // PATCH) ** 2, vision_feature_select_strategy="full", vision_aspect_ratio="anyres_max_2", chat_template=TEMPLATE,
    )  # fmt: skip
    config = toy_config(tokenizer)
    config._attn_implementation = "eager"
    model = LlavaOnevisionForConditionalGeneration(config).eval()
    pictures = {name: toy.picture(*sizes) for name, sizes in PICTURES.items()}
    cases = make_cases()
    texts, inputs = {}, {}
    for name, case in cases.items():
        texts[name], inputs[name] = run_processor(processor, pictures, case)
    for seed in range(args.seed, args.seed + toy.SEED_LIMIT):
        fill(model, seed)
        found, gap = usable(model, inputs)
        if found:
            break
    else:
        raise AssertionError("no usable seed")
    print("seed", seed, "smallest gap", gap)

    folder = os.path.join(args.out, "toy-hf")
    shutil.rmtree(folder, ignore_errors=True)
    end, text_end = (tokenizer.convert_tokens_to_ids(t) for t in ("<|im_end|>", "<|endoftext|>"))
    model.generation_config = GenerationConfig(do_sample=False, eos_token_id=end, pad_token_id=text_end, bos_token_id=text_end)
    model.save_pretrained(folder)
    processor.save_pretrained(folder)
    write_original_folder(args.out, config, os.path.join(folder, "tokenizer.json"))
    raw = {name: torch.from_numpy(picture) for name, picture in pictures.items()}
    toy.save({**raw, "clip": torch.from_numpy(clip())}, os.path.join(args.out, "inputs.safetensors"))
    versions = {
        "torch": torch.__version__, "torchvision": torchvision.__version__, "transformers": transformers.__version__,
        "pillow": PIL.__version__, "numpy": np.__version__,
    }  # fmt: skip
    report = {"versions": versions, "seed": seed, "cases": {}}
    wide = copy.deepcopy(model).double()
    for name, one in inputs.items():
        parts = capture(model, one)
        ids, rows, gap = toy.greedy(model, one, STEPS)
        tensors = {"input_ids": one["input_ids"][0], "greedy_ids": torch.tensor(ids), "greedy_logits": rows[::8], **parts}
        for key in ("pixel_values", "pixel_values_videos"):
            if key in one:
                tensors[f"{key}.gray"] = gray(one[key])
        toy.save(tensors, os.path.join(args.out, f"{name}.safetensors"))
        messages, images, videos = cases[name]
        report["cases"][name] = {
            "messages": messages, "prompt": texts[name], "images": images, "videos": videos, "greedy_min_gap": gap,
            "f32_noise": toy.noise(parts, capture(wide, toy.widened(one))),
        }  # fmt: skip
    loss, labels, grads = gradients(model, inputs["mixed"])
    toy.save({"labels": labels, **grads}, os.path.join(args.out, "gradients.safetensors"))
    _, _, wide_grads = gradients(wide, toy.widened(inputs["mixed"]))
    report["gradients"] = {"case": "mixed", "loss": loss, "f32_noise": toy.noise(grads, wide_grads)}
    report["other_template"] = {"template": OTHER_TEMPLATE, "prompts": other_prompts(tokenizer, cases)}
    with open(os.path.join(args.out, "goldens.json"), "w") as f:
        json.dump(report, f, indent=1, ensure_ascii=False)
        f.write("\n")
    if args.original:
        assert int(PIL.__version__.split(".")[0]) < 13, f"Pillow {PIL.__version__}"
        original.write(args.original, args.out, model, processor, pictures, clip(), versions)


if __name__ == "__main__":
    main()
