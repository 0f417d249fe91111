"""Checksums of resized noise pictures, from Pillow or from torch (whose uint8 antialias kernel is torchvision's).

    python reference/make_resize_goldens.py pillow crates/kernels/tests/golden/resize/pillow-12.txt    # with pillow 12
    python reference/make_resize_goldens.py pillow crates/kernels/tests/golden/resize/pillow-13.txt    # with pillow 13
    python reference/make_resize_goldens.py torch crates/kernels/tests/golden/resize/torchvision.txt   # with torch 2

One line a picture: filter, width, height, new width, new height, seed, CRC-32 of the resized RGB bytes.
The picture of a seed: state = seed; for each byte state = state * 6364136223846793005 + 1442695040888963407 mod 2^64,
byte = state >> 56; pictures of odd seeds keep only the top bit (0 or 255), so that clipping and the order of the
passes show.
"""

import sys
import zlib

import numpy as np

FILTERS = ["bilinear", "bicubic", "lanczos"]
MASK = (1 << 64) - 1


def stream(seed):
    state = seed
    while True:
        state = (state * 6364136223846793005 + 1442695040888963407) & MASK
        yield state >> 56


def picture(width, height, seed):
    values = stream(seed)
    data = bytes(next(values) for _ in range(width * height * 3))
    array = np.frombuffer(data, np.uint8).reshape(height, width, 3)
    return (array >> 7) * np.uint8(255) if seed % 2 else array.copy()


def sizes():
    """The sizes tried, with a seed each: chosen ones, then 70 drawn ones."""
    chosen = [
        (640, 480, 644, 476), (320, 180, 224, 224), (1, 1, 1, 1), (1, 1, 5, 7), (1, 9, 4, 3), (9, 1, 3, 4),
        (7, 5, 1, 1), (1, 33, 1, 12), (33, 1, 12, 1), (40, 30, 40, 17), (40, 30, 17, 30), (40, 30, 40, 30),
        (30, 40, 90, 120),
        (96, 64, 70, 28), (64, 96, 56, 84), (200, 3, 14, 14), (3, 200, 14, 14), (64, 48, 62, 44), (64, 48, 62, 43),
    ]
    values = stream(2026)
    drawn = [tuple(1 + next(values) % 120 for _ in range(4)) for _ in range(70)]
    return [(*size, seed) for seed, size in enumerate(chosen + drawn, start=1)]


def with_pillow(array, width, height, name):
    from PIL import Image

    kind = {"bilinear": Image.BILINEAR, "bicubic": Image.BICUBIC, "lanczos": Image.LANCZOS}[name]
    return np.asarray(Image.fromarray(array).resize((width, height), kind))


def with_torch(array, width, height, name):
    import torch

    tensor = torch.from_numpy(array).permute(2, 0, 1)[None]
    out = torch.nn.functional.interpolate(tensor, size=(height, width), mode=name, antialias=True)
    return out[0].permute(1, 2, 0).contiguous().numpy()


def main():
    maker, path = sys.argv[1:]
    if maker == "pillow":
        import PIL

        version, resize = f"pillow {PIL.__version__}", with_pillow
    else:
        import torch

        version, resize = f"torch {torch.__version__.split('+')[0]}", with_torch
    lines = [f"# {version}, numpy {np.__version__}; made by reference/make_resize_goldens.py"]
    for width, height, out_width, out_height, seed in sizes():
        array = picture(width, height, seed)
        for name in FILTERS:
            out = np.ascontiguousarray(resize(array, out_width, out_height, name))
            assert out.shape == (out_height, out_width, 3) and out.dtype == np.uint8
            lines.append(f"{name} {width} {height} {out_width} {out_height} {seed} {zlib.crc32(out.tobytes()):08x}")
    with open(path, "w", encoding="ascii") as file:
        file.write("\n".join(lines) + "\n")


if __name__ == "__main__":
    main()
