"""Make the toy of VideoChat2 with the heads of its first stage, and the goldens of that stage's losses.

    OMP_NUM_THREADS=1 python reference/make_videochat2_alignment.py ASK_ANYTHING

ASK_ANYTHING is a checkout of github.com/OpenGVLab/Ask-Anything, as for make_videochat2_toy.py, whose toy this is without
tiles and without low-rank parts. Writes below crates/models/tests/golden/videochat2:

  toy/                    a folder in the layout of the stage files, heads included (f32)
  alignment.safetensors   three clips and pictures, their features, what queries and words say, logits, losses, gradients
  alignment.json          captions, ids, wrong pairs, noise (distance of the f32 run from an f64 run)
"""

import json
import os
import shutil
import sys

import numpy as np
import torch
from safetensors.torch import save_file

import make_videochat2_toy as maker
from make_videollama3_toy import picture
from videochat2_first_stage import FirstStage, caption_ids, pixels

SEED = 3
CAPTIONS = ["Watch the best video.", "A select option, and the image: observe (it) and question it.", "An answer"]
# Four of eight frames by the authors' rule.
SHOWN = [0, 2, 4, 5]
ROWS, RUN_SEED, FIRST = [(0, 4), (0, 9), (1, 2)], 5, 64
GRADIENTS = [
    "vision_layernorm.weight", "vision_temp_embed", "query_tokens", "temp", "vision_proj.weight", "text_proj.weight",
    "text_proj.bias", "itm_head.weight", "itm_head.bias", "qformer.cls.predictions.transform.dense.weight",
    "qformer.cls.predictions.transform.LayerNorm.bias", "qformer.cls.predictions.bias",
    "qformer.bert.embeddings.word_embeddings.weight", "qformer.bert.embeddings.position_embeddings.weight",
    "qformer.bert.encoder.layer.0.crossattention.self.key.weight",
    "qformer.bert.encoder.layer.1.intermediate.dense.weight", "qformer.bert.encoder.layer.2.output.dense.weight",
    "qformer.bert.encoder.layer.2.output_query.dense.weight",
]


def plain_toy(root, bert, vocabulary):
    """The authors' parts with drawn weights, low-rank parts left out."""
    toy = maker.Toy(root, SEED, bert, vocabulary)
    with torch.no_grad():
        for name, p in toy.language.named_parameters():
            module = name.removesuffix(".weight")
            if module.endswith(tuple(maker.ADAPTED)):
                own = f"mistral_model.base_model.model.{module}"
                p.copy_(toy.published.pop(f"{own}.base_layer.weight"))
                del toy.published[f"{own}.lora_A.default.weight"], toy.published[f"{own}.lora_B.default.weight"]
    toy.published = {f"mistral_model.{name}": p.detach().clone() for name, p in toy.language.named_parameters()}
    return toy


def clips():
    """A clip of eight frames, a picture, and another clip, all of the encoder's size."""
    side, counts = maker.SIDE, (8, 1, 8)
    return [np.stack([picture(side, side, 9 * own + n) for n in range(count)]) for own, count in enumerate(counts)]


def named(stage):
    parts = {"vision_layernorm.": stage.vision_layernorm, "qformer.": stage.qformer}
    out = {prefix + name: p for prefix, part in parts.items() for name, p in part.named_parameters()}
    return out | stage.heads() | {"query_tokens": stage.query_tokens}


