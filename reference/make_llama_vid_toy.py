"""Make the toy LLaMA-VID checkpoint and its goldens with the authors' own code, at toy size.

The code is that of github.com/dvlab-research/LLaMA-VID (commit b3d3ae2), run in a throw-away environment with the
versions that it was published for:

  pip install --target DIR --no-deps transformers==4.31.0 tokenizers==0.13.3 huggingface_hub==0.16.4 timm==0.6.13 ...
  git clone https://github.com/dvlab-research/LLaMA-VID SOURCE
  OMP_NUM_THREADS=1 PYTHONPATH=DIR:SOURCE python reference/make_llama_vid_toy.py --source SOURCE

Two numbers of the code are other ones here, because they are tied to the published sizes: the width that a Q-Former
with `pretrain` in its name looks at (1408), and the width above which a tensor of images counts as features (1000).
The Llama tokenizer of the toy is small and of the published kind (byte fallback, `▁` before each text).

Writes, under OUT (default crates/models/tests/golden/llama_vid):

  toy/                  a loadable folder in the published layout (f32 safetensors)
  cases.safetensors     raw inputs, pixels, features, visual tokens, logits, greedy continuations
  gradients.safetensors gradients of the video case
  goldens.json          prompts, ids, words for the Q-Former, versions, the reference's own rounding
"""

import argparse
import copy
import importlib.util
import json
import os
import shutil
import sys
import types
from functools import partial

import numpy as np
import PIL
import tokenizers
import torch
import transformers
from PIL import Image
from safetensors.torch import save_file
from tokenizers import Tokenizer, decoders, normalizers
from tokenizers.models import BPE

