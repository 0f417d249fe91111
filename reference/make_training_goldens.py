"""Train the toy checkpoints in PyTorch by the recipes of the tests, and write the loss of every step.

    OMP_NUM_THREADS=1 python reference/make_training_goldens.py [NAME ...]

Reads crates/lab/tests/golden/training/NAME.toml, a recipe of stages as `zoetrope train` reads it, and writes NAME.json
beside it: the samples, and for every step its mean loss in f32, for every stage the tokens of a step. The checkpoint is a toy
of crates/models/tests/golden; the model, its processor and the template are transformers'. Every step shows all
samples, so that their order does not matter. The same run in f64 tells how far rounding alone moves the curve:
`f32_noise` is the largest relative difference of the two.

A low-rank adapter is that of the `peft` package.
"""

import argparse
import json
import math
import os
import tomllib

import numpy as np
import torch
import transformers
from PIL import Image
from transformers import AutoModelForImageTextToText, AutoProcessor
from transformers.video_utils import VideoMetadata

HERE = os.path.dirname(os.path.abspath(__file__))
GOLDEN = os.path.join(HERE, "..", "crates", "lab", "tests", "golden", "training")
TOYS = os.path.join(HERE, "..", "crates", "models", "tests", "golden")

# Media are made from numbers by the rule of `frame`: (kind, height, width, frames, seed). Turns are question, answer.
SAMPLES = [
    {"media": [["image", 56, 84, 1, 1]], "turns": [["What is in the image?", "A red thing."], ["Is it on the street?", "No."]]},
    {"media": [["video", 84, 84, 4, 2]], "turns": [["What is the man on?", "The other street, I think."]]},
    {"media": [], "turns": [["Time it.", "Time is money."]]},
    {"media": [["image", 70, 56, 1, 3], ["video", 56, 56, 3, 4]], "turns": [["Is it the same?", "It is another one."]]},
]
NAMES = ["videollama3", "videollama3-lora", "llava_onevision"]


