"""Train the toy checkpoints in PyTorch by the published recipes, and write the loss of every step.

    OMP_NUM_THREADS=1 python reference/make_training_goldens.py [NAME ...]

Reads a recipe of stages as `zoetrope train` reads it: one of recipes/, in 200 steps of a few samples, which all
stages share, with all rates multiplied, so that a toy learns something and its loss does not vanish; or one of
crates/lab/tests/golden/training as it is. Writes NAME.json to that folder: the samples, and for every step its mean loss in f32, for every stage the tokens of a step. The checkpoint is a toy
of crates/models/tests/golden; the model, its processor and the template are transformers'. Every step shows all
samples, so that their order does not matter. The same run in f64 tells how far rounding alone moves the curve:
`f32_noise` is the largest relative difference of the two.

A low-rank adapter is that of the `peft` package. Families that transformers does not have run by their authors' code,
whose folders are named by COGVLM2 and LLAMA_VID; LLaMA-VID's needs an environment of its own:

    PYTHONPATH=DIR:SOURCE LLAMA_VID=SOURCE OMP_NUM_THREADS=1 python reference/make_training_goldens.py llama-vid

A stage whose objective is DPO learns from the pairs of answers that samples have (`preferences.py`); any other stage
learns their chosen answers.

VideoChat2 runs by its authors' code as well, whose checkout is named by ASK_ANYTHING.
"""

import argparse
import json
import math
import os
import sys
import tomllib

import numpy as np
import torch
import transformers
from PIL import Image

from preferences import Dpo

ROOT = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..")
GOLDEN = os.path.join(ROOT, "crates", "lab", "tests", "golden", "training")
TOYS = os.path.join(ROOT, "crates", "models", "tests", "golden")

# Media are made from numbers by the rule of `frame`: (kind, height, width, frames, seed). Turns are question, answer.
SAMPLES = [
    {"media": [["image", 56, 84, 1, 1]], "turns": [["What is in the image?", "A red thing."], ["Is it on the street?", "No."]]},
    {"media": [["video", 84, 84, 4, 2]], "turns": [["What is the man on?", "The other street, I think."]]},
    {"media": [], "turns": [["Time it.", "Time is money."]]},
    {"media": [["image", 70, 56, 1, 3], ["video", 56, 56, 3, 4]], "turns": [["Is it the same?", "It is another one."]]},
]
# Answers that are not preferred to the last questions of these: shorter, longer, and with a common beginning.
REJECTED = ["It is, and so is the man.", "It.", "Time is another thing, I think.", "It is the image."]
PAIRS = [{**sample, "rejected": rejected} for sample, rejected in zip(SAMPLES, REJECTED)]
# Pictures of the size that the encoder takes, because Pillow's versions resize differently.
PICTURES = [
    {"media": [["image", 42, 42, 1, 1]], "turns": [["What is in the image?", "A red thing."], ["Is it on the street?", "No."]]},
    {"media": [["image", 42, 42, 1, 2]], "turns": [["What is the man on?", "The other street, I think."]]},
    {"media": [], "turns": [["Time it.", "Time is money."]]},
]
PICTURES = [{**sample, "rejected": rejected} for sample, rejected in zip(PICTURES, REJECTED)]
# One turn each: the authors' prompt of the base model leaves out what was said before.
CLIPS = [
    {"media": [["video", 70, 96, 3, 1]], "turns": [["What is the man on?", "The other street, I think."]]},
    {"media": [["video", 50, 40, 2, 2]], "turns": [["Is it the same?", "It is another one."]]},
]
# Of the encoder's size, with as many questions as the authors' splice takes at once.
SHORT = [
    {"media": [["image", 56, 56, 1, 1]], "turns": [["What is in the image?", "A red thing."]]},
    {"media": [["video", 56, 56, 3, 2]], "turns": [["What is the man on?", "The other street, I think."]]},
    {"media": [], "turns": [["Time it.", "Time is money."]]},
]
# Of the encoder's size, so that nothing is resized; a clip of eight frames is shown by four of them.
CAPTIONED = [
    {"media": [["image", 32, 32, 1, 1]], "turns": [["What is in the image?", "A red thing."]]},
    {"media": [["video", 32, 32, 8, 2]], "turns": [["What is the man on?", "The other street, I think."]]},
    {"media": [["video", 32, 32, 8, 5]], "turns": [["Is it the same?", "It is another one."]]},
    {"media": [["image", 32, 32, 1, 4]], "turns": [["Watch it.", "The best video of the best image."]]},
]
STEPS, MOST_FRAMES = 200, 4