HERE = os.path.dirname(os.path.abspath(__file__))
OUT = os.path.join(HERE, "..", "crates", "models", "tests", "golden", "llama_vid")
VISION = {"hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 4, "intermediate_size": 44, "patch_size": 14}
SIDE = 56
BERT = {
    "hidden_size": 24, "num_hidden_layers": 3, "num_attention_heads": 3, "intermediate_size": 40, "max_position_embeddings": 260,
}  # fmt: skip
QUERIES = 5
HIDDEN = 48
STEPS = 64
ROWS = 12
TEXT_MERGES = (
    "▁ t|h e|▁t he|▁ a|i n|e r|o n|▁ s|▁ w|a t|e n|o u|▁ i|▁i s|in g|▁ q|a n|▁a n|▁an d|▁ A|▁ U|S E|R :|SE R:|▁U SER:|A S|AS S|I S|"
    "IS T|ASS IST|A N|AN T|ANT :|▁ ASSIST|▁ASSIST ANT:|e s|▁ h|i s|▁ c|u s"
)
GRADIENTS = [
    "lm_head.weight",
    "model.embed_tokens.weight",
    "model.layers.0.self_attn.q_proj.weight",
    "model.layers.1.mlp.down_proj.weight",
    "model.mm_projector.0.weight",
    "model.mm_projector.2.bias",
    "model.vlm_att_query",
    "model.vlm_att_ln.weight",
    "model.vlm_att_projector.weight",
    "model.vlm_att_key_projector.weight",
    "model.vlm_att_val_projector.bias",
    "model.vlm_att_encoder.bert.embeddings.word_embeddings.weight",
    "model.vlm_att_encoder.bert.encoder.layer.0.crossattention.self.key.weight",
    "model.vlm_att_encoder.bert.encoder.layer.1.intermediate.dense.weight",
    "model.vlm_att_encoder.bert.encoder.layer.2.output_query.dense.weight",
    "model.vision_tower.vision_tower.cls_token",
    "model.vision_tower.vision_tower.pos_embed",
    "model.vision_tower.vision_tower.patch_embed.proj.weight",
    "model.vision_tower.vision_tower.blocks.0.attn.q_bias",
    "model.vision_tower.vision_tower.blocks.1.attn.v_bias",
    "model.vision_tower.vision_tower.blocks.1.mlp.fc2.weight",
]


def published(source):
    """The authors' modules, with the two numbers replaced."""
    path = os.path.join(source, "llamavid", "model", "llamavid_arch.py")
    text = open(path).read()
    for old, new in (("att_feat_size = 1408", "att_feat_size = 32"), ("images[0].shape[-1] > 1000", "images[0].shape[-1] == 32")):
        assert old in text
        text = text.replace(old, new)
    for name, attributes in (("decord", ["VideoReader", "cpu"]), ("whisper", [])):
        stub = types.ModuleType(name)
        for attribute in attributes:
            setattr(stub, attribute, None)
        sys.modules[name] = stub
    # The package imports this module while it is loaded: the changed one must be there before.
    package = types.ModuleType("llamavid")
    package.__path__ = [os.path.join(source, "llamavid")]
    model = types.ModuleType("llamavid.model")
    model.__path__ = [os.path.join(source, "llamavid", "model")]
    sys.modules.update({"llamavid": package, "llamavid.model": model})
    arch = types.ModuleType("llamavid.model.llamavid_arch")
    arch.__file__, arch.__package__ = path, "llamavid.model"
    sys.modules["llamavid.model.llamavid_arch"] = arch
    exec(compile(text, path, "exec"), arch.__dict__)
    from llamavid import conversation
    from llamavid.model import qformer
    from llamavid.model.language_model import llava_llama_vid
    from llamavid.model.multimodal_encoder import eva_vit

    spec = importlib.util.spec_from_file_location("extract", os.path.join(source, "scripts", "extra_tool", "extract_video_features_subtitles.py"))
    extract = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(extract)
    return arch, qformer, llava_llama_vid, eva_vit, conversation, extract


def llama_tokenizer():
    """A Llama tokenizer of bytes, printable characters and a few merges."""
    vocab = {token: i for i, token in enumerate(["<unk>", "<s>", "</s>"])}
    for byte in range(256):
        vocab[f"<0x{byte:02X}>"] = len(vocab)
    for char in ["▁", *map(chr, range(33, 127))]:
        vocab[char] = len(vocab)
    merges = []
    for line in TEXT_MERGES.split("|"):
        left, right = line.split(" ")
        assert left in vocab and right in vocab, line
        merges.append((left, right))
        vocab[left + right] = len(vocab)
    tokenizer = Tokenizer(BPE(vocab=vocab, merges=merges, unk_token="<unk>", fuse_unk=True, byte_fallback=True))
    tokenizer.normalizer = normalizers.Sequence([normalizers.Prepend("▁"), normalizers.Replace(" ", "▁")])
    tokenizer.decoder = decoders.Sequence([decoders.Replace("▁", " "), decoders.ByteFallback(), decoders.Fuse(), decoders.Strip(" ", 1, 0)])
    tokenizer.add_special_tokens(["<unk>", "<s>", "</s>"])
    return tokenizer


def bert_vocabulary():
    letters = [chr(c) for c in range(ord("a"), ord("z") + 1)]
    words = "what is the in this film who man happens here where it does doing and ##ing ##s box which moves".split()
    return ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *letters, *("##" + c for c in letters), *"0123456789?.,'!", *words]


def ids_of(tokenizer, prompt):
    """LLaVA's `tokenizer_image_token`: every chunk alone, with a BOS at the very first; -200 between."""
    ids = [tokenizer.token_to_id("<s>")]
    for number, chunk in enumerate(prompt.split("<image>")):
        if number:
            ids.append(-200)
        if chunk:
            ids.extend(tokenizer.encode(chunk, add_special_tokens=False).ids)
    return ids


class Tower(torch.nn.Module):
    """The authors' tower at toy size; theirs loads a file and forbids gradients."""

    def __init__(self, transformer):
        super().__init__()
        self.vision_tower = transformer

    def forward(self, images):
        return self.vision_tower(images)


def transformer(eva_vit, side):
    return eva_vit.VisionTransformer(
        img_size=side, patch_size=14, use_mean_pooling=False, embed_dim=32, depth=2, num_heads=4, mlp_ratio=44 / 32 + 0.001,
        qkv_bias=True, norm_layer=partial(torch.nn.LayerNorm, eps=1e-6),
    )  # fmt: skip


