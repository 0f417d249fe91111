"""The first stage of VideoChat2 at toy size, by the authors' own code: contrast, matching and captioning.

Of the authors' code run `encode_vision`, `encode_text`, `vtm_loss` and `cap_loss` of models/videochat2_qformer.py, the
losses of models/criterions.py and the Q-Former with its head (models/blip2/Qformer.py). Two things are put around them:
pictures and clips of one step are encoded one by one, and wrong pairs are drawn by numbers that both sides make
(`unit`) instead of torch's generator.
"""

import contextlib
import importlib
import sys
import types

import torch
import torch.nn.functional as F

import make_videochat2_toy as maker

EMBED, FRAMES, CAPTION = 20, 4, 32
MASK = (1 << 64) - 1
HEADS = ["vision_proj", "text_proj", "itm_head"]


def mixed(state):
    """The first number of SplitMix64 from a state."""
    z = (state + 0x9E3779B97F4A7C15) & MASK
    z = ((z ^ (z >> 30)) * 0xBF58476D1CE4E5B9) & MASK
    z = ((z ^ (z >> 27)) * 0x94D049BB133111EB) & MASK
    return z ^ (z >> 31)


def unit(seed, first, row, side):
    """The draw of a sample: (entry, row), in the step that begins with sample number `first`."""
    bits = mixed(seed)
    for value in (first, *row, side):
        bits = mixed(bits ^ value)
    return (bits >> 11) / 2.0**53


def stand_ins():
    """Modules that the authors' files of this stage import, and what is used of them."""
    einops = types.ModuleType("einops")
    einops.rearrange = None
    builder = types.ModuleType("models.blip2.builder")
    builder.build_qformer = None
    of_models = types.ModuleType("models.utils")
    of_models.allgather_wgrad = None
    utils = types.ModuleType("utils")
    distributed = types.ModuleType("utils.distributed")
    distributed.get_rank, distributed.get_world_size = lambda: 0, lambda: 1
    easydict = types.ModuleType("utils.easydict")
    easydict.EasyDict = dict
    for name, module in {
        "einops": einops, "models.blip2.builder": builder, "models.utils": of_models, "utils": utils,
        "utils.distributed": distributed, "utils.easydict": easydict,
    }.items():
        sys.modules[name] = module


