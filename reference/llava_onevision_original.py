"""Goldens of the authors' own code (a checkout of LLaVA-VL/LLaVA-NeXT), for make_llava_onevision_toy.py.

Run in place: process_images and SigLipImageProcessor (pixels), prepare_inputs_labels_for_multimodal (tiles, unpadding, newlines, pooling),
conversation templates and tokenizer_image_token (prompts), process_video_with_decord (which frames). Their packages' __init__ files and
model builders are replaced by empty modules, because they load everything else.
"""

import json
import os
import sys
import types

import numpy as np
import torch
from PIL import Image
from transformers.image_processing_utils import select_best_resolution
from transformers.video_utils import VideoMetadata, default_sample_indices_fn

import make_videollama3_toy as toy

PUBLISHED = [[384 * a, 384 * b] for a in range(1, 7) for b in range(1, 7)]
# Worked examples of the model page, and sizes where the two conventions count differently.
SIZES = [
    (640, 480), (1344, 336), (1280, 720), (1920, 1080), (336, 336), (384, 384), (1024, 899), (100, 1000), (3000, 3000),
    (820, 369), (1107, 820), (1107, 1722), (2304, 2304), (2305, 2304), (1, 1), (2, 3), (40, 3000), (3000, 40), (768, 384), (384, 768), (385, 383),
]  # fmt: skip


def load(checkout):
    """Their modules, by name."""

    def package(name, **members):
        module = types.ModuleType(name)
        module.__path__ = [os.path.join(checkout, *name.split("."))]
        module.__dict__.update(members)
        sys.modules[name] = module
        parent, _, own = name.rpartition(".")
        if parent:
            setattr(sys.modules[parent], own, module)

    class Reader:
        """A video of `(frames, rate)` in the place of a file."""

        def __init__(self, video, **_):
            self.total, self.rate = video

        def __len__(self):
            return self.total

        def get_avg_fps(self):
            return self.rate

        def get_batch(self, indices):
            return types.SimpleNamespace(asnumpy=lambda: list(indices))

        def seek(self, _):
            pass

    package("decord", VideoReader=Reader, cpu=lambda _: None)
    package("av")
    package("llava")
    package("llava.model")
    for part, builder in (("encoder", "vision_tower"), ("resampler", "vision_resampler"), ("projector", "vision_projector")):
        package(f"llava.model.multimodal_{part}")
        package(f"llava.model.multimodal_{part}.builder", **{f"build_{builder}": None})
    os.environ["HF_HUB_OFFLINE"] = "1"  # their templates ask the hub for a tokenizer and do without
    import llava.constants
    import llava.conversation
    import llava.mm_utils
    import llava.model.llava_arch
    import llava.model.multimodal_encoder.siglip_encoder
    import llava.utils

    return llava


def assembler(llava, encode, embed, newline, side, image_size, **config):
    """An object with prepare_inputs_labels_for_multimodal over `encode` (pixels to projected rows)."""

    class Assembler(llava.model.llava_arch.LlavaMetaForCausalLM):
        device = torch.device("cpu")

        def __init__(self):
            tower = types.SimpleNamespace(num_patches_per_side=side, image_size=image_size)
            self.model = types.SimpleNamespace(get_vision_tower=lambda: tower, image_newline=newline, embed_tokens=embed)
            defaults = {"mm_patch_merge_type": "spatial_unpad", "mm_spatial_pool_mode": "bilinear", "tune_mm_mlp_adapter": False}
            self.config = types.SimpleNamespace(**defaults, **config)
            self.training = False

        def get_model(self):
            return self.model

        def encode_images(self, images):
            return encode(images)

    return Assembler()


def rows_of(assembler, llava, images, sizes, modalities):
    """Rows of the tags in a prompt of one token of text and a tag for each item."""
    ids = torch.full((1, 1 + len(images)), llava.constants.IMAGE_TOKEN_INDEX)
    ids[0, 0] = 1
    with torch.no_grad():
        out = assembler.prepare_inputs_labels_for_multimodal(ids, None, None, None, None, images, modalities, sizes)
    return out[4][0, 1:]


def size_table(llava, processor):
    """[w, h, best W, best H, tokens of the original, tokens of transformers] at the published sizes."""
    rng = np.random.default_rng(7)
    drawn = [tuple(int(n) for n in np.exp(rng.uniform(np.log(20), np.log(4000), 2))) for _ in range(220)]
    encode = lambda images: torch.zeros(images.shape[0], 729, 1)
    ours = assembler(
        llava, encode, lambda ids: torch.zeros(len(ids), 1), torch.zeros(1), 27, 384, image_aspect_ratio="anyres_max_9", image_grid_pinpoints=PUBLISHED
    )
    table = []
    for w, h in SIZES + drawn:
        cols, rows = llava.mm_utils.get_anyres_image_grid_shape((w, h), PUBLISHED, 384)
        pixels = torch.zeros(1 + cols * rows, 3, 1, 1)
        try:
            tokens = len(rows_of(ours, llava, [pixels], [(w, h)], ["image"]))
        except Exception as error:  # so long that a side becomes zero
            tokens = None
            print("original refuses", (w, h), type(error).__name__)
        best_h, best_w = select_best_resolution((h, w), PUBLISHED)
        table.append([w, h, cols * 384, rows * 384, tokens, best_w, best_h, processor._get_number_of_features(h, w, 384, 384)])
    return table