def frame(height, width, number, seed):
    """A frame of whole numbers: slopes, a checkerboard that stays, and one inverted square that moves."""
    y, x, c = np.meshgrid(np.arange(height), np.arange(width), np.arange(3), indexing="ij")
    value = (x * (3 + c) + y * (5 + 2 * c) + 37 * seed + 60 * ((x // 12 + y // 12 + seed) % 2)) % 256
    inverted = (x // 28 == number) & (y // 28 == 0)
    return np.where(inverted, 255 - value, value).astype(np.uint8)


def messages_of(sample):
    """Messages of the chat template: media before the first question."""
    messages = []
    for number, (question, answer) in enumerate(sample["turns"]):
        media = [{"type": kind} for kind, *_ in sample["media"]] if number == 0 else []
        messages.append({"role": "user", "content": media + [{"type": "text", "text": question}]})
        messages.append({"role": "assistant", "content": [{"type": "text", "text": answer}]})
    return messages


def inputs_of(processor, sample):
    """What the model takes, and the targets: each reply with the token that ends it."""
    text = processor.apply_chat_template(messages_of(sample), add_generation_prompt=False, tokenize=False)
    images = [Image.fromarray(frame(h, w, 0, seed)) for kind, h, w, _, seed in sample["media"] if kind == "image"]
    clips = [(h, w, n, seed) for kind, h, w, n, seed in sample["media"] if kind == "video"]
    kwargs = {}
    if images:
        kwargs["images"] = images
    if clips:
        frames = [np.stack([frame(h, w, i, seed) for i in range(n)]) for h, w, n, seed in clips]
        kwargs["videos"] = [torch.from_numpy(f).permute(0, 3, 1, 2) for f in frames]
        kwargs["video_metadata"] = [
            VideoMetadata(total_num_frames=n, fps=1.0, frames_indices=list(range(n)), duration=float(n)) for _, _, n, _ in clips
        ]
    inputs = processor(text=[text], return_tensors="pt", **kwargs)
    inputs.pop("video_metadata", None)
    ids = inputs["input_ids"][0].tolist()
    tokenizer = processor.tokenizer
    header = tokenizer.encode("<|im_start|>assistant\n", add_special_tokens=False)
    end = tokenizer.convert_tokens_to_ids("<|im_end|>")
    labels, at = [-100] * len(ids), 0
    while at < len(ids):
        if ids[at : at + len(header)] == header:
            at += len(header)
            while True:
                labels[at] = ids[at]
                at += 1
                if ids[at - 1] == end:
                    break
        else:
            at += 1
    return dict(inputs), torch.tensor(labels)


def set_processor(processor, settings):
    """The settings of a stage, which are the family's own."""
    if hasattr(processor.image_processor, "merge_size"):
        processor.image_processor.merge_size = settings.get("merge", 1)
        processor.video_processor.merge_size = settings.get("merge", 2)
        processor.video_processor.use_token_compression = settings.get("prune", True)


def group_of(name):
    """The group of a parameter, by the names of transformers."""
    if "lm_head" in name or "embed_tokens" in name:
        return "embeddings"
    if "projector" in name or "image_newline" in name:
        return "projector"
    return "vision" if "vision" in name else "language"


def learn_of(stage, group):
    """What is learned of a group: embeddings go with the decoder, but have no adapters."""
    own = stage.get(group, {}).get("learn")
    if own is None and group == "embeddings":
        language = learn_of(stage, "language")
        return "full" if language == "full" else "frozen"
    return own or "full"


def lr_of(stage, group):
    part = "language" if group == "embeddings" else group
    return stage.get(group, {}).get("lr", stage.get(part, {}).get("lr", stage["optimizer"]["lr"]))


def share_at(schedule, steps, step):
    """The learning rate of a step (from 0) as a share of its peak."""
    warmup = schedule.get("warmup", math.floor(schedule.get("warmup_share", 0.0) * steps + 0.5))
    if step < warmup:
        return (step + 1) / warmup
    done = (step - warmup) / max(steps - warmup, 1)
    low = schedule.get("min_ratio", 0.0)
    left = 1 - done if schedule.get("kind") == "linear" else 0.5 * (1 + math.cos(math.pi * done))
    return low + (1 - low) * left


def decays(name, parameter):
    return parameter.ndim > 1 and "norm" not in name and "bias" not in name


def train_stage(model, processor, stage, dtype):
    """Trains in place; gives the loss of every step and the tokens of one."""
    set_processor(processor, stage.get("set", {}))
    batch = [inputs_of(processor, sample) for sample in SAMPLES]
    batch = [({k: v.to(dtype) if v.is_floating_point() else v for k, v in inputs.items()}, labels) for inputs, labels in batch]
    options, schedule, steps = stage["optimizer"], stage.get("schedule", {}), stage["steps"]
    groups = []
    for name, parameter in model.named_parameters():
        learn = learn_of(stage, group_of(name))
        is_adapter = "lora_" in name
        parameter.requires_grad_(learn == "full" or (learn == "lora" and is_adapter))
        if parameter.requires_grad:
            decay = options.get("weight_decay", 0.0) if decays(name, parameter) else 0.0
            groups.append({"params": [parameter], "lr": lr_of(stage, group_of(name)), "weight_decay": decay})
    betas = (options.get("beta1", 0.9), options.get("beta2", 0.999))
    optimizer = torch.optim.AdamW(groups, betas=betas, eps=options.get("eps", 1e-8), foreach=False)
    scheduler = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: share_at(schedule, steps, step))
    targets = sum(int((labels[1:] >= 0).sum()) for _, labels in batch)
    losses = []
    for _ in range(steps):
        optimizer.zero_grad(set_to_none=True)
        total = 0.0
        for inputs, labels in batch:
            logits = model(**inputs, use_cache=False).logits[0]
            loss = torch.nn.functional.cross_entropy(logits[:-1], labels[1:], ignore_index=-100, reduction="sum") / targets
            # With a frozen decoder, words alone teach nothing.
            if loss.requires_grad:
                loss.backward()
            total += loss.item()
        losses.append(total)
        torch.nn.utils.clip_grad_norm_([p for group in groups for p in group["params"]], options.get("clip", 1.0))
        optimizer.step()
        scheduler.step()
    return losses, sum(len(labels) for _, labels in batch)


def is_adapted(name, module, recipe):
    """Whether a matrix has an adapter: those of decoder layers and of the encoder's, in groups that learn one."""
    return isinstance(module, torch.nn.Linear) and learn_of(recipe["stage"][0], group_of(name)) == "lora"


def formula(module, shape):
    """First factors of adapters: numbers that the test makes, too, spread like PEFT's own."""
    index = torch.arange(shape[0] * shape[1], dtype=torch.float64)
    unit = (index * 7919 + sum(module.encode())) % 1009 / 1009 - 0.5
    return (unit * 2 / math.sqrt(shape[1])).reshape(shape).float()


def with_adapters(model, recipe):
    """The model with PEFT's adapters where the first stage learns them, and the sizes of their matrices by name."""
    sizes = {name: list(module.weight.shape) for name, module in model.named_modules() if is_adapted(name, module, recipe)}
    if not sizes:
        return model, {}
    import peft

    options = recipe["stage"][0][group_of(next(iter(sizes)))]
    config = peft.LoraConfig(
        r=options["rank"], lora_alpha=options["alpha"], target_modules=list(sizes), lora_dropout=0.0, bias="none"
    )
    model = peft.get_peft_model(model, config)
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if "lora_A" in name:
                module = name.removeprefix("base_model.model.").split(".lora_A")[0]
                parameter.copy_(formula(module, parameter.shape))
    return model, sizes


def over(defaults, own):
    """A table with what it does not say taken from the defaults, tables inside it as well."""
    merged = dict(defaults)
    for key, value in own.items():
        merged[key] = over(defaults.get(key, {}), value) if isinstance(value, dict) else value
    return merged


def run(name, dtype):
    with open(os.path.join(GOLDEN, f"{name}.toml"), "rb") as f:
        recipe = tomllib.load(f)
    recipe["stage"] = [over(recipe.get("defaults", {}), stage) for stage in recipe["stage"]]
    folder = os.path.join(TOYS, name.split("-")[0], "toy-hf")
    processor = AutoProcessor.from_pretrained(folder)
    model = AutoModelForImageTextToText.from_pretrained(folder, dtype=torch.float32, attn_implementation="eager").train()
    model.config.use_cache = False
    model, adapters = with_adapters(model, recipe)
    model = model.to(dtype)
    losses, tokens = [], []
    for stage in recipe["stage"]:
        of_stage, of_step = train_stage(model, processor, stage, dtype)
        losses += of_stage
        tokens.append(of_step)
    return losses, tokens, adapters


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*", default=NAMES)
    args = parser.parse_args()
    transformers.logging.set_verbosity_error()
    torch.manual_seed(0)
    torch.use_deterministic_algorithms(True)
    for name in args.names:
        narrow, tokens, adapters = run(name, torch.float32)
        wide, _, _ = run(name, torch.float64)
        noise = max(abs(a - b) / b for a, b in zip(narrow, wide))
        golden = {
            "made_by": f"make_training_goldens.py with torch {torch.__version__}, transformers {transformers.__version__}",
            "checkpoint": f"{name.split('-')[0]}/toy-hf",
            "samples": SAMPLES,
            "f32_noise": noise,
            "tokens": tokens,
            "adapters": adapters,
            "loss": [float(f"{loss:.7g}") for loss in narrow],
        }
        lines = [f'"{key}": {json.dumps(value)}' for key, value in golden.items()]
        with open(os.path.join(GOLDEN, f"{name}.json"), "w") as f:
            f.write("{" + ",\n".join(lines) + "}\n")
        print(name, "steps", len(narrow), "loss", narrow[0], "to", narrow[-1], "lowest", min(narrow), "noise", noise)
        print([round(l, 3) for l in narrow[::10]], tokens)


if __name__ == "__main__":
    main()
