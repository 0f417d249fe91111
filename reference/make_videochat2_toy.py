"""Make the toy VideoChat2 checkpoint and its goldens with the authors' own modelling code.

    OMP_NUM_THREADS=1 python reference/make_videochat2_toy.py ASK_ANYTHING

ASK_ANYTHING is a checkout of github.com/OpenGVLab/Ask-Anything. Of it run, at toy size: the encoder
(models/blip2/vit.py), the Q-Former (models/blip2/Qformer.py), `encode_img` of the HD model, the tile rule
(dataset/hd_utils.py) and the prompt functions of the notebooks. Modules that these import and do not need (timm, peft)
are replaced by stand-ins. The language model is transformers' Mistral, with the low-rank parts added to its matrices.

Writes below crates/models/tests/golden/videochat2:

  toy-hd/              a folder in the layout of the HD release, low-rank parts apart (f32)
  processor.safetensors, video.safetensors, image.safetensors, plain.safetensors, gradients.safetensors, tables.safetensors
  goldens.json         prompts, ids, noise (distance of the f32 run from an f64 run)
"""

import contextlib
import importlib
import json
import os
import shutil
import sys
import types

import numpy as np
import torch
import torch.nn.functional as F
import torchvision
import transformers
from PIL import Image
from safetensors.torch import save_file
from transformers import BertTokenizer, MistralConfig, MistralForCausalLM

import toy_tokenizer
from make_videollama3_toy import picture

HERE = os.path.dirname(os.path.abspath(__file__))
OUT = os.path.join(HERE, "..", "crates", "models", "tests", "golden", "videochat2")
SPECIALS = ["<s>", "</s>", "<|user|>", "<|assistant|>", "<|end|>"]
STEPS = 64
SIDE, PATCH, WIDTH, DEPTH, HEADS = 32, 8, 24, 3, 3
QUERIES, EXTRA = 3, 5
RANK, ALPHA = 2, 4
LETTERS = "abcdefghijklmnopqrstuvwxyz"
BERT_VOCAB = (
    ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "!", ",", "-", ".", "?", "(", ")", ":"]
    + list(LETTERS) + [f"##{c}" for c in LETTERS]
    + "the video watch and answer question observe image select best option".split(" ")
)
QFORMER = dict(
    hidden_size=32, num_hidden_layers=3, num_attention_heads=4, intermediate_size=40, max_position_embeddings=48
)
MODEL_CONFIG = {
    "model_cls": "VideoChat2_it_hd_mistral",
    "max_txt_len": 20,
    "vision_encoder": {
        "img_size": SIDE, "patch_size": PATCH, "encoder_embed_dim": WIDTH, "encoder_depth": DEPTH,
        "encoder_num_heads": HEADS, "num_frames": 8, "tubelet_size": 1, "return_index": -2, "vit_add_ln": True,
        "ckpt_num_frame": 4,
    },
    "num_query_token": QUERIES,
    "extra_num_query_token": EXTRA,
    "qformer_text_input": True,
    "qformer": dict(QFORMER, vocab_size=len(BERT_VOCAB) + 1),
    "lora_r": RANK,
    "lora_alpha": ALPHA,
    "dynamic_config": {"local_size": SIDE, "hd_num": 2, "padding": False, "add_global": True},
}
SYSTEM = (
    "Carefully watch the video and pay attention to the cause and sequence of events, the detail and movement of "
    "objects, and the action and pose of persons. Based on your observations, select the best option that accurately "
    "addresses the question.\n"
)
GRADIENTS = {
    "vision_encoder.encoder.patch_embed.proj.weight": None,
    "vision_encoder.encoder.blocks.0.self_attn.q_proj.weight": ("blocks.0.attn.qkv.weight", 0),
    "vision_encoder.encoder.blocks.1.self_attn.v_proj.bias": ("blocks.1.attn.v_bias", None),
    "vision_layernorm.weight": None,
    "query_tokens": None,
    "extra_query_tokens": None,
    "qformer.bert.embeddings.word_embeddings.weight": None,
    "qformer.bert.encoder.layer.0.crossattention.self.key.weight": None,
    "qformer.bert.encoder.layer.1.output_query.dense.weight": None,
    "projector.weight": None,
    "language_model.model.layers.0.self_attn.q_proj.weight": None,
    "language_model.model.layers.1.mlp.down_proj.weight": None,
    "language_model.lm_head.weight": None,
}
ADAPTED = ["q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj", "lm_head"]