def build(modules, folder):
    """The authors' model class over toy parts."""
    arch, qformer, language, eva_vit, _, _ = modules
    config = language.LlavaConfig(
        vocab_size=llama_tokenizer().get_vocab_size(), hidden_size=HIDDEN, intermediate_size=72, num_hidden_layers=2, num_attention_heads=4,
        max_position_embeddings=1024, rms_norm_eps=1e-5, rope_scaling={"type": "linear", "factor": 4.0}, pad_token_id=0, bos_token_id=1, eos_token_id=2,
    )  # fmt: skip
    config.bert_type, config.compress_type, config.num_query = "qformer_pretrain_freeze", "mean_concat", QUERIES
    config.mm_hidden_size, config.mm_projector_type, config.mm_vision_select_feature = 32, "mlp2x_gelu", "patch"
    model = language.LlavaLlamaAttForCausalLM(config).eval()
    inner = model.model
    inner.vision_tower = Tower(transformer(eva_vit, SIDE))
    inner.mm_projector = sys.modules["llamavid.model.multimodal_projector.builder"].build_vision_projector(config)
    tokenizer = transformers.BertTokenizer(os.path.join(folder, "bert-base-uncased", "vocab.txt"), truncation_side="left")
    tokenizer.add_special_tokens({"bos_token": "[DEC]"})
    bert = transformers.BertConfig(
        vocab_size=len(tokenizer) - 1, **BERT, hidden_dropout_prob=0.0, attention_probs_dropout_prob=0.0, add_cross_attention=True,
    )  # fmt: skip
    bert.encoder_width, bert.cross_attention_freq = 32, 2
    encoder = qformer.BertLMHeadModel(bert)
    encoder.resize_token_embeddings(len(tokenizer))
    encoder.cls = None
    inner.vlm_att_tokenlizer, inner.vlm_att_encoder = tokenizer, encoder
    inner.vlm_att_query = torch.nn.Parameter(torch.zeros(1, QUERIES, BERT["hidden_size"]))
    inner.vlm_att_projector = torch.nn.Linear(BERT["hidden_size"], 32)
    inner.vlm_att_key_projector = torch.nn.Linear(32, 32)
    inner.vlm_att_val_projector = torch.nn.Linear(32, HIDDEN)
    inner.vlm_att_bert_proj = None
    inner.vlm_att_ln = torch.nn.LayerNorm(32)
    return model.eval()


def fill(model, seed):
    """Draw every parameter, large enough that attention, norms and biases all matter."""
    g = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for name, p in sorted(model.named_parameters()):
            draw = torch.randn(p.shape, generator=g)
            if name == "lm_head.weight" or "embed" in name or "query" in name and p.ndim == 3:
                p.copy_(draw * (0.06 if "patch_embed" in name else 0.5))
            elif p.ndim == 1 and "norm" in name.lower() and name.endswith("weight") or name.endswith("vlm_att_ln.weight"):
                p.copy_(1.0 + 0.2 * draw)
            elif p.ndim == 1:
                p.copy_(0.2 * draw)
            elif "q_proj" in name or "k_proj" in name:
                p.copy_(0.2 * draw)
            else:
                p.copy_(0.15 * draw)


