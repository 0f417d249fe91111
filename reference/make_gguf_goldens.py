"""Golden blocks of GGUF files: one tensor of each type that is read, and its values as the gguf package dequantises them.

Writes golden/types.gguf and golden/types.safetensors. Blocks are random bits with scales of ordinary size, so that every bit counts.
"""

import argparse
import os

import gguf
import numpy as np
from gguf.constants import GGML_QUANT_SIZES, GGMLQuantizationType as Type
from safetensors.numpy import save_file

HERE = os.path.dirname(os.path.abspath(__file__))
DEFAULT_OUT = os.path.join(HERE, "..", "crates", "models", "src", "parts", "golden")

# Type -> bytes of a block at which its f16 scales begin.
SCALES = {
    Type.Q4_0: [0],
    Type.Q4_1: [0, 2],
    Type.Q5_0: [0],
    Type.Q5_1: [0, 2],
    Type.Q8_0: [0],
    Type.Q2_K: [80, 82],
    Type.Q3_K: [108],
    Type.Q4_K: [0, 2],
    Type.Q5_K: [0, 2],
    Type.Q6_K: [208],
}


def blocks(kind, rng, rows, cols):
    """Random blocks of `kind`, as bytes `[rows, bytes of a row]`."""
    values, size = GGML_QUANT_SIZES[kind]
    raw = rng.integers(0, 256, (rows * cols // values, size), dtype=np.uint8)
    for at in SCALES[kind]:
        scales = rng.uniform(0.001, 0.1, len(raw)) * rng.choice([-1.0, 1.0], len(raw))
        raw[:, at : at + 2] = scales.astype(np.float16)[:, None].view(np.uint8)
    return raw.reshape(rows, -1)


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", default=DEFAULT_OUT)
    args = parser.parse_args()
    os.makedirs(args.out, exist_ok=True)
    rng = np.random.default_rng(20)
    writer = gguf.GGUFWriter(os.path.join(args.out, "types.gguf"), "qwen2")
    writer.add_array("tokenizer.ggml.tokens", ["a", "bc", ""])
    writer.add_array("tokenizer.ggml.scores", [0.5, 1.5])
    want = {}
    floats = rng.normal(0, 0.1, (2, 40)).astype(np.float32)
    for kind in [Type.F32, Type.F16, Type.BF16]:
        data = gguf.quantize(floats, kind)
        writer.add_tensor(kind.name, data, raw_dtype=kind)
        want[kind.name] = gguf.dequantize(data, kind)
    for kind in SCALES:
        # Two rows of one block or two.
        data = blocks(kind, rng, 2, 256 if GGML_QUANT_SIZES[kind][0] == 256 else 64)
        writer.add_tensor(kind.name, data, raw_dtype=kind)
        want[kind.name] = gguf.dequantize(data, kind)
    # A type that is not read.
    writer.add_tensor("IQ4_NL", rng.integers(0, 256, (1, 18), dtype=np.uint8), raw_dtype=Type.IQ4_NL)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    save_file({name: np.ascontiguousarray(values, dtype=np.float32) for name, values in want.items()}, os.path.join(args.out, "types.safetensors"))


if __name__ == "__main__":
    main()