def stand_ins():
    """Modules that the authors' files import: what is used of them, or nothing."""
    layers = types.ModuleType("timm.models.layers")
    layers.drop_path = lambda x, prob, training: x
    layers.to_2tuple = lambda x: (x, x)
    layers.trunc_normal_ = torch.nn.init.trunc_normal_
    peft = types.ModuleType("peft")
    peft.get_peft_model = peft.LoraConfig = peft.TaskType = None
    file_utils = types.ModuleType("transformers.file_utils")
    file_utils.ModelOutput = transformers.utils.ModelOutput
    for name, module in {
        "timm": types.ModuleType("timm"),
        "timm.models": types.ModuleType("timm.models"),
        "timm.models.layers": layers,
        "peft": peft,
        "transformers.file_utils": file_utils,
    }.items():
        sys.modules[name] = module
    utils = transformers.modeling_utils
    utils.apply_chunking_to_forward = transformers.pytorch_utils.apply_chunking_to_forward
    for name in ("find_pruneable_heads_and_indices", "prune_linear_layer"):
        setattr(utils, name, None)


def originals(root):
    """The authors' modules."""
    stand_ins()
    package = types.ModuleType("models")
    package.__path__ = [os.path.join(root, "video_chat2", "models")]
    sys.modules["models"] = package
    for name in ("blip2", "videochat_mistra"):
        part = types.ModuleType(f"models.{name}")
        part.__path__ = [os.path.join(package.__path__[0], name)]
        sys.modules[f"models.{name}"] = part
    vit = importlib.import_module("models.blip2.vit")
    qformer = importlib.import_module("models.blip2.Qformer")
    qformer.BertModel.get_head_mask = lambda self, mask, n: [None] * n
    # Of transformers 4; every mask here is whole.
    qformer.BertModel.invert_attention_mask = lambda self, mask: torch.zeros_like(mask)[:, None, None, :]
    qformer.BertPreTrainedModel.init_weights = lambda self: None
    hd = importlib.import_module("models.videochat_mistra.videochat2_it_hd_mistral")
    sys.path.insert(0, os.path.join(root, "video_chat2", "dataset"))
    return vit, qformer, hd.VideoChat2_it_hd_mistral, importlib.import_module("hd_utils")


def notebook(root, name):
    """The prompt functions of a notebook: `get_prompt` and `get_prompt2`."""
    with open(os.path.join(root, "video_chat2", name), encoding="utf-8") as f:
        cells = ["".join(cell["source"]) for cell in json.load(f)["cells"]]
    source = next(cell for cell in cells if "def get_prompt(conv)" in cell)
    names = {}
    stop = source.index("class StoppingCriteriaSub")
    exec(source[:stop].replace("import torch\n", ""), {"torch": torch}, names)
    return names["get_prompt"], names["get_prompt2"]


def fill(module, seed):
    g = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for name, p in sorted(module.named_parameters()):
            draw = torch.randn(p.shape, generator=g)
            norm = "norm" in name.lower() and name.endswith("weight")
            if p.ndim == 1:
                p.copy_((1.0 if norm else 0.0) + (0.2 if norm else 0.1) * draw)
            elif "embeddings" in name or "embed_tokens" in name or "lm_head" in name:
                p.copy_(0.5 * draw)
            else:
                p.copy_(draw * (0.06 if "patch_embed" in name else 0.15))