def frame(height, width, number, seed):
    """A frame of whole numbers: slopes, a checkerboard that stays, and one inverted square that moves."""
    y, x, c = np.meshgrid(np.arange(height), np.arange(width), np.arange(3), indexing="ij")
    value = (x * (3 + c) + y * (5 + 2 * c) + 37 * seed + 60 * ((x // 12 + y // 12 + seed) % 2)) % 256
    inverted = (x // 28 == number) & (y // 28 == 0)
    return np.where(inverted, 255 - value, value).astype(np.uint8)


class Transformers:
    """A family whose model, processor and template are those of transformers."""

    def __init__(self, folder, samples):
        from transformers import AutoModelForImageTextToText, AutoProcessor

        self.processor = AutoProcessor.from_pretrained(folder)
        self.model = AutoModelForImageTextToText.from_pretrained(folder, dtype=torch.float32, attn_implementation="eager")
        self.samples = samples

    def set(self, settings):
        """The settings of a stage, which are the family's own. Tiles stay those of the processor."""
        if hasattr(self.processor.image_processor, "merge_size"):
            self.processor.image_processor.merge_size = settings.get("merge", 1)
            self.processor.video_processor.merge_size = settings.get("merge", 2)
            self.processor.video_processor.use_token_compression = settings.get("prune", True)

    def batch(self):
        return [self.inputs_of(sample) for sample in self.samples]

    @staticmethod
    def group_of(name):
        if "lm_head" in name or "embed_tokens" in name:
            return "embeddings"
        if "projector" in name or "image_newline" in name:
            return "projector"
        return "vision" if "vision" in name else "language"

    @staticmethod
    def messages_of(sample):
        """Messages of the chat template: media before the first question."""
        messages = []
        for number, (question, answer) in enumerate(sample["turns"]):
            media = [{"type": kind} for kind, *_ in sample["media"]] if number == 0 else []
            messages.append({"role": "user", "content": media + [{"type": "text", "text": question}]})
            messages.append({"role": "assistant", "content": [{"type": "text", "text": answer}]})
        return messages

    def inputs_of(self, sample):
        """What the model takes, and the targets: each reply with the token that ends it."""
        text = self.processor.apply_chat_template(self.messages_of(sample), add_generation_prompt=False, tokenize=False)
        images = [Image.fromarray(frame(h, w, 0, seed)) for kind, h, w, _, seed in sample["media"] if kind == "image"]
        clips = [(h, w, n, seed) for kind, h, w, n, seed in sample["media"] if kind == "video"]
        kwargs = {}
        if images:
            kwargs["images"] = images
        if clips:
            from transformers.video_utils import VideoMetadata

            kwargs["videos"] = [torch.from_numpy(frames_of(*clip)).permute(0, 3, 1, 2) for clip in clips]
            kwargs["video_metadata"] = [
                VideoMetadata(total_num_frames=n, fps=1.0, frames_indices=list(range(n)), duration=float(n)) for _, _, n, _ in clips
            ]
        inputs = self.processor(text=[text], return_tensors="pt", **kwargs)
        inputs.pop("video_metadata", None)
        ids = inputs["input_ids"][0].tolist()
        tokenizer = self.processor.tokenizer
        header = tokenizer.encode("<|im_start|>assistant\n", add_special_tokens=False)
        end = tokenizer.convert_tokens_to_ids("<|im_end|>")
        labels, at = [-100] * len(ids), 0
        while at < len(ids):
            if ids[at : at + len(header)] != header:
                at += 1
                continue
            at += len(header)
            stop = ids.index(end, at) + 1
            labels[at:stop] = ids[at:stop]
            at = stop
        return dict(inputs, use_cache=False), torch.tensor(labels)


class CogVlm2:
    """The authors' code of CogVLM2 at toy size, as its toy was made; the folder of the code is named by COGVLM2."""

    def __init__(self, folder, samples):
        import make_cogvlm2_toy as maker
        from safetensors.torch import load_file
        from transformers import PreTrainedTokenizerFast

        names = dict(zip(("bos_token", "eos_token", "pad_token"), maker.SPECIALS))
        self.tokenizer = PreTrainedTokenizerFast(tokenizer_object=maker.tokenizer_json(), **names)
        ids = [self.tokenizer.convert_tokens_to_ids(token) for token in maker.SPECIALS]
        self.maker, self.pad, self.samples = maker, ids[2], samples
        if not hasattr(CogVlm2, "original"):
            CogVlm2.original = maker.load_original(os.environ["COGVLM2"], ids[2])
        self.modelling, config_class = CogVlm2.original
        with open(os.path.join(folder, "config.json")) as f:
            config = json.load(f)
        self.is_video = "Video" in config["architectures"][0]
        made = config_class(**{k: v for k, v in config.items() if k not in ("architectures", "torch_dtype")})
        self.model = self.modelling.CogVLMForCausalLM(made)
        if self.is_video:
            maker.without_experts(self.model)
        missing = self.model.load_state_dict(load_file(os.path.join(folder, "model.safetensors")), strict=False)
        assert not missing.unexpected_keys and (self.is_video or not missing.missing_keys), missing
        self.settings = {}

    def set(self, settings):
        self.settings = settings

    def batch(self):
        # The masks of the authors are made in the default type, and cached angles keep theirs.
        torch.set_default_dtype(next(self.model.parameters()).dtype)
        for module in self.model.modules():
            if hasattr(module, "_seq_len_cached"):
                module._seq_len_cached = 0
        return [self.inputs_of(sample) for sample in self.samples]

    @staticmethod
    def group_of(name):
        if "lm_head" in name or "embed_tokens" in name:
            return "embeddings"
        if "model.vision." not in name:
            return "language"
        return "projector" if "linear_proj" in name or name.endswith(("boi", "eoi")) else "vision"

    def inputs_of(self, sample):
        """The last answer is learned; earlier turns are a part of the question."""
        *history, (query, answer) = [tuple(turn) for turn in sample["turns"]]
        images = [frames_of(*clip[1:]) for clip in sample["media"]]
        if not self.is_video:
            shown = [Image.fromarray(own[0]) for own in images] or None
            made = self.model.build_conversation_input_ids(
                self.tokenizer, query=query, history=history, images=shown, template_version="chat", answer=answer
            )
            inputs = self.maker.batch(made["input_ids"].tolist(), made["token_type_ids"].tolist(), made["images"])
            return self.floats(inputs), made["labels"]
        template = self.settings.get("template", "chat")
        side = self.model.config.vision_config["image_size"]
        text = self.modelling._history_to_prompt(template, history, query)
        tokens = (side // 14) ** 2 + 2
        (frames,) = images
        if self.settings.get("sampling") == "uniform":
            frames = frames[np.linspace(0, len(frames) - 1, MOST_FRAMES).astype(int)]
        ids, kinds = self.maker.video_ids(self.tokenizer, len(frames), tokens, text, template, self.pad)
        learned = self.tokenizer.encode(answer, add_special_tokens=False) + [self.tokenizer.eos_token_id]
        pixels = self.maker.video_pixels(frames, side, torch.get_default_dtype())
        inputs = self.maker.batch(ids + learned, kinds + [0] * len(learned), pixels)
        return self.floats(inputs), torch.tensor([-100] * len(ids) + learned)

    def floats(self, inputs):
        images = inputs["images"]
        dtype = torch.get_default_dtype()
        inputs["images"] = images and [[image.to(dtype) for image in images[0]]]
        return dict(inputs, use_cache=False, return_dict=True)


class LlamaVid:
    """The authors' code of LLaMA-VID at toy size, in the environment that its toy was made in (`make_llama_vid_toy.py`);
    the folder of the code is named by LLAMA_VID."""

    def __init__(self, folder, samples):
        import make_llama_vid_toy as maker
        from safetensors.torch import load_file

        if not hasattr(LlamaVid, "modules"):
            LlamaVid.modules = maker.published(os.environ["LLAMA_VID"])
            llama = transformers.models.llama.modeling_llama
            masked = llama._make_causal_mask
            llama._make_causal_mask = lambda shape, dtype, *rest, **more: masked(shape, torch.float32, *rest, **more).to(dtype)
        self.maker, self.samples, self.tokenizer = maker, samples, maker.llama_tokenizer()
        self.model = maker.build(self.modules, folder)
        unknown = self.model.load_state_dict(load_file(os.path.join(folder, "model.safetensors")), strict=False)
        assert not unknown.unexpected_keys, unknown
        self.processor = transformers.CLIPImageProcessor(
            size={"shortest_edge": maker.SIDE}, crop_size={"height": maker.SIDE, "width": maker.SIDE}
        )

    def set(self, settings):
        assert settings.get("film") in ("off", "whole"), settings

    @staticmethod
    def group_of(name):
        if "vision_tower" in name:
            return "vision"
        if "mm_projector" in name or "vlm_att_" in name:
            return "projector"
        return "embeddings" if "lm_head" in name or "embed_tokens" in name else "language"

    def batch(self):
        return [self.inputs_of(sample) for sample in self.samples]

    def inputs_of(self, sample):
        """The reply with the token that ends it is learned. A clip stands there as a picture does, without film words."""
        ((question, answer),) = sample["turns"]
        prompt = self.maker.chat(self.modules[4], "vicuna_v1", [(question, answer)])
        images = None
        if sample["media"]:
            ((_, h, w, n, seed),) = sample["media"]
            pixels = self.processor.preprocess(list(frames_of(h, w, n, seed)), return_tensors="pt")["pixel_values"]
            images = [pixels.to(next(self.model.parameters()).dtype)]
        else:
            prompt = prompt.replace("<image>\n", "")
        ids = self.maker.ids_of(self.tokenizer, prompt)
        before = self.maker.ids_of(self.tokenizer, prompt[: prompt.rindex("ASSISTANT:") + len("ASSISTANT:")])
        learned = ids[len(before) :]
        inputs = {"ids": ids, "images": images, "question": question}
        with torch.no_grad():
            length = self.embed(inputs).shape[1]
        return inputs, torch.tensor([-100] * (length - len(learned)) + learned)

    def embed(self, inputs):
        if inputs["images"] is None:
            return self.model.model.embed_tokens(torch.tensor([inputs["ids"]]))
        return self.maker.embed(self.model, inputs["ids"], inputs["images"], inputs["question"])

    def logits(self, inputs):
        return self.model.lm_head(self.model.model(inputs_embeds=self.embed(inputs), use_cache=False)[0])[0]


class VideoChat2:
    """The authors' code of VideoChat2 at toy size (`make_videochat2_alignment.py`), the language model transformers'."""

    def __init__(self, folder, samples):
        import make_videochat2_alignment as alignment
        import make_videochat2_toy as maker
        import videochat2_first_stage as first_stage
        from safetensors.torch import load_file
        from tokenizers import Tokenizer
        from transformers import BertTokenizer

        words = BertTokenizer(vocab={token: id for id, token in enumerate(maker.BERT_VOCAB)}, truncation_side="left")
        words.add_special_tokens({"bos_token": "[DEC]"})
        self.tokenizer = Tokenizer.from_file(os.path.join(folder, "tokenizer.json"))
        self.maker, self.first_stage, self.words, self.samples = maker, first_stage, words, samples
        self.toy = alignment.plain_toy(os.environ["ASK_ANYTHING"], words, self.tokenizer.get_vocab_size() + 3)
        self.stage = first_stage.FirstStage(self.toy, alignment.SEED)
        kept = load_file(os.path.join(folder, "model.safetensors"))
        for name, p in {**self.toy.tensors(), **self.stage.heads()}.items():
            assert torch.equal(p.detach(), kept[name]), name
        self.settings = {}
        self.model = torch.nn.ModuleDict(
            {"first": self.stage, "queries": self.toy.queries, "proj": self.toy.proj, "language_model": self.toy.language}
        )

    def set(self, settings):
        self.settings = settings

    @staticmethod
    def group_of(name):
        if "lm_head" in name or "embed_tokens" in name:
            return "embeddings"
        if "language_model" in name:
            return "language"
        return "vision" if "vision_encoder" in name or "vision_layernorm" in name else "projector"

    def clip_of(self, sample):
        """Pixels [T, 3, S, S]: of a clip the middle frames of equal parts, by the authors' rule."""
        ((kind, h, w, n, seed),) = sample["media"]
        part = (n - 1) / MOST_FRAMES
        chosen = [int(part / 2 + round(part * i)) for i in range(MOST_FRAMES)] if kind == "video" else [0]
        assert len(set(chosen)) == len(chosen)
        return self.first_stage.pixels(frames_of(h, w, n, seed)[chosen])

    def contrastive(self, seed, step):
        """The loss of a step of the first stage, and the words of its captions."""
        dtype = self.stage.temp.dtype
        captions = [self.first_stage.caption_ids(self.words, sample["turns"][0][1]) for sample in self.samples]
        rows = [(0, n) for n in range(len(self.samples))]
        clips = [self.clip_of(sample).to(dtype) for sample in self.samples]
        losses, _, margin = self.stage.losses(clips, captions, rows, seed, step * len(rows))
        assert margin > 1e-4, f"step {step}: a draw is {margin} from another"
        return losses["contrast"] + losses["matching"] + losses["captioning"], sum(len(ids) for ids in captions)

    def batch(self):
        return [self.inputs_of(sample) for sample in self.samples]

    def inputs_of(self, sample):
        """The reply with the mark that ends it is learned."""
        ((kind, *_),) = sample["media"]
        ((question, answer),) = sample["turns"]
        name = kind.capitalize()
        before = f"[INST] <{name}>"
        after, said = f"</{name}> [/INST] [INST] {question} [/INST]", f" {answer}</s>"
        encode = lambda text: self.tokenizer.encode(text, add_special_tokens=False)
        first = [self.tokenizer.token_to_id("<s>")] + encode(before).ids
        rest = encode(after + said + " ")
        ends = len(after + said)
        learned = [id if len(after) <= start < ends else -100 for id, (start, _) in zip(rest.ids, rest.offsets)]
        instruction = "Watch the video and answer the question." if kind == "video" else (
            "Observe the image and answer the question."
        )
        heard = None if self.settings.get("hears") == "nothing" else instruction
        queries = sum(p.shape[1] for p in self.toy.queries)
        labels = torch.tensor([-100] * (len(first) + queries) + learned)
        return {"pixels": self.clip_of(sample), "parts": [first, rest.ids], "heard": heard}, labels

    def logits(self, inputs):
        clip, ids = inputs["pixels"], None
        if inputs["heard"]:
            longest = self.maker.MODEL_CONFIG["max_txt_len"]
            ids = self.words([inputs["heard"]], truncation=True, max_length=longest, return_tensors="pt").input_ids
        if clip.shape[0] > 1:
            self.toy.vision.encoder.pos_embed = self.toy.table(clip.shape[0])
        seen = self.toy.vision(clip.permute(1, 0, 2, 3).unsqueeze(0), clip.shape[0] == 1).flatten(1, 2)
        seen = self.toy.layernorm(seen)
        queries = torch.cat(list(self.toy.queries), dim=1)
        length = queries.shape[1] + (0 if ids is None else ids.shape[1])
        found = self.toy.qformer.bert(
            ids, attention_mask=torch.ones(1, length, dtype=torch.long), query_embeds=queries, encoder_hidden_states=seen,
            encoder_attention_mask=torch.ones(seen.shape[:2], dtype=torch.long), return_dict=True,
        )
        tokens = self.toy.proj(found.last_hidden_state[0, : queries.shape[1]])
        words = self.toy.language.get_input_embeddings()
        first, rest = [words(torch.tensor(part)) for part in inputs["parts"]]
        embedded = torch.cat([first, tokens, rest]).unsqueeze(0)
        return self.model["language_model"](inputs_embeds=embedded, use_cache=False).logits[0]

    def begin_stage(self, stage, dtype):
        """PEFT's adapters beside the language model's matrices, from the first stage on that learns them."""
        own = stage.get("language", {})
        if own.get("learn") != "lora" or hasattr(self, "sizes"):
            return
        # The authors' files were given one that does nothing.
        if not hasattr(sys.modules.get("peft"), "__file__"):
            sys.modules.pop("peft", None)
        import peft

        named = [(name, m) for name, m in self.toy.language.named_modules() if isinstance(m, torch.nn.Linear)]
        adapted = {name: list(m.weight.shape) for name, m in named if name != "lm_head"}
        config = peft.LoraConfig(
            r=own["rank"], lora_alpha=own["alpha"], target_modules=list(adapted), lora_dropout=0.0, bias="none"
        )
        wrapped = peft.get_peft_model(self.toy.language, config)
        self.sizes = {f"language_model.{name}": size for name, size in adapted.items()}
        with torch.no_grad():
            for name, parameter in wrapped.named_parameters():
                if "lora_A" in name:
                    module = "language_model." + name.removeprefix("base_model.model.").split(".lora_A")[0]
                    parameter.copy_(formula(module, parameter.shape))
        self.model["language_model"] = wrapped.to(dtype)


def frames_of(height, width, frames, seed):
    return np.stack([frame(height, width, number, seed) for number in range(frames)])


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
    return parameter.ndim > 1 and all(part not in name for part in ("norm", "bias", "temp_embed"))


class CrossEntropy:
    """The loss of answers: the mean over all their tokens."""

    def __init__(self, family, logits_of, cast):
        self.batch = [(cast(inputs), labels) for inputs, labels in family.batch()]
        self.targets = sum(int((labels[1:] >= 0).sum()) for _, labels in self.batch)
        self.logits_of = logits_of

    def tokens(self):
        return sum(len(labels) for _, labels in self.batch)

    def losses(self):
        """The share of each sample in the loss of a step."""
        for inputs, labels in self.batch:
            logits = self.logits_of(inputs)
            yield torch.nn.functional.cross_entropy(logits[:-1], labels[1:], ignore_index=-100, reduction="sum") / self.targets


class Contrastive:
    """The losses between media and captions of a whole step."""

    def __init__(self, family):
        self.family, self.step = family, 0

    def tokens(self):
        return self.words

    def losses(self):
        loss, self.words = self.family.contrastive(0, self.step)
        self.step += 1
        yield loss


def train_stage(family, model, stage, dtype, autocast=False):
    """Trains in place; gives the loss of every step and the tokens of one."""
    group_of = family.group_of
    family.set(stage.get("set", {}))
    if hasattr(family, "begin_stage"):
        family.begin_stage(stage, dtype)
    float_of = lambda value: value.to(dtype) if torch.is_tensor(value) and value.is_floating_point() else value
    cast = lambda inputs: {k: float_of(v) for k, v in inputs.items()}

    def logits_of(inputs):
        # Anew for every forward pass: rounded weights are kept as long as it lasts.
        with torch.autocast("cpu", torch.bfloat16, enabled=autocast):
            return (family.logits(inputs) if hasattr(family, "logits") else model(**inputs).logits[0]).to(dtype)

    options, schedule, steps = stage["optimizer"], stage.get("schedule", {}), stage["steps"]
    groups = []
    for name, parameter in model.named_parameters():
        learn = learn_of(stage, group_of(name))
        is_adapter = "lora_" in name
        only = stage.get(group_of(name), {}).get("only")
        is_learned = learn == "full" and (only is None or any(part in name.split(".") for part in only))
        parameter.requires_grad_(is_learned or (learn == "lora" and is_adapter))
        if parameter.requires_grad:
            decay = options.get("weight_decay", 0.0) if decays(name, parameter) else 0.0
            groups.append({"params": [parameter], "lr": lr_of(stage, group_of(name)), "weight_decay": decay})
    betas = (options.get("beta1", 0.9), options.get("beta2", 0.999))
    optimizer = torch.optim.AdamW(groups, betas=betas, eps=options.get("eps", 1e-8), foreach=False)
    scheduler = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: share_at(schedule, steps, step))
    objective = stage.get("objective", {})
    if objective.get("kind") == "contrastive":
        loss_of = Contrastive(family)
    else:
        is_dpo = objective.get("kind") == "dpo"
        loss_of = Dpo(family, logits_of, cast, objective) if is_dpo else CrossEntropy(family, logits_of, cast)
    losses = []
    for _ in range(steps):
        optimizer.zero_grad(set_to_none=True)
        total = 0.0
        for loss in loss_of.losses():
            # With a frozen decoder, words alone teach nothing.
            if loss.requires_grad:
                loss.backward()
            total += loss.item()
        losses.append(total)
        torch.nn.utils.clip_grad_norm_([p for group in groups for p in group["params"]], options.get("clip", 1.0))
        optimizer.step()
        scheduler.step()
    return losses, loss_of.tokens()


def formula(module, shape):
    """First factors of adapters: numbers that the test makes, too, spread like PEFT's own."""
    index = torch.arange(shape[0] * shape[1], dtype=torch.float64)
    unit = (index * 7919 + sum(module.encode())) % 1009 / 1009 - 0.5
    return (unit * 2 / math.sqrt(shape[1])).reshape(shape).float()


def with_adapters(family, recipe):
    """The model with PEFT's adapters beside the matrices of groups that learn them, and the sizes of these by name."""
    model, group_of = family.model, family.group_of
    linear = [(name, module) for name, module in model.named_modules() if isinstance(module, torch.nn.Linear)]
    learned = [(name, module) for name, module in linear if learn_of(recipe["stage"][0], group_of(name)) == "lora"]
    sizes = {name: list(module.weight.shape) for name, module in learned}
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


def at_toy_size(stage, steps, rate_factor):
    """A published stage for a toy: few steps of all samples, rates that tell, the processor's own tiles."""
    stage = {key: value for key, value in stage.items() if key != "epochs"}
    stage["steps"] = steps
    for table in ("optimizer", "vision", "projector", "language", "embeddings"):
        if "lr" in stage.get(table, {}):
            stage[table] = {**stage[table], "lr": rate_factor * stage[table]["lr"]}
    return stage


def int8(values):
    """The weights that packed int8 holds: a bf16 scale, rounded up, for each 128 of a row."""
    rounded = values.clone()
    for start in range(0, values.shape[1], 128):
        group = values[:, start : start + 128]
        bits = (group.abs().amax(1, keepdim=True) / 127).view(torch.int32) + 0xFFFF
        scale = (bits & ~0xFFFF).view(torch.float32)
        rounded[:, start : start + 128] = torch.where(scale > 1e-30, (group / scale).round() * scale, 0)
    return rounded


def run(name, dtype, autocast=False, quantized=False):
    """Losses of every step, tokens of a step of each stage, sizes of adapters. With `autocast`, products are of bf16 values; with `quantized`,
    matrices beside adapters have the values of int8."""
    file, toy, rate_factor, samples, open_family = RUNS[name]
    with open(os.path.join(ROOT, file), "rb") as f:
        recipe = tomllib.load(f)
    recipe["stage"] = [over(recipe.get("defaults", {}), stage) for stage in recipe["stage"]]
    if file.startswith("recipes/"):
        recipe["stage"] = [at_toy_size(stage, STEPS // len(recipe["stage"]), rate_factor) for stage in recipe["stage"]]
    family = open_family(os.path.join(TOYS, toy), samples)
    family.model.train()
    model, adapters = with_adapters(family, recipe)
    if quantized:
        with torch.no_grad():
            for module in model.modules():
                if hasattr(module, "base_layer"):
                    module.base_layer.weight.copy_(int8(module.base_layer.weight))
    family.model = model = model.to(dtype)
    losses, tokens = [], []
    for stage in recipe["stage"]:
        of_stage, of_step = train_stage(family, model, stage, dtype, autocast)
        losses += of_stage
        tokens.append(of_step)
    adapters |= getattr(family, "sizes", {})
    torch.set_default_dtype(torch.float32)
    return losses, tokens, adapters


# Name of the golden: its recipe, its toy, what rates are multiplied by, its samples, its code.
RUNS = {
    "videollama3": ("recipes/videollama3.toml", "videollama3/toy-hf", 20, SAMPLES, Transformers),
    "llava-onevision": ("recipes/llava-onevision.toml", "llava_onevision/toy-hf", 20, SAMPLES, Transformers),
    "lora": ("crates/lab/tests/golden/training/lora.toml", "videollama3/toy-hf", 1, SAMPLES, Transformers),
    "cogvlm2": ("recipes/cogvlm2.toml", "cogvlm2/toy-image", 20, PICTURES, CogVlm2),
    "llama-vid": ("recipes/llama-vid.toml", "llama_vid/toy", 5, SHORT, LlamaVid),
    "videochat2": ("recipes/videochat2.toml", "videochat2/toy", 5, CAPTIONED, VideoChat2),
    "cogvlm2-video": ("recipes/cogvlm2-video.toml", "cogvlm2/toy-video", 20, CLIPS, CogVlm2),
    "dpo-lora": ("crates/lab/tests/golden/training/dpo-lora.toml", "videollama3/toy-hf", 1, PAIRS, Transformers),
    "dpo-whole": ("crates/lab/tests/golden/training/dpo-whole.toml", "llava_onevision/toy-hf", 1, PAIRS, Transformers),
}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*", default=list(RUNS))
    args = parser.parse_args()
    transformers.logging.set_verbosity_error()
    torch.manual_seed(0)
    torch.use_deterministic_algorithms(True)
    for name in args.names:
        narrow, tokens, adapters = run(name, torch.float32)
        wide, _, _ = run(name, torch.float64)
        noise = max(abs(a - b) / b for a, b in zip(narrow, wide))
        # Of VideoLLaMA3's toy as well: the whole run in mixed precision, and adapters over int8.
        rounded = lambda losses: [float(f"{loss:.7g}") for loss in losses]
        mixed = rounded(run(name, torch.float32, autocast=True)[0]) if name == "videollama3" else []
        quantized = rounded(run(name, torch.float32, quantized=True)[0]) if name == "lora" else []
        golden = {
            "made_by": f"make_training_goldens.py with torch {torch.__version__}, transformers {transformers.__version__}",
            "recipe": RUNS[name][0],
            "checkpoint": RUNS[name][1],
            "rate_factor": RUNS[name][2],
            "samples": RUNS[name][3],
            "f32_noise": noise,
            "tokens": tokens,
            "adapters": adapters,
            "loss": rounded(narrow),
            "mixed": mixed,
            "quantized": quantized,
        }
        lines = [f'"{key}": {json.dumps(value)}' for key, value in golden.items()]
        with open(os.path.join(GOLDEN, f"{name}.json"), "w") as f:
            f.write("{" + ",\n".join(lines) + "}\n")
        print(name, "steps", len(narrow), "loss", narrow[0], "to", narrow[-1], "lowest", min(narrow), "noise", noise)
        print([round(l, 3) for l in narrow[::10]], tokens)


if __name__ == "__main__":
    main()