def run(stage, raw, captions):
    dtype = stage.temp.dtype
    given = [clip.to(dtype) for clip in raw]
    stage.zero_grad()
    losses, drawn, margin = stage.losses(given, captions, ROWS, RUN_SEED, FIRST)
    found = {f"loss.{name}": loss.detach().reshape(1) for name, loss in losses.items()}
    sum(losses.values()).backward()
    found |= {f"gradient.{name}": named(stage)[name].grad.detach().clone() for name in GRADIENTS}
    this = stage.this()
    with torch.no_grad():
        for n, (clip, ids) in enumerate(zip(given, captions)):
            if clip.shape[0] > 1:
                stage.vision_encoder.encoder.pos_embed = stage.toy.table(clip.shape[0])
            features, queries, cache = this.encode_vision(clip.unsqueeze(0), return_key_values=True)
            words = torch.tensor([ids])
            text = type("Text", (), {"input_ids": words, "attention_mask": torch.ones_like(words)})
            found[f"{n}.features"] = features[0]
            found[f"{n}.media"] = torch.nn.functional.normalize(stage.vision_proj(queries), dim=-1)[0].mean(0)
            found[f"{n}.caption"] = torch.nn.functional.normalize(stage.text_proj(this.encode_text(text)[1]), dim=-1)[0]
            fused = this.vtm_embed(words, torch.ones_like(words), features, torch.ones(features.shape[:2], dtype=torch.long))
            found[f"{n}.match"] = stage.itm_head(fused)
            said = words.clone()
            said[:, 0] = len(maker.BERT_VOCAB)
            mask = torch.ones(1, stage.query_tokens.shape[1] + len(ids), dtype=torch.long)
            logits = stage.qformer(said, attention_mask=mask, past_key_values=cache, return_dict=True).logits
            found[f"{n}.next"] = logits[0, :-1]
    return found, drawn, margin


def main():
    root = sys.argv[1]
    torch.set_num_threads(1)
    folder = os.path.join(maker.OUT, "toy")
    shutil.rmtree(folder, ignore_errors=True)
    os.makedirs(folder)
    tokenizer, bert = maker.make_tokenizer(folder)
    toy = plain_toy(root, bert, tokenizer.get_vocab_size() + 3)
    stage = FirstStage(toy, SEED)
    config = {k: v for k, v in maker.MODEL_CONFIG.items() if k != "dynamic_config"} | {"model_cls": "VideoChat2_it_mistral"}
    with open(os.path.join(folder, "config.json"), "w") as f:
        json.dump({"model_type": "videochat2", "model_config": config, "llm_config": toy.language_config}, f, indent=1)
    tensors = toy.tensors() | {name: p.detach().clone().contiguous() for name, p in stage.heads().items()}
    save_file(tensors, os.path.join(folder, "model.safetensors"), {"format": "pt"})
    raw = clips()
    shown = [pixels(clip[SHOWN] if len(clip) > 1 else clip) for clip in raw]
    captions = [caption_ids(bert, caption) for caption in CAPTIONS]
    # Rounding of gradients depends on what is said: the largest of three orders of the captions is taken.
    orders = [captions[n:] + captions[:n] for n in range(3)]
    narrow = [run(stage, shown, own) for own in orders]
    toy.to(torch.float64)
    stage.double()
    wide = [run(stage, shown, own) for own in orders]
    assert all(a[1] == b[1] for a, b in zip(narrow, wide)), "rounding moves a draw"
    noise = {}
    for (ours, _, _), (exact, _, _) in zip(narrow, wide):
        for name, t in ours.items():
            noise[name] = max(noise.get(name, 0.0), float((t.double() - exact[name].double()).abs().max()))
    found, drawn, margin = narrow[0]
    out = {name: t.contiguous() for name, t in found.items()}
    out |= {f"raw.{n}": torch.from_numpy(clip) for n, clip in enumerate(raw)}
    save_file(out, os.path.join(maker.OUT, "alignment.safetensors"))
    golden = {
        "about": "made by reference/make_videochat2_alignment.py; github.com/OpenGVLab/Ask-Anything 4dd8210; "
        f"torch {torch.__version__}", "captions": CAPTIONS, "ids": captions, "rows": ROWS, "seed": RUN_SEED,
        "first": FIRST, "wrong": drawn, "f32_noise": noise,
    }
    with open(os.path.join(maker.OUT, "alignment.json"), "w") as f:
        json.dump(golden, f, indent=1)
    print({name: float(t) for name, t in found.items() if name.startswith("loss")}, drawn, "margin", margin)
    print({name: f"{value:.1e}" for name, value in noise.items()})


if __name__ == "__main__":
    main()