def make_tokenizer(folder):
    vocab, merges = toy_tokenizer.vocab_and_merges()
    tokenizer = toy_tokenizer.qwen2_pipeline(vocab, merges, SPECIALS)
    tokenizer.save(os.path.join(folder, "tokenizer.json"))
    with open(os.path.join(folder, "tokenizer_config.json"), "w") as f:
        json.dump({"bos_token": "<s>", "eos_token": "</s>", "add_bos_token": True}, f)
    with open(os.path.join(folder, "vocab.txt"), "w") as f:
        f.write("\n".join(BERT_VOCAB) + "\n")
    bert = BertTokenizer(vocab={token: id for id, token in enumerate(BERT_VOCAB)}, truncation_side="left")
    assert bert("the Video.").input_ids[0] == 2 and len(bert) == len(BERT_VOCAB)
    bert.add_special_tokens({"bos_token": "[DEC]"})
    return tokenizer, bert


class Toy:
    """The authors' parts with drawn weights."""

    def __init__(self, root, seed, bert, vocabulary):
        self.vit_module, qformer_module, self.hd, self.hd_utils = originals(root)
        self.build = lambda frames: self.vit_module.PretrainVisionTransformer(
            img_size=SIDE, patch_size=PATCH, encoder_embed_dim=WIDTH, encoder_depth=DEPTH, encoder_num_heads=HEADS,
            num_frames=frames, tubelet_size=1, return_index=-2, ckpt_num_frame=4,
        )
        self.vision = self.build(8)
        self.layernorm = torch.nn.LayerNorm(WIDTH, eps=1e-12)
        config = qformer_module.BertConfig(
            vocab_size=len(BERT_VOCAB) + 1, hidden_dropout_prob=0.0, attention_probs_dropout_prob=0.0, **QFORMER
        )
        config.encoder_width, config.add_cross_attention, config.cross_attention_freq = WIDTH, True, 2
        config.query_length, config.drop_path_list = QUERIES, [0.0] * QFORMER["num_hidden_layers"]
        config.layer_norm_eps, config.chunk_size_feed_forward = 1e-12, 0
        self.qformer = types.SimpleNamespace(bert=qformer_module.BertModel(config, add_pooling_layer=False).eval())
        width = config.hidden_size
        self.queries = torch.nn.ParameterList(
            [torch.nn.Parameter(torch.zeros(1, n, width)) for n in (QUERIES, EXTRA)]
        )
        self.language_config = dict(
            hidden_size=32, num_hidden_layers=2, num_attention_heads=4, num_key_value_heads=2, head_dim=8,
            intermediate_size=48, vocab_size=vocabulary, rms_norm_eps=1e-5, max_position_embeddings=512,
            rope_theta=1e6, tie_word_embeddings=False,
        )
        theirs = dict(self.language_config)
        theirs["rope_parameters"] = {"rope_type": "default", "rope_theta": theirs.pop("rope_theta")}
        self.language = MistralForCausalLM(MistralConfig(sliding_window=None, **theirs)).eval()
        self.proj = torch.nn.Linear(width, 32)
        self.bert = bert
        parts = (self.vision, self.layernorm, self.qformer.bert, self.queries, self.language, self.proj)
        for number, part in enumerate(parts):
            fill(part, 100 * seed + number)
        self.parts = parts
        self.make_low_rank(seed)

    def make_low_rank(self, seed):
        """The published matrices: what is left of the sums, and the low-rank parts."""
        g = torch.Generator().manual_seed(7000 + seed)
        self.published = {}
        with torch.no_grad():
            for name, p in self.language.named_parameters():
                module = name.removesuffix(".weight")
                if not module.endswith(tuple(ADAPTED)):
                    self.published[f"mistral_model.base_model.model.{name}"] = p.detach().clone()
                    continue
                own = f"mistral_model.base_model.model.{module}"
                a = 0.2 * torch.randn(RANK, p.shape[1], generator=g)
                b = 0.15 * torch.randn(p.shape[0], RANK, generator=g)
                self.published[f"{own}.base_layer.weight"] = p.detach().clone()
                self.published[f"{own}.lora_A.default.weight"] = a
                self.published[f"{own}.lora_B.default.weight"] = b
                p.add_((ALPHA / RANK) * (b @ a))

    def tensors(self):
        out = dict(self.published)
        for prefix, part in (
            ("vision_encoder.", self.vision), ("vision_layernorm.", self.layernorm),
            ("qformer.bert.", self.qformer.bert), ("mistral_proj.", self.proj),
        ):
            out |= {prefix + name: p.detach().clone() for name, p in part.named_parameters()}
        out["query_tokens"], out["extra_query_tokens"] = [p.detach().clone() for p in self.queries]
        return {name: t.contiguous() for name, t in out.items()}

    def to(self, dtype):
        for part in self.parts:
            part.to(dtype)

    def table(self, frames):
        if frames == 1:
            return self.vision.encoder.img_pos_embed
        with contextlib.redirect_stdout(None):
            return self.vit_module.get_sinusoid_encoding_table2(
                n_position=(SIDE // PATCH) ** 2 * frames, d_hid=WIDTH, cur_frame=frames, ckpt_num_frame=4
            )

    def encode(self, clips, instruction):
        """`encode_img` of the authors' HD model: visual tokens, and what the encoder gave (after the norm)."""
        features = []
        hook = self.layernorm.register_forward_hook(lambda m, a, o: features.append(o))
        frames = clips[0].shape[0]
        if frames > 1:
            self.vision.encoder.pos_embed = self.table(frames)
        this = types.SimpleNamespace(
            low_resource=False, maybe_autocast=contextlib.nullcontext, local_size=SIDE, add_global=True,
            vision_encoder=self.vision, vision_layernorm=self.layernorm, extra_num_query_token=EXTRA,
            query_tokens=self.queries[0], extra_query_tokens=self.queries[1], qformer_text_input=True,
            tokenizer=self.bert, max_txt_len=MODEL_CONFIG["max_txt_len"], qformer=self.qformer, mistral_proj=self.proj,
        )
        tokens, _, use_image = self.hd.encode_img(this, clips, [instruction] * len(clips))
        hook.remove()
        assert use_image == (frames == 1)
        return tokens[0][0], features[0].reshape(-1, WIDTH)

    def encode_plain(self, clip, instruction):
        """The same without tiles: one view of the size of the encoder."""
        features = []
        hook = self.layernorm.register_forward_hook(lambda m, a, o: features.append(o))
        self.vision.encoder.pos_embed = self.table(clip.shape[0])
        x = self.layernorm(self.vision(clip.permute(1, 0, 2, 3).unsqueeze(0), False).reshape(1, -1, WIDTH))
        hook.remove()
        text = self.bert(
            [instruction], truncation=True, max_length=MODEL_CONFIG["max_txt_len"], return_tensors="pt"
        )
        queries = torch.cat(list(self.queries), dim=1)
        mask = torch.cat([torch.ones(queries.shape[:2], dtype=torch.long), text.attention_mask], dim=1)
        found = self.qformer.bert(
            text.input_ids, attention_mask=mask, query_embeds=queries, encoder_hidden_states=x,
            encoder_attention_mask=torch.ones(x.shape[:2], dtype=torch.long), return_dict=True,
        )
        return self.proj(found.last_hidden_state[0, : queries.shape[1]]), features[0].reshape(-1, WIDTH)


def imagenet(frames):
    norm = torchvision.transforms.Normalize((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))
    return norm(frames.float().div(255.0))


def plain_pixels(raw):
    """Short side to SIDE with Pillow's bicubic, centre crop, CLIP's mean and deviation (GroupScale and so on)."""
    resize = torchvision.transforms.Resize(SIDE, torchvision.transforms.InterpolationMode.BICUBIC)
    crop = torchvision.transforms.CenterCrop(SIDE)
    frames = [torch.from_numpy(np.array(crop(resize(Image.fromarray(f))))).permute(2, 0, 1) for f in raw]
    clip = torch.stack(frames).float().div(255)
    mean = torch.tensor([0.48145466, 0.4578275, 0.40821073]).reshape(1, 3, 1, 1)
    std = torch.tensor([0.26862954, 0.26130258, 0.27577711]).reshape(1, 3, 1, 1)
    return clip.sub(mean).div(std)


def patches(clip):
    """[T, 3, S, S] to rows of patches: frame, row, column; inside channel, row, column."""
    t, c, h, w = clip.shape
    x = clip.reshape(t, c, h // PATCH, PATCH, w // PATCH, PATCH).permute(0, 2, 4, 1, 3, 5)
    return x.reshape(-1, c * PATCH * PATCH)


def prompts(root, tokenizer):
    """Prompts of the notebooks: text with <VideoHere>, and the ids of its parts, which are encoded one by one."""
    question = "Question: What moves?\nOptions:\n(A) A cat.\n(B) The box.\nOnly give the best option."
    vicuna = ("mvbench.ipynb", ["Human", "Assistant"], "###", "<Video><VideoHere></Video>\n", lambda q: q + "\n")
    mistral = (
        "demo/demo_mistral_hd.ipynb", ["[INST]", "[/INST]"], "", "<Video><VideoHere></Video> [/INST]", lambda q: q
    )
    phi = ("demo/demo_phi.ipynb", ["<|user|>\n", "<|end|>\n<|assistant|>"], "", None, lambda q: q)
    out = {}
    for name, (file, roles, sep, media, ask) in {"vicuna": vicuna, "mistral": mistral, "phi": phi}.items():
        get_prompt, get_prompt2 = notebook(root, file)

        def conversation(system, turns, begin, times=""):
            messages, shown = [], media
            for number, (q, a) in enumerate(turns):
                q = ask(q)
                if number == 0 and media is None:
                    q = f"<Video><VideoHere></Video>{times}" + ("\n" if times else " ") + q
                elif number == 0:
                    messages.append([roles[0], shown.replace("</Video>", f"</Video>{times}")])
                messages += [[roles[0], q], [roles[1], a]]
            if a is None and begin:
                messages[-1][1] = begin
            conv = types.SimpleNamespace(system=system, sep=sep, roles=roles, messages=messages)
            return (get_prompt2 if begin else get_prompt)(conv)

        end = {"vicuna": "", "mistral": "</s>", "phi": "<|end|>"}[name]
        times = " The video contains 3 frames sampled at 0.5, 2.5, 10.0 seconds."
        texts = {
            "chat": conversation("", [("What moves?", None)], None),
            "mvbench": conversation(SYSTEM, [(question, None)], "Best option:("),
            "mvbench_repeated": conversation(SYSTEM, [(SYSTEM + question, None)], "Best option:("),
            "turns": conversation("", [("What moves?", "A box." + end), ("Which one?", None)], None),
            "times": conversation("", [("What moves?", None)], None, times),
        }
        for case, text in texts.items():
            parts = [tokenizer.encode(part, add_special_tokens=False).ids for part in text.split("<VideoHere>")]
            parts[0] = [tokenizer.token_to_id("<s>")] + parts[0]
            out[f"{name}.{case}"] = {"text": text, "parts": parts}
    out["question"] = question
    return out


def run(toy, clip, instruction, parts, plain=False):
    """One case through everything; `parts` are the ids before and after the visual tokens."""
    dtype = toy.proj.weight.dtype
    tokens, features = toy.encode_plain(clip.to(dtype), instruction) if plain else toy.encode([clip.to(dtype)], instruction)
    words = toy.language.model.embed_tokens
    x = torch.cat([words(torch.tensor(parts[0])), tokens, words(torch.tensor(parts[1]))], dim=0)
    logits = toy.language(inputs_embeds=x.unsqueeze(0), use_cache=False).logits[0]
    return {"features": features, "visual_tokens": tokens, "inputs_embeds": x, "logits": logits}


def greedy(toy, x):
    """Ids of a greedy continuation, their logits, and the least distance of the best from the second best."""
    ids, rows, margin = [], [], float("inf")
    with torch.no_grad():
        for _ in range(STEPS):
            row = toy.language(inputs_embeds=x.unsqueeze(0), use_cache=False).logits[0, -1]
            best = row.topk(2).values
            margin = min(margin, float(best[0] - best[1]))
            ids.append(int(row.argmax()))
            rows.append(row)
            x = torch.cat([x, toy.language.model.embed_tokens(torch.tensor(ids[-1:]))], dim=0)
    return ids, torch.stack(rows), margin


def gradients(toy, clip, instruction, parts, shift=0):
    for part in toy.parts:
        part.zero_grad()
    out = run(toy, clip, instruction, parts)
    labels = torch.tensor(parts[1]).roll(shift)
    logits = out["logits"][-len(labels) - 1 : -1]
    loss = F.cross_entropy(logits, labels)
    loss.backward()
    found = {"loss": loss.detach().reshape(1)}
    for name, place in GRADIENTS.items():
        if name.startswith("vision_encoder."):
            theirs, rows = place or (name.removeprefix("vision_encoder.encoder."), None)
            grad = dict(toy.vision.encoder.named_parameters())[theirs].grad
            grad = grad if rows is None else grad[rows * WIDTH : (rows + 1) * WIDTH]
        elif name == "vision_layernorm.weight":
            grad = toy.layernorm.weight.grad
        elif name.endswith("query_tokens"):
            grad = toy.queries[int(name.startswith("extra"))].grad
        elif name.startswith("qformer.bert."):
            grad = dict(toy.qformer.bert.named_parameters())[name.removeprefix("qformer.bert.")].grad
        elif name == "projector.weight":
            grad = toy.proj.weight.grad
        else:
            grad = dict(toy.language.named_parameters())[name.removeprefix("language_model.")].grad
        found[name] = grad.detach().clone()
    return found


def noise_of(ours, exact):
    return {name: float((t.double() - exact[name].double()).abs().max()) for name, t in ours.items()}


def main():
    root = sys.argv[1]
    torch.set_num_threads(1)
    folder = os.path.join(OUT, "toy-hd")
    shutil.rmtree(folder, ignore_errors=True)
    os.makedirs(folder)
    tokenizer, bert = make_tokenizer(folder)
    raw_video = np.stack([picture(50, 80, 5 + n) for n in range(5)])
    raw_image = picture(75, 40, 3)[None]
    asked = prompts(root, tokenizer)
    video_words, long_words = "Watch the video and answer the question.", SYSTEM
    for seed in range(1, 200):
        toy = Toy(root, seed, bert, tokenizer.get_vocab_size() + 3)
        as_tiles = lambda raw: imagenet(
            toy.hd_utils.HD_transform_no_padding(torch.from_numpy(raw).permute(0, 3, 1, 2).float(), SIDE, 2)
        )
        cases = {
            "video": (as_tiles(raw_video), long_words, asked["mistral.mvbench"]["parts"], False),
            "image": (as_tiles(raw_image), "Observe the image and answer the question.", None, False),
            "plain": (plain_pixels(raw_video[:3]), video_words, asked["mistral.chat"]["parts"], True),
        }
        image_parts = asked["mistral.chat"]["text"].replace("Video", "Image").split("<ImageHere>")
        image_parts = [tokenizer.encode(part, add_special_tokens=False).ids for part in image_parts]
        image_parts[0] = [tokenizer.token_to_id("<s>")] + image_parts[0]
        cases["image"] = (*cases["image"][:2], image_parts, False)
        with torch.no_grad():
            found = {name: run(toy, *case) for name, case in cases.items()}
        continued = {name: greedy(toy, case["inputs_embeds"]) for name, case in found.items()}
        specials = range(tokenizer.token_to_id("<s>"), 1000)
        fine = all(margin > 0.01 and not set(ids) & set(specials) for ids, _, margin in continued.values())
        various = all(len(set(ids)) > 8 for ids, _, _ in continued.values())
        if fine and various:
            break
    else:
        raise SystemExit("no seed gives a continuation without ties")
    save_file(toy.tensors(), os.path.join(folder, "model.safetensors"), {"format": "pt"})
    with open(os.path.join(folder, "config.json"), "w") as f:
        json.dump({"model_type": "videochat2", "model_config": MODEL_CONFIG, "llm_config": toy.language_config}, f, indent=1)
    # Rounding of gradients depends on what is learned: the largest of four sequences of labels is taken.
    draws = [gradients(toy, *cases["video"][:3], shift) for shift in range(4)]
    learned = draws[0]
    toy.to(torch.float64)
    with torch.no_grad():
        exact = {name: run(toy, *case) for name, case in cases.items()}
    noise = {name: noise_of(found[name], exact[name]) for name in found}
    each = [noise_of(draw, gradients(toy, *cases["video"][:3], shift)) for shift, draw in enumerate(draws)]
    noise["gradients"] = {name: max(one[name] for one in each) for name in learned}
    for name, case in found.items():
        ids, rows, _ = continued[name]
        case |= {"greedy_ids": torch.tensor(ids), "greedy_logits": rows[::9]}
        case["logits"] = case["logits"][::5]
        save_file({k: v.contiguous() for k, v in case.items()}, os.path.join(OUT, f"{name}.safetensors"))
    save_file({k: v.contiguous() for k, v in learned.items()}, os.path.join(OUT, "gradients.safetensors"))
    tables = {str(frames): toy.table(frames)[0].float().contiguous() for frames in (1, 2, 4, 7)}
    # The published size: 14 x 14 patches, width 1024, a few rows of the tables of 8 and 16 frames.
    for frames in (8, 16):
        whole = toy.vit_module.get_sinusoid_encoding_table(196 * frames, 1024, 4, frames)[0]
        tables[f"published.{frames}"] = whole[:: 196 * frames // 13, ::93].contiguous()
    tables["published.1"] = toy.vit_module.get_sinusoid_encoding_table(196, 1024)[0][::15, ::93].contiguous()
    save_file(tables, os.path.join(OUT, "tables.safetensors"))
    tiles = lambda clip: torch.cat(
        [
            patches(clip[:, :, y : y + SIDE, x : x + SIDE])
            for y in range(0, clip.shape[2], SIDE) for x in range(0, clip.shape[3], SIDE)
        ]
        + [patches(F.interpolate(clip, size=(SIDE, SIDE), mode="bicubic", align_corners=False))]
    )
    save_file(
        {
            "raw.video": torch.from_numpy(raw_video), "raw.image": torch.from_numpy(raw_image),
            "pixels.video": tiles(cases["video"][0])[::7].contiguous(), "pixels.image": tiles(cases["image"][0]),
            "pixels.plain": patches(cases["plain"][0]),
        },
        os.path.join(OUT, "processor.safetensors"),
    )
    grids = {}
    for w, h in [(1920, 1080), (1080, 1920), (640, 480), (224, 224), (500, 500), (4000, 300), (300, 4000), (447, 449), (320, 240)]:
        for most in (1, 2, 6, 12):
            blank = torch.zeros(1, 3, 1, 1).expand(1, 3, h, w)
            shape = toy.hd_utils.HD_transform_no_padding(blank, 224, most).shape
            grids[f"{w}x{h} {most}"] = [shape[3] // 224, shape[2] // 224]
    about = f"made by reference/make_videochat2_toy.py; transformers {transformers.__version__}, torch {torch.__version__}"
    goldens = {
        "about": f"{about}; github.com/OpenGVLab/Ask-Anything 4dd8210", "seed": seed, "f32_noise": noise,
        "prompts": asked, "image_parts": image_parts, "grids": grids, "system": SYSTEM,
    }
    with open(os.path.join(OUT, "goldens.json"), "w") as f:
        json.dump(goldens, f, indent=1)


if __name__ == "__main__":
    main()
