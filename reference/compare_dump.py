"""Compare two safetensors files: for every shared name the shapes, the largest absolute difference and, relative to the spread of B, the largest and mean difference.

Names may be paired with --map a=b. For a name with `logits` also whether the best entry of every row agrees. Exit status 1 when ids or masks differ, a shape differs,
a best entry differs, or a float tensor differs by more than --tolerance times its spread.
"""

import argparse
import sys

import numpy as np
import torch
from safetensors.torch import load_file


def compare(name, a, b, tolerance):
    """(line, failed)."""
    if a.numel() == b.numel():
        a = a.reshape(b.shape)
    if a.shape != b.shape:
        return f"{name}: shapes {tuple(a.shape)} and {tuple(b.shape)}", True
    if not a.is_floating_point() and not b.is_floating_point():
        # A visual token has no id in our dumps (-1); references write a placeholder's.
        visual = (a < 0) if name == "input_ids" else torch.zeros_like(a, dtype=torch.bool)
        wrong = int(((a.long() != b.long()) & ~visual).sum())
        return f"{name}: {wrong} of {b.numel()} differ", wrong > 0
    a, b = a.double(), b.double()
    diff = (a - b).abs()
    spread = max(b.std().item(), 1e-30) if b.numel() > 1 else 1.0
    line = f"{name} {tuple(b.shape)}: max {diff.max():.3e} mean {diff.mean():.3e} spread {spread:.3e} max/spread {diff.max() / spread:.3e}"
    failed = diff.max().item() > tolerance * spread or not np.isfinite(diff.max().item())
    if "logits" in name:
        same = a.reshape(-1, a.shape[-1]).argmax(-1) == b.reshape(-1, b.shape[-1]).argmax(-1)
        line += f" best agrees {int(same.sum())}/{same.numel()}"
        failed |= not bool(same.all())
    return line, failed


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("a")
    parser.add_argument("b", help="the reference")
    parser.add_argument("--map", action="append", default=[], help="name in A = name in B")
    parser.add_argument("--tolerance", type=float, default=1e-3)
    args = parser.parse_args()
    a, b = load_file(args.a), load_file(args.b)
    pairs = {n: n for n in a if n in b} | dict(m.split("=") for m in args.map)
    assert pairs, f"no shared names: {sorted(a)} and {sorted(b)}"
    failed = False
    for left, right in sorted(pairs.items()):
        line, bad = compare(right, a[left], b[right], args.tolerance)
        failed |= bad
        print(("FAIL " if bad else "ok   ") + line)
    print("only in A:", sorted(set(a) - set(pairs)), "only in B:", sorted(set(b) - set(pairs.values())))
    sys.exit(1 if failed else 0)


if __name__ == "__main__":
    main()
