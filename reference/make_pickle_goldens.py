"""Golden checkpoints of torch.save: zip and legacy format, pickle protocols 2 and 4, and the values of their tensors.

Writes *.bin and values.safetensors (every float tensor of every file as f32, named FILE:TENSOR) to
crates/models/tests/golden/pickle. Legacy files differ at every run, since torch names storages by their addresses there.
"""

import argparse
import io
import os
import pickle
from collections import OrderedDict

import numpy as np
import torch
from safetensors.torch import save_file
from torch import nn

HERE = os.path.dirname(os.path.abspath(__file__))
DEFAULT_OUT = os.path.join(HERE, "..", "crates", "models", "tests", "golden", "pickle")
# Dtypes that are read; the others are listed only.
FLOATS = (torch.float32, torch.float16, torch.bfloat16)


def numbers(*shape):
    """Distinct values that f16 and bf16 hold exactly."""
    count = int(torch.tensor(shape).prod()) if shape else 1
    return (torch.arange(count, dtype=torch.float32) - 3).div(4).reshape(shape)


def types():
    """Every kind of tensor: types, shapes, views of one storage, strides, parameters."""
    base = numbers(6, 4)
    marked = nn.Parameter(numbers(2, 3))
    marked.no_decay = True
    return {
        "f32": numbers(3, 5),
        "f16": numbers(3, 5).half(),
        "bf16": numbers(3, 5).bfloat16(),
        "scalar": torch.tensor(2.5),
        "empty": torch.zeros(0, 4),
        "conv": numbers(2, 3, 2, 2),
        "parameter": nn.Parameter(numbers(4)),
        "frozen": nn.Parameter(numbers(4), requires_grad=False),
        # A parameter with an attribute of its own is rebuilt by another function.
        "marked": marked,
        # Views of one storage: all of it, tied to it, rows from the middle, one row.
        "base": base,
        "tied": base,
        "rows": base[2:5],
        "row": base[1],
        # Strides of axes of length 1 do not matter.
        "thin": numbers(4, 1).t(),
        # Not in order.
        "transposed": numbers(2, 3).t(),
        "columns": base[:, 1:3],
        "expanded": numbers(1, 3).expand(2, 3),
        # Listed, not read.
        "i64": torch.arange(4),
        "f64": numbers(3).double(),
        "bool": torch.tensor([True, False]),
        "u16": torch.arange(3).to(torch.uint16),
        "f8": numbers(4).to(torch.float8_e4m3fn),
        "sparse": torch.eye(3).to_sparse(),
    }


class Toy(nn.Module):
    """Tied embedding and head, a norm, and a buffer of integers."""

    def __init__(self):
        super().__init__()
        self.embed = nn.Embedding(5, 4)
        self.norm = nn.LayerNorm(4)
        self.head = nn.Linear(4, 5, bias=False)
        self.head.weight = self.embed.weight
        self.register_buffer("position_ids", torch.arange(6).expand(1, -1))
        with torch.no_grad():
            self.embed.weight.copy_(numbers(5, 4))

    def forward(self, ids):
        return self.head(self.norm(self.embed(ids)))


def training(model):
    """What a training program keeps: the weights among other things."""
    optimizer = torch.optim.AdamW(model.parameters(), lr=0.5)
    model(torch.tensor([1, 2])).sum().backward()
    optimizer.step()
    return {"epoch": 3, "loss": 0.25, "best": None, "names": ["a", "b"], "big": 1 << 40, "seen": {1, 2},
            "optimizer": optimizer.state_dict(), "shape": torch.Size([2, 3]), "dtype": torch.float16,
            "model": model.state_dict()}


def files():
    """File name -> (object, arguments of torch.save)."""
    toy = Toy()
    state = OrderedDict((name, value.half()) for name, value in toy.state_dict().items())
    legacy = {"_use_new_zipfile_serialization": False}
    return {
        "types.bin": (types(), {}),
        "types_protocol4.bin": (types(), {"pickle_protocol": 4}),
        "module.bin": (toy.state_dict(), {}),
        "training.bin": (training(toy), {}),
        "state_dict.bin": ({"state_dict": state, "config": {"model": "toy"}}, {"pickle_protocol": 4}),
        "legacy.bin": (types(), legacy),
        "legacy_protocol4.bin": (types(), {"pickle_protocol": 4, **legacy}),
        "legacy_training.bin": (training(toy), legacy),
        # Refused: the object itself, which needs its class to be imported.
        "object.bin": (nn.Linear(1, 1), {}),
    }


def films():
    """Features of a film as LLaMA-VID's programs pickle them: a dict of a numpy array and a text, not torch.save."""
    film = {"feats": np.arange(30, dtype=np.float16).reshape(2, 5, 3), "inputs": "<image>Hello é.<image>", "count": 2}
    made = {f"film_protocol{protocol}.pkl": pickle.dumps(film, protocol) for protocol in (3, 4, 5)}
    # numpy 1 called the module by another name; protocol 3 writes names as lines.
    made["film_old_numpy.pkl"] = made["film_protocol3.pkl"].replace(b"numpy._core.", b"numpy.core.")
    return made


def state_of(saved):
    """The dict of tensors in a saved object."""
    return next((saved[key] for key in ("model", "state_dict") if key in saved), saved)


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", default=DEFAULT_OUT)
    args = parser.parse_args()
    os.makedirs(args.out, exist_ok=True)
    torch.manual_seed(20)
    torch.set_num_threads(1)
    values = {}
    for name, (saved, options) in files().items():
        buffer = io.BytesIO()
        torch.save(saved, buffer, **options)
        with open(os.path.join(args.out, name), "wb") as file:
            file.write(buffer.getvalue())
        if not isinstance(saved, dict):
            continue
        for key, value in state_of(saved).items():
            if value.dtype in FLOATS and not value.is_sparse:
                values[f"{name}:{key}"] = value.detach().float().clone().contiguous()
    for name, content in films().items():
        with open(os.path.join(args.out, name), "wb") as file:
            file.write(content)
    save_file(values, os.path.join(args.out, "values.safetensors"), metadata={"made_by": f"make_pickle_goldens.py, torch {torch.__version__}"})


if __name__ == "__main__":
    main()