def sampling_table(llava):
    rows = []
    for total, rate in ((300, 30.0), (250, 25.0), (299, 29.97), (1000, 24.0), (45, 30.0), (7, 10.0), (900, 59.94), (40, 2.0)):
        metadata = VideoMetadata(total_num_frames=total, fps=rate)
        for fps in (1, 2, 4):
            settings = types.SimpleNamespace(video_fps=fps, frames_upbound=32, force_sample=False)
            theirs = None
            if round(rate / fps) > 0:  # below that the original divides by zero
                theirs, *_ = llava.utils.process_video_with_decord((total, rate), settings)
            # transformers refuses more than there are.
            picked = default_sample_indices_fn(metadata, fps=fps).tolist() if fps <= rate else None
            rows.append({"total": total, "rate": rate, "fps": fps, "original": theirs, "transformers": picked})
        for frames in (4, 16, 32):
            if frames <= total:
                settings = types.SimpleNamespace(video_fps=1, frames_upbound=frames, force_sample=True)
                theirs, *_ = llava.utils.process_video_with_decord((total, rate), settings)
                picked = default_sample_indices_fn(metadata, num_frames=frames).tolist()
                rows.append({"total": total, "rate": rate, "frames": frames, "original": theirs, "transformers": picked})
    return rows


def prompts(llava, tokenizer):
    """Conversations of the qwen_1_5 template, and their ids with -200 for each item."""
    rows = []
    for system, turns in (
        (None, [("<image>\nWhat is in the image?", None)]),
        (None, [("<image>\n<image>\nWhat is the time?", None)]),
        ("Answer in one word.", [("<image>\nIs it the same?", "The man."), ("and <image>\nthis?", None)]),
        (None, [("What is the colour of bananas?", "Yellow."), ("And?", "The end.")]),
    ):
        conversation = llava.conversation.conv_templates["qwen_1_5"].copy()
        if system:
            conversation.system = "<|im_start|>system\n" + system
        for question, reply in turns:
            conversation.append_message(conversation.roles[0], question)
            conversation.append_message(conversation.roles[1], reply)
        text = conversation.get_prompt()
        ids = llava.mm_utils.tokenizer_image_token(text, tokenizer, llava.constants.IMAGE_TOKEN_INDEX)
        rows.append({"system": system, "turns": turns, "text": text, "ids": ids})
    return rows


def write(checkout, out, model, processor, pictures, clip, versions):
    llava = load(checkout)
    siglip = llava.model.multimodal_encoder.siglip_encoder
    side, patch = model.config.vision_config.image_size, model.config.vision_config.patch_size
    crop = {"height": side, "width": side}
    theirs = siglip.SigLipImageProcessor(size=(side, side), crop_size=crop)

    def encode(pixels):
        hidden = model.model.vision_tower(pixels, output_hidden_states=True).hidden_states[-1]
        return model.model.multi_modal_projector(hidden)

    def run(images, sizes, modalities, **config):
        config = {"image_aspect_ratio": "anyres_max_2", "image_grid_pinpoints": model.config.image_grid_pinpoints, **config}
        ours = assembler(llava, encode, model.get_input_embeddings(), model.model.image_newline, side // patch, side, **config)
        return rows_of(ours, llava, images, sizes, modalities)

    tensors = {}
    for name in ("wide", "tall", "small", "square"):
        picture = Image.fromarray(pictures[name])
        for mode in ("anyres_max_2", "pad"):
            settings = types.SimpleNamespace(image_aspect_ratio=mode, image_grid_pinpoints=model.config.image_grid_pinpoints)
            pixels = llava.mm_utils.process_images([picture], theirs, settings)[0]
            pixels = torch.as_tensor(pixels)
            tensors[f"{name}.{mode}.pixels"] = ((pixels.double() * 127.5) + 127.5).round().to(torch.uint8)
            tensors[f"{name}.{mode}.tokens"] = run([pixels], [picture.size], ["image"], image_aspect_ratio=mode)
    frames = theirs.preprocess(list(clip), return_tensors="pt")["pixel_values"]
    frames = torch.as_tensor(np.stack(frames)) if isinstance(frames, list) else frames
    tensors["clip.pixels"] = ((frames.double() * 127.5) + 127.5).round().to(torch.uint8)
    for newline in ("one_token", "grid", "frame", "no_token"):
        tensors[f"clip.{newline}.tokens"] = run([frames], [None], ["video"], mm_newline_position=newline)
    toy.save(tensors, os.path.join(out, "original.safetensors"))
    with open(os.path.join(out, "original.json"), "w") as f:
        json.dump({"versions": versions, "prompts": prompts(llava, processor.tokenizer)}, f, ensure_ascii=False)
    with open(os.path.join(out, "plan.json"), "w") as f:
        # The processor of the published sizes.
        processor.image_processor.image_grid_pinpoints, processor.num_image_tokens = PUBLISHED, 729
        processor.vision_aspect_ratio = "anyres_max_9"
        json.dump({"versions": versions, "sizes": size_table(llava, processor), "sampling": sampling_table(llava)}, f)