def picture(h, w, seed):
    """A colour gradient with a disc and noise, uint8 [h, w, 3]."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[0:h, 0:w].astype(np.float64)
    base = np.stack([255 * x / w, 255 * y / h, 127 + 100 * np.sin(x / 9.0 + y / 7.0 + seed)], -1)
    base[(x - w * (0.2 + 0.1 * seed)) ** 2 + (y - h * 0.4) ** 2 < (min(h, w) * 0.3) ** 2] = [230, 40, 60]
    return np.clip(base + rng.integers(-12, 13, base.shape), 0, 255).astype(np.uint8)


def padded(image, mean):
    """LLaVA's `expand2square`."""
    edge = max(image.size)
    square = Image.new(image.mode, (edge, edge), tuple(int(x * 255) for x in mean))
    square.paste(image, ((edge - image.width) // 2, (edge - image.height) // 2))
    return square


def embed(model, ids, images, question):
    """Inputs of the decoder, by the authors' splice."""
    model.update_prompt([[question]])
    ids = torch.tensor([ids])
    mask = torch.ones_like(ids)
    return model.prepare_inputs_labels_for_multimodal(ids, mask, None, None, images)[3]


def stages(model, ids, images, question, long):
    """Features, visual tokens, decoder inputs and the last logits."""
    model.update_prompt([[question]])
    features = images[0] if long else model.get_vision_tower()(images[0])
    tokens = model.encode_images(images[0], [[question]], [images[0].shape[0]], long_video=long)[0][0]
    x = embed(model, ids, images, question)
    logits = model.lm_head(model.model(inputs_embeds=x, use_cache=False)[0])[0]
    return {"features": features, "visual": tokens, "embeds_sum": x.sum(-1)[0], "logits": logits[-ROWS:]}


def greedy(model, ids, images, question):
    x, past, found, gap = embed(model, ids, images, question), None, [], float("inf")
    for _ in range(STEPS):
        out = model.model(inputs_embeds=x, past_key_values=past, use_cache=True)
        past = out.past_key_values
        row = model.lm_head(out[0][0, -1])
        top = row.topk(2).values
        gap = min(gap, float(top[0] - top[1]))
        found.append(int(row.argmax()))
        x = model.model.embed_tokens(torch.tensor([[found[-1]]]))
    return found, gap


def chat(conversation, template, turns):
    """The prompt of the chat program: the picture in the newest question only."""
    conv = conversation.conv_templates[template].copy()
    conv.messages = []
    for number, (question, answer) in enumerate(turns):
        shown = "<image>\n" if number + 1 == len(turns) else ""
        conv.append_message(conv.roles[0], shown + question)
        conv.append_message(conv.roles[1], answer)
    return conv.get_prompt()


def film(conversation, inputs, question, part):
    doubled = inputs.replace("<image>", "<image>" * 2)
    if part:
        head = "Below is a part of movie. Memorize the content and answer my question after this movie part. The movie part start.\n"
        text = head + doubled + "\nThe movie part end.\n" + question
    else:
        head = "Below is a movie. Memorize the content and answer my question after watching this movie."
        text = head + doubled + "Now the movie end." + "\n" + question
    conv = conversation.conv_templates["vicuna_v1"].copy()
    conv.messages = []
    conv.append_message(conv.roles[0], text)
    conv.append_message(conv.roles[1], None)
    return conv.get_prompt()


def write_folder(folder, model):
    config = {
        "architectures": ["LlavaLlamaAttForCausalLM"], "model_type": "llava", "bert_type": "qformer_pretrain_freeze", "compress_type": "mean_concat",
        "num_query": QUERIES, "cross_att_freq": 2, "fusion_type": "attention_concat_all_query", "hidden_size": HIDDEN, "intermediate_size": 72,
        "num_hidden_layers": 2, "num_attention_heads": 4, "max_position_embeddings": 1024, "max_token": 4096, "mm_hidden_size": 32,
        "mm_projector_type": "mlp2x_gelu", "mm_use_im_start_end": False, "mm_use_im_patch_token": False, "mm_vision_select_feature": "patch",
        "mm_vision_select_layer": -2, "rms_norm_eps": 1e-5, "rope_scaling": {"type": "linear", "factor": 4.0},
        "vocab_size": model.config.vocab_size, "pad_token_id": 0, "bos_token_id": 1, "eos_token_id": 2, "image_aspect_ratio": "pad",
        "vision_config": VISION, "qformer_config": {**BERT, "vocab_size": len(model.model.vlm_att_tokenlizer)},
    }  # fmt: skip
    files = {
        "config.json": config,
        "preprocessor_config.json": {
            "crop_size": SIDE, "do_center_crop": True, "do_normalize": True, "do_resize": True, "feature_extractor_type": "CLIPFeatureExtractor",
            "image_mean": [0.48145466, 0.4578275, 0.40821073], "image_std": [0.26862954, 0.26130258, 0.27577711], "resample": 3, "size": SIDE,
        },
        "generation_config.json": {"bos_token_id": 1, "eos_token_id": 2, "pad_token_id": 0, "max_length": 4096, "temperature": 0.9, "top_p": 0.6},
        "tokenizer_config.json": {"tokenizer_class": "LlamaTokenizer", "bos_token": "<s>", "eos_token": "</s>", "unk_token": "<unk>", "model_max_length": 4096},
    }  # fmt: skip
    for name, value in files.items():
        with open(os.path.join(folder, name), "w") as f:
            json.dump(value, f, indent=1)
            f.write("\n")
    llama_tokenizer().save(os.path.join(folder, "tokenizer.json"))
    idle = ("encoder.layer.2.intermediate.", "encoder.layer.2.output.", "position_ids", "inv_freq")
    state = {k: v.contiguous().clone() for k, v in model.state_dict().items() if not any(part in k for part in idle)}
    save_file(state, os.path.join(folder, "model.safetensors"))


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--source", required=True)
    parser.add_argument("--out", default=OUT)
    parser.add_argument("--seed", type=int, default=1)
    args = parser.parse_args()
    torch.set_num_threads(1)
    modules = published(args.source)
    # torch no longer fills a tensor of the default type with the smallest f64.
    llama = transformers.models.llama.modeling_llama
    masked = llama._make_causal_mask
    llama._make_causal_mask = lambda shape, dtype, *rest, **more: masked(shape, torch.float32, *rest, **more).to(dtype)
    _, _, _, eva_vit, conversation, extract = modules
    folder = os.path.join(args.out, "toy")
    shutil.rmtree(folder, ignore_errors=True)
    os.makedirs(os.path.join(folder, "bert-base-uncased"))
    with open(os.path.join(folder, "bert-base-uncased", "vocab.txt"), "w") as f:
        f.write("".join(f"{word}\n" for word in bert_vocabulary()))
    model = build(modules, folder)
    tokenizer = llama_tokenizer()
    processor = transformers.CLIPImageProcessor(size={"shortest_edge": SIDE}, crop_size={"height": SIDE, "width": SIDE})

    still = picture(70, 90, 3)
    clip = np.stack([picture(60, 80, n) for n in range(6)])
    times = [0.0, 1.0, 2.0]
    pixels = {
        "image": processor.preprocess(padded(Image.fromarray(still), processor.image_mean), return_tensors="pt")["pixel_values"],
        "cropped": processor.preprocess(Image.fromarray(still), return_tensors="pt")["pixel_values"],
        "video": processor.preprocess(clip[::2], return_tensors="pt")["pixel_values"],
    }
    captions = [(0.1, 0.9, "Somebody speaks."), (0.95, 1.4, "A door"), (1.2, 1.5, "closes."), (2.0, 2.5, "Hello there!")]
    subtitles = [{"start_time": a, "end_time": b, "text": text} for a, b, text in captions]
    inputs = extract.load_video_input(subtitles, times)
    asked = {"image": "What is this?", "video": "Which box moves?", "film": "Who speaks here?"}
    prompts = {
        "image": chat(conversation, "vicuna_v1", [(asked["image"], None)]),
        "video": chat(conversation, "llava_v1", [(asked["video"], None)]),
        "film": film(conversation, inputs, asked["film"], False),
        "part": film(conversation, inputs, asked["film"], True),
        "chat": chat(conversation, "vicuna_v1", [("What is it?", "A box."), ("And the man's?", "Red, 3."), ("Where?", None)]),
    }
    ids = {name: ids_of(tokenizer, prompt) for name, prompt in prompts.items()}

    def given(wide):
        cast = (lambda t: t.double()) if wide else (lambda t: t)
        shown = {"image": [cast(pixels["image"])], "video": [cast(pixels["video"])]}
        m = wide or model
        shown["film"] = [m.get_vision_tower()(shown["video"][0])[:, 1:]]
        return shown

    seed = args.seed
    while True:
        fill(model, seed)
        with torch.no_grad():
            shown = given(None)
            found = {name: greedy(model, ids[name], shown[name], asked[name]) for name in asked}
        if all(gap > 2e-3 and len(set(tokens)) >= 8 for tokens, gap in found.values()):
            break
        seed += 1
    print("seed", seed, {name: (gap, len(set(tokens))) for name, (tokens, gap) in found.items()})
    write_folder(folder, model)
    wide = copy.deepcopy(model).double()
    tensors, noise, report = {"raw.still": torch.from_numpy(still), "raw.clip": torch.from_numpy(clip)}, {}, {}
    for name, value in pixels.items():
        tensors[f"{name}.pixels"] = value
    with torch.no_grad():
        shown, shown_wide = given(None), given(wide)
        for name in asked:
            own = stages(model, ids[name], shown[name], asked[name], name == "film")
            theirs = stages(wide, ids[name], shown_wide[name], asked[name], name == "film")
            for key, value in own.items():
                noise[f"{name}.{key}"] = (value.double() - theirs[key]).abs().max().item()
                if not (name == "film" and key == "features"):
                    tensors[f"{name}.{key}"] = value
            tensors[f"{name}.greedy"] = torch.tensor(found[name][0])
        for kind in ("grid:2", "grid:3", None):
            for m in (model, wide):
                m.config.compress_type = kind
            key = f"visual.{(kind or 'all').replace(':', '')}"
            one, one_wide = (m.encode_images(s["video"][0], [[asked["video"]]], [3])[0][0] for m, s in ((model, shown), (wide, shown_wide)))
            tensors[key], noise[key] = one, (one.double() - one_wide).abs().max().item()
        for m in (model, wide):
            m.config.compress_type = "mean_concat"
        # Another resolution: the position table is stretched.
        large = {}
        for key, m in (("f32", model), ("f64", wide)):
            state = {k: v.clone() for k, v in m.model.vision_tower.vision_tower.state_dict().items()}
            larger = transformer(eva_vit, 84).to(next(m.parameters()).dtype).eval()
            eva_vit.interpolate_pos_embed(larger, state)
            larger.load_state_dict(state)
            g = torch.Generator().manual_seed(4)
            image = torch.randn(1, 3, 84, 84, generator=g)
            large[key] = larger(image.to(next(m.parameters()).dtype))
        tensors["large.pixels"], tensors["large.features"] = image, large["f32"]
        # The reference interpolates in f32 even here, so what is left is its rounding and that of the blocks.
        noise["large.features"] = (large["f32"].double() - large["f64"]).abs().max().item()

    def gradients(m, images, draw=0):
        m.zero_grad()
        x = embed(m, ids["video"], images, asked["video"])
        logits = m.lm_head(m.model(inputs_embeds=x, use_cache=False)[0])[0]
        targets = torch.tensor([((7 + draw) * n + 11) % logits.shape[1] for n in range(ROWS)])
        loss = torch.nn.functional.cross_entropy(logits[-ROWS:], targets)
        loss.backward()
        named = dict(m.named_parameters())
        return loss.item(), {name: named[name].grad.detach().clone() for name in GRADIENTS}

    loss, grads = gradients(model, [pixels["video"]])
    # Rounding of a few values depends much on what is asked: the largest of eight draws of the targets is taken.
    rounding = {name: 0.0 for name in grads}
    for draw in range(8):
        _, own = gradients(model, [pixels["video"]], draw)
        _, theirs = gradients(wide, [pixels["video"].double()], draw)
        rounding = {name: max(known, (own[name].double() - theirs[name]).abs().max().item()) for name, known in rounding.items()}
    report["gradients"] = {"loss": loss, "noise": rounding}
    bert = model.model.vlm_att_tokenlizer
    heard = [*asked.values(), "", "And the man's?", "What's 3 + é [x] here?\nWhere", " ".join("box who film 3 moves".split()[n * n % 5] for n in range(400))]
    report["words"] = [{"text": text, "ids": bert(text, truncation=True, max_length=256).input_ids} for text in heard]
    report["cases"] = {
        name: {"prompt": prompts[name], "ids": ids[name], "question": asked.get(name)} for name in prompts
    }  # fmt: skip
    report["captions"], report["inputs"], report["noise"] = captions, inputs, noise
    report["greedy_gap"] = {name: gap for name, (_, gap) in found.items()}
    report["made_with"] = {
        "code": "dvlab-research/LLaMA-VID b3d3ae2", "torch": torch.__version__, "transformers": transformers.__version__,
        "tokenizers": tokenizers.__version__, "pillow": PIL.__version__, "seed": seed,
    }  # fmt: skip
    save_file({k: v.detach().contiguous().clone() for k, v in tensors.items()}, os.path.join(args.out, "cases.safetensors"))
    save_file({k: v.contiguous() for k, v in grads.items()}, os.path.join(args.out, "gradients.safetensors"))
    with open(os.path.join(args.out, "goldens.json"), "w") as f:
        json.dump(report, f, indent=1, ensure_ascii=False)
        f.write("\n")


if __name__ == "__main__":
    main()