class FirstStage(torch.nn.Module):
    """The parts that learn, over a toy's encoder, and the losses of a step."""

    def __init__(self, toy, seed):
        super().__init__()
        stand_ins()
        self.authors = importlib.import_module("models.videochat2_qformer").VideoChat2_qformer
        self.criterion = importlib.import_module("models.criterions").VTC_VTM_Loss(True)
        modules = sys.modules["models.blip2.Qformer"]
        config = toy.qformer.bert.config
        width = config.hidden_size
        self.toy = toy
        head = modules.BertLMHeadModel(config)
        head.bert = toy.qformer.bert
        maker.fill(head.cls, 100 * seed + 50)
        # Tied, as `from_pretrained` and `resize_token_embeddings` of the authors leave it.
        head.cls.predictions.decoder.weight = head.bert.embeddings.word_embeddings.weight
        head.cls.predictions.decoder.bias = head.cls.predictions.bias
        self.qformer = head.eval()
        self.vision_encoder, self.vision_layernorm = toy.vision, toy.layernorm
        self.query_tokens = toy.queries[0]
        g = torch.Generator().manual_seed(100 * seed + 60)
        draw = lambda *shape: torch.nn.Parameter(torch.randn(shape, generator=g))
        self.vision_temp_embed = draw(1, FRAMES, 1, maker.WIDTH)
        self.vision_proj = torch.nn.Linear(width, EMBED)
        self.text_proj = torch.nn.Linear(width, EMBED)
        self.itm_head = torch.nn.Linear(2 * width, 2)
        for name in HEADS:
            maker.fill(getattr(self, name), 100 * seed + 70 + HEADS.index(name))
        self.temp = torch.nn.Parameter(torch.tensor(0.07))

    def heads(self):
        """What the stage has beside the toy, under the names of checkpoints."""
        named = {name: p for name, p in self.named_parameters() if not name.startswith("toy.")}
        own = {name: p for name, p in named.items() if name.split(".")[0] in [*HEADS, "temp", "vision_temp_embed"]}
        own |= {f"qformer.cls.{name}": p for name, p in self.qformer.cls.named_parameters()}
        own.pop("qformer.cls.predictions.decoder.weight", None)
        return own

    def this(self):
        """What the authors' methods ask of their model."""
        authors = self.authors
        this = types.SimpleNamespace(
            vision_encoder=self.vision_encoder, vision_layernorm=self.vision_layernorm,
            vision_temp_embed=self.vision_temp_embed, qformer=self.qformer, query_tokens=self.query_tokens,
            itm_head=self.itm_head, temp=self.temp, agg_method="mean",
            tokenizer=types.SimpleNamespace(bos_token_id=len(maker.BERT_VOCAB), pad_token_id=0),
            config=types.SimpleNamespace(
                criterion=types.SimpleNamespace(vtm_hard_neg=True, get=lambda name, other: name == "vtm_cat_text_cls")
            ),
        )
        for name in ("encode_vision", "encode_text", "get_mask", "vtm_embed", "vtm_loss", "cap_loss"):
            setattr(this, name, getattr(authors, name).__get__(this))
        return this

    def losses(self, clips, captions, rows, seed, first):
        """The three losses of a step, and what was drawn. `clips` are [T, 3, S, S], `captions` ids, `rows` identities."""
        this = self.this()
        with torch.no_grad():
            self.temp.clamp_(0.001, 0.5)
        embeds, queries, caches = [], [], []
        for clip in clips:
            frames = clip.shape[0]
            assert frames in (1, FRAMES), "the authors' sum with vision_temp_embed takes no other"
            if frames > 1:
                self.vision_encoder.encoder.pos_embed = self.toy.table(frames)
            found = this.encode_vision(clip.unsqueeze(0), return_key_values=True)
            embeds.append(found[0])
            queries.append(found[1])
            caches.append(found[2])
        cache = tuple(tuple(torch.cat(parts) for parts in zip(*layer)) for layer in zip(*caches))
        vision_embeds, vision_query_embeds = torch.cat(embeds), torch.cat(queries)
        longest = max(len(ids) for ids in captions)
        ids = torch.tensor([own + [0] * (longest - len(own)) for own in captions])
        text = types.SimpleNamespace(input_ids=ids, attention_mask=(ids != 0).long())
        _, pooled = this.encode_text(text)
        vision_proj, text_proj = self.vision_proj(vision_query_embeds), self.text_proj(pooled)
        idx = torch.tensor([rows.index(row) for row in rows])
        vtc = self.criterion.vtc_loss(vision_proj, text_proj, idx, self.temp, all_gather=False, agg_method="mean")
        drawn, margins = [], []

        def multinomial(weights, count):
            side = len(drawn)
            chosen = []
            for n, own in enumerate(weights.double()):
                end = unit(seed, first, rows[n], side) * float(own.sum())
                passed = own.cumsum(0)
                chosen.append(int((passed <= end).sum()))
                margins.append(float((passed / own.sum() - end / own.sum()).abs().min()))
                assert own[chosen[-1]] > 0
            drawn.append(chosen)
            return torch.tensor(chosen).reshape(-1, count)

        with contextlib.ExitStack() as stack:
            kept, torch.multinomial = torch.multinomial, multinomial
            stack.callback(lambda: setattr(torch, "multinomial", kept))
            vtm = this.vtm_loss(text, vision_embeds, vision_proj, text_proj, idx)
        cap = this.cap_loss(text, cache)
        return {"contrast": vtc, "matching": vtm, "captioning": cap}, drawn, min(margins)


def pixels(frames):
    """uint8 [T, S, S, 3] to ImageNet's mean and deviation, [T, 3, S, S]."""
    return maker.imagenet(torch.from_numpy(frames).permute(0, 3, 1, 2))


def caption_ids(bert, caption):
    return bert(caption, truncation=True, max_length=CAPTION).input_ids
