"""Make the goldens of the text-conditioned Q-Former with transformers (InstructBlipQFormerModel).

Writes crates/models/tests/golden/qformer/qformer.safetensors: the tensors of a tiny Q-Former under the names of
checkpoints (below `bert`), queries, features of two units, the ids of one instruction, the outputs with and without the
instruction, and gradients of the sum of output * `weights`. `noise.*` is how far f32 runs are from f64 runs.

Deterministic on one CPU thread: OMP_NUM_THREADS=1 python reference/make_qformer_goldens.py
"""

import os

import torch
import transformers
from safetensors.torch import save_file
from transformers import InstructBlipQFormerConfig
from transformers.models.instructblip.modeling_instructblip import InstructBlipQFormerModel

OUT = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "crates", "models", "tests", "golden", "qformer")
QUERIES, WIDTH, FEATURES = 5, 20, 7
WORDS = [2, 17, 4, 9, 29, 3]
UNITS = 2
GRADIENTS = [
    "embeddings.word_embeddings.weight",
    "embeddings.position_embeddings.weight",
    "embeddings.LayerNorm.weight",
    "encoder.layer.0.attention.self.query.weight",
    "encoder.layer.0.crossattention.self.key.weight",
    "encoder.layer.0.crossattention.output.LayerNorm.bias",
    "encoder.layer.0.intermediate.dense.weight",
    "encoder.layer.1.output_query.dense.weight",
    "encoder.layer.1.attention.self.value.bias",
    "encoder.layer.2.crossattention.self.value.weight",
    "encoder.layer.2.output_query.LayerNorm.weight",
]


def of_checkpoints(name):
    """The name of checkpoints, which transformers has changed."""
    name = name.replace("embeddings.layernorm", "embeddings.LayerNorm")
    return name.replace("attention.attention.", "attention.self.")


def fill(model, seed):
    g = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for name, p in sorted(model.named_parameters()):
            draw = torch.randn(p.shape, generator=g)
            if p.ndim == 1:
                p.copy_((1.0 if "orm.weight" in name else 0.0) + 0.2 * draw)
            else:
                p.copy_(draw * (0.5 if "embeddings" in name else 0.3))


def run(model, given, words):
    """Output rows of all units, unit by unit."""
    n, t = UNITS, len(words)
    mask = torch.ones(n, QUERIES + t, dtype=torch.long)
    out = model(
        input_ids=torch.tensor([words] * n) if t else None,
        attention_mask=mask,
        query_embeds=given["queries"].unsqueeze(0).expand(n, -1, -1),
        encoder_hidden_states=given["features"].reshape(n, FEATURES, WIDTH),
    )
    return out.last_hidden_state[:, :QUERIES].reshape(n * QUERIES, -1)


def everything(model, given):
    model.zero_grad()
    leaves = {name: given[name].clone().requires_grad_() for name in ("queries", "features")}
    out = run(model, {**given, **leaves}, WORDS)
    (out * given["weights"]).sum().backward()
    found = {"output": out, "output_without_words": run(model, given, [])}
    named = {of_checkpoints(name): p.grad for name, p in model.named_parameters()}
    found |= {f"gradient.{name}": named[name] for name in GRADIENTS}
    found |= {f"gradient.{name}": leaf.grad for name, leaf in leaves.items()}
    return {name: t.detach().clone() for name, t in found.items()}


def main():
    torch.set_num_threads(1)
    config = InstructBlipQFormerConfig(
        vocab_size=30,
        hidden_size=24,
        num_hidden_layers=3,
        num_attention_heads=3,
        intermediate_size=40,
        max_position_embeddings=12,
        cross_attention_frequency=2,
        encoder_hidden_size=WIDTH,
        hidden_dropout_prob=0.0,
        attention_probs_dropout_prob=0.0,
    )
    config._attn_implementation = "eager"
    model = InstructBlipQFormerModel(config).eval()
    fill(model, 11)
    g = torch.Generator().manual_seed(12)
    given = {
        "queries": torch.randn(QUERIES, 24, generator=g),
        "features": torch.randn(UNITS * FEATURES, WIDTH, generator=g),
        "weights": torch.randn(UNITS * QUERIES, 24, generator=g),
    }
    tensors = {f"bert.{of_checkpoints(name)}": p.detach().clone() for name, p in model.named_parameters()}
    # Rounding of gradients depends much on where the loss looks: the largest of eight draws of its weights is taken.
    draws = [given] + [given | {"weights": torch.randn(UNITS * QUERIES, 24, generator=g)} for _ in range(7)]
    found = [everything(model, draw) for draw in draws]
    model.double()
    exact = [everything(model, {name: t.double() for name, t in draw.items()}) for draw in draws]
    for name, t in found[0].items():
        tensors[name] = t
        noise = [(ours[name].double() - theirs[name]).abs().max() for ours, theirs in zip(found, exact)]
        tensors[f"noise.{name}"] = torch.stack(noise).max().float().reshape(1)
    tensors |= given
    tensors["words"] = torch.tensor(WORDS)
    os.makedirs(OUT, exist_ok=True)
    about = f"made by reference/make_qformer_goldens.py, transformers {transformers.__version__}, torch {torch.__version__}"
    save_file({k: v.contiguous() for k, v in tensors.items()}, os.path.join(OUT, "qformer.safetensors"), {"about": about})


if __name__ == "__main__":
    main()
