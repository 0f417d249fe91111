"""Write a film's features as the authors of LLaMA-VID pickled them, with random numbers: by default three hours, 7.8 GB.

A dict of `feats`, an f16 array [frames, 257, 1408], and `inputs`, one `<image>` a frame with a subtitle after every
fourth (`--subtitle-every`).
The pickle is written instruction by instruction, so that memory stays small; a small one is loaded again by Python first.

  python reference/make_film_features.py OUT.pkl [--frames 10800] [--subtitle-every 4]
"""

import argparse
import io
import pickle
import struct

import numpy as np

# Frames of random numbers that are repeated.
BLOCK = 64


def text(words):
    data = words.encode()
    return b"X" + struct.pack("<I", len(data)) + data


def write(file, frames, rows, width, seed, every=4):
    """The pickle, of protocol 4."""
    rng = np.random.default_rng(seed)
    block = rng.standard_normal((min(BLOCK, frames), rows, width), dtype=np.float32).astype(np.float16)
    words = "".join("<image>" + (f"Line {n} of the film." if n % every == 0 else "") for n in range(frames))
    dtype = b"cnumpy\ndtype\n" + b"(" + text("f2") + b"\x89\x88tR" + b"(K\x03" + text("<") + b"NNN" + 2 * b"J\xff\xff\xff\xff" + b"K\x00tb"
    shape = b"(" + b"".join(b"J" + struct.pack("<i", axis) for axis in (frames, rows, width)) + b"t"
    file.write(b"\x80\x04}" + text("feats") + b"cnumpy.core.multiarray\n_reconstruct\n(cnumpy\nndarray\n(K\x00tC\x01btR")
    file.write(b"(K\x01" + shape + dtype + b"\x89\x8e" + struct.pack("<Q", 2 * frames * rows * width))
    for first in range(0, frames, BLOCK):
        file.write(block[: min(BLOCK, frames - first)].tobytes())
    file.write(b"tbs" + text("inputs") + text(words) + b"s.")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("out")
    parser.add_argument("--frames", type=int, default=10_800)
    parser.add_argument("--rows", type=int, default=257)
    parser.add_argument("--width", type=int, default=1408)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--subtitle-every", type=int, default=4, help="frames from one subtitle to the next")
    args = parser.parse_args()
    small = io.BytesIO()
    write(small, 3, 5, 4, args.seed)
    film = pickle.loads(small.getvalue())
    assert film["feats"].shape == (3, 5, 4) and film["feats"].dtype == np.float16 and film["inputs"].count("<image>") == 3
    with open(args.out, "wb") as file:
        write(file, args.frames, args.rows, args.width, args.seed, args.subtitle_every)


if __name__ == "__main__":
    main()
