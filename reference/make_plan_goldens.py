"""Golden tables of the request arithmetic: sizes, sampling, stamps. Writes golden/plan.json (no pixels).

`native` rows come from transformers itself, `original` rows from original_rules.py after it has reproduced every worked number of the model page;
sampling rows come from a real ffmpeg (imageio-ffmpeg) run on clips encoded here whose frames carry their own index.
"""

import argparse
import json
import os
import random
import subprocess
import tempfile
from fractions import Fraction

import av
import imageio_ffmpeg
import numpy as np
import torch
import transformers
from transformers import VideoLlama3VideoProcessor
from transformers.models.video_llama_3.image_processing_video_llama_3 import smart_resize
from transformers.video_utils import VideoMetadata

import original_rules as rules

HERE = os.path.dirname(os.path.abspath(__file__))
DEFAULT_OUT = os.path.join(HERE, "..", "crates", "models", "src", "families", "videollama3", "golden", "plan.json")

# (w, h, frames, merge, max_tokens) -> (w, h): every row of C1 and C2 of the model page
WORKED = [
    ((640, 480, 1, 1, 16384), (644, 476)),
    ((640, 480, 1, 2, 16384), (644, 476)),
    ((1344, 336, 1, 1, 16384), (1344, 336)),
    ((1344, 336, 1, 2, 16384), (1344, 336)),
    ((1920, 1080, 1, 1, 16384), (1918, 1078)),
    ((1920, 1080, 1, 2, 16384), (1932, 1092)),
    ((32, 32, 1, 1, 16384), (56, 56)),
    ((4000, 4000, 1, 1, 16384), (1792, 1792)),
    ((100, 5, 1, 1, 16384), (252, 14)),
    ((20, 4000, 1, 1, 16384), (14, 4004)),
    ((1280, 720, 10, 2, 16384), (1288, 728)),
    ((1280, 720, 10, 2, 10240), (1176, 672)),
    ((1280, 720, 11, 2, 16384), (1288, 728)),
    ((1280, 720, 128, 2, 16384), (420, 224)),
    ((1280, 720, 180, 2, 16384), (336, 196)),
    ((1280, 720, 128, 2, 10240), (308, 168)),
    ((1280, 720, 180, 2, 10240), (280, 140)),
]
WORKED_MIXED = [
    ([(720, 1280, 10), (480, 640, 1)], [2, 1], [(728, 1288), (476, 644)]),
    ([(720, 1280, 180), (480, 640, 1)], [2, 1], [(196, 336), (126, 168)]),
]


def native_rows(rng):
    """smart_resize of transformers: [h, w, factor, min_px, max_px, hb, wb]; an aspect beyond 200 gives nulls."""
    rows = []
    pairs = [(480, 640), (336, 1344), (1080, 1920), (32, 32), (4000, 4000), (5, 100), (4000, 20), (1, 200), (1, 201), (7, 7)]
    pairs += [(21, 35), (49, 63), (14, 14), (13, 15), (720, 1280), (2160, 3840), (35, 1400), (10000, 60)]
    pairs += [(rng.randrange(1, 3000), rng.randrange(1, 3000)) for _ in range(80)]
    for h, w in pairs:
        for factor, low, high in ((14, 3136, 1003520), (14, 3136, 3211264), (28, 100352, 602112), (28, 3136, 602112 // 7)):
            try:
                hb, wb = smart_resize(h, w, factor, low, high)
            except ValueError:
                hb = wb = None
            rows.append([h, w, factor, low, high, hb, wb])
    return rows


def original_size_rows(rng):
    """Requests of the original: items [h, w, frames, merge], limits, sizes."""
    for (w, h, n, m, limit), expected in WORKED:
        got = rules.sizes([(h, w, n)], [m], max_tokens=limit)[0]
        assert got == (expected[1], expected[0]), ((w, h, n, m, limit), got, expected)
    for items, merges, expected in WORKED_MIXED:
        assert rules.sizes(items, merges) == expected, (items, rules.sizes(items, merges))
    requests = [([(h, w, n)], [m], limit) for (w, h, n, m, limit), _ in WORKED]
    requests += [(items, merges, 16384) for items, merges, _ in WORKED_MIXED]
    for _ in range(120):
        count = rng.choice([1, 1, 1, 2, 3, 5])
        items, merges = [], []
        same = rng.choice([None, 1, 2])
        for _ in range(count):
            video = rng.random() < 0.5
            side = rng.choice([60, 400, 2000, 5000])
            items.append((rng.randrange(1, side), rng.randrange(1, side), rng.choice([1, 4, 17, 64, 180]) if video else 1))
            merges.append(same or (2 if video else 1))
        requests.append((items, merges, rng.choice([16384, 10240, 4096, 512])))
    rows = []
    for items, merges, limit in requests:
        rows.append(
            {
                "items": [[h, w, n, m] for (h, w, n), m in zip(items, merges)],
                "min_tokens": 16,
                "max_tokens": limit,
                "sizes": [list(s) for s in rules.sizes(items, merges, 16, limit)],
            }
        )
    return rows


def native_sampling_rows():
    """sample_frames of transformers: total, source fps, target fps, limits -> indices and stamps as text."""
    rows = []
    for total, vfps, fps, low, high in (
        (300, 30.0, 1, 4, 180), (250, 25.0, 1, 4, 180), (300, 30.0, 2, 4, 180), (305, 30.0, 1, 4, 180), (45, 30.0, 1, 4, 180),
        (3, 30.0, 1, 4, 180), (4, 30.0, 1, 4, 180), (10, 3.0, 1, 4, 180), (1000, 23.976, 1, 4, 180), (9000, 25.0, 1, 4, 180),
        (7200, 29.97, 0.5, 4, 180), (5000, 25.0, 1, 4, 16), (77, 12.5, 2.5, 4, 180), (1, 25.0, 1, 4, 180),
        (337, 24000 / 1001, 1, 4, 180), (54000, 30.0, 1, 4, 128), (1870, 25.0, 1, 4, 180), (1918, 25.0, 1, 4, 180), (2270, 25.0, 1, 4, 180),
    ):
        processor = VideoLlama3VideoProcessor(fps=fps, min_frames=low, max_frames=high)
        meta = VideoMetadata(total_num_frames=total, fps=vfps)
        indices = processor.sample_frames(metadata=meta, fps=fps)
        meta.frames_indices = indices
        rows.append(
            {
                "total": total, "source_fps": vfps, "fps": fps, "min_frames": low, "max_frames": high,
                "indices": indices.tolist(), "stamps": [f"{t:.1f}" for t in meta.timestamps],
            }
        )
    return rows


def frame_with_index(index):
    """A 128x16 picture whose sixteen 8x16 bars are the bits of `index`."""
    bars = np.array([255 if index >> b & 1 else 0 for b in range(16)], np.uint8)
    return np.repeat(np.repeat(bars, 8)[None, :], 16, 0)


def write_clip(path, pts, timescale):
    """Lossless H.264 in `path`, frame i at pts[i] / timescale seconds."""
    with av.open(path, "w", options={"video_track_timescale": str(timescale)} if path.endswith("mp4") else {}) as container:
        stream = container.add_stream("libx264", rate=30)
        stream.width, stream.height, stream.pix_fmt = 128, 16, "yuv420p"
        stream.options = {"qp": "0", "preset": "ultrafast", "bf": "0"}
        stream.codec_context.time_base = Fraction(1, timescale)
        stream.time_base = Fraction(1, timescale)
        gaps = [b - a for a, b in zip(pts, pts[1:])]
        steps = dict(zip(pts, gaps + gaps[-1:]))
        for i, p in enumerate(pts):
            luma = frame_with_index(i)
            planes = np.vstack([luma, np.full((8, 128), 128, np.uint8)])
            frame = av.VideoFrame.from_ndarray(planes, format="yuv420p")
            frame.pts, frame.time_base = p, Fraction(1, timescale)
            mux(container, stream.encode(frame), steps)
        mux(container, stream.encode(), steps)


def mux(container, packets, steps):
    """Give every packet its true duration (the last one repeats the step before it), then write it."""
    for packet in packets:
        packet.duration = steps[packet.pts]
        container.mux(packet)


def ffmpeg_indices(path, rate, start=None, length=None):
    """Source indices that ffmpeg returns for `fps=fps=rate:round=down` (trim as output options when given)."""
    trim = ([] if start is None else ["-ss", str(start)]) + ([] if length is None else ["-t", str(length)])
    command = [imageio_ffmpeg.get_ffmpeg_exe(), "-v", "error", "-i", path, "-vf", f"fps=fps={rate}:round=down"]
    command += ["-f", "rawvideo", "-pix_fmt", "gray", *trim, "pipe:"]
    raw = subprocess.run(command, check=True, capture_output=True).stdout
    frames = np.frombuffer(raw, np.uint8).reshape(-1, 16, 128)
    bits = frames[:, 8, 4::8] > 127
    return [int(sum(1 << b for b in range(16) if row[b])) for row in bits]


def clips(rng):
    """name -> (pts, timescale)."""
    regular = lambda n, num, den=1, start=0: ([start + i * den for i in range(n)], num)
    vfr, t = [], 0
    for _ in range(200):
        vfr.append(t)
        t += rng.choice([500, 1000, 1000, 1000, 1500, 2500, 33000 if rng.random() < 0.03 else 1000])
    return {
        "300f30": regular(300, 30), "250f25": regular(250, 25), "305f30": regular(305, 30), "290f30": regular(290, 30),
        "30f30": regular(30, 30), "45f30": regular(45, 30), "15f30": regular(15, 30), "29f30": regular(29, 30),
        "240f24": regular(240, 24), "ntsc": regular(337, 30000, 1001), "film": regular(241, 24000, 1001), "7f2": regular(7, 2),
        "3f1": regular(3, 1), "slow": regular(12, 10, 15), "vfr30000": (vfr, 30000), "offset": regular(100, 30, 1, 15),
    }


def sampling_rows(rng):
    """What ffmpeg really returns, with the stamps of the original; asserts that the written rule gives the same."""
    rows, disagree = [], []
    with tempfile.TemporaryDirectory() as tmp:
        for name, (pts, timescale) in clips(rng).items():
            path = os.path.join(tmp, name + ".mp4")
            write_clip(path, pts, timescale)
            with av.open(path) as container:
                stream = container.streams.video[0]
                got = [(p.pts * p.time_base, p.duration * p.time_base) for p in container.demux(stream) if p.pts is not None]
                start_time = float((stream.start_time or 0) * stream.time_base)
                duration = container.duration / 1e6
            times = [t for t, _ in got]
            assert times == [Fraction(p, timescale) for p in pts], name
            end = times[-1] + got[-1][1]
            runs = [(1, None, None), (2, None, None)]
            if name in ("300f30", "vfr30000", "film"):
                runs += [(1, 2, 3), (1, 1.5, 2.5), (3, None, None)]
            for rate, start, length in runs:
                indices = ffmpeg_indices(path, rate, start, length)
                if start is None:
                    written = rules.slot_frames([t - times[0] for t in times], end - times[0], rate)
                    if written != indices:
                        disagree.append((name, rate, written[-3:], indices[-3:], len(written), len(indices)))
                base = max(start_time, start or 0)
                rows.append(
                    {
                        "clip": name, "timescale": timescale, "pts": compact(pts), "end_pts": int(end * timescale), "fps": rate,
                        "start": start, "length": length, "container_duration": duration, "indices": indices,
                        "stamps": rules.stamps(base, length if length is not None else duration, rate, len(indices)),
                    }
                )
    return rows, disagree


def compact(pts):
    """[first, step, count] of a regular list, else the list."""
    step = pts[1] - pts[0]
    if all(b - a == step for a, b in zip(pts, pts[1:])):
        return {"first": pts[0], "step": step, "count": len(pts)}
    return {"list": pts}


def index_path_rows():
    rows = []
    for n, vfps, rate, limit, start, end in (
        (30, 3, 1, 180, None, None), (30, 3, 1, 8, None, None), (100, 25, 1, 180, None, None), (100, 25, 2, 180, None, None),
        (10, 25, 1, 180, None, None), (15, 30, 1, 180, None, None), (1, 3, 1, 180, None, None), (200, 25, None, 16, None, None),
        (12, 25, None, 16, None, None), (100, 25, 1, 180, 1.0, 1.5), (100, 25, 1, 180, 2.0, 2.0), (100, 25, 1, 180, 3.0, 1.0),
        (100, 25, 1, 180, None, 0.5), (7, 3, 1, 180, None, None), (540, 3, 1, 180, None, None), (541, 3, 1, 180, None, None),
    ):
        got = rules.index_path(n, vfps, rate, limit, start, end)
        rows.append(
            {"frames": n, "source_fps": vfps, "fps": rate, "max_frames": limit, "start": start, "end": end, "indices": got,
             "stamps": [i / vfps for i in got]}
        )
    return rows


def stamp_rows():
    values = [0.0, 0.05, 0.15, 0.25, 0.35, 0.45, 2.45, 2.35, 1.0, 12.5, 179.0, 0.9666666, 3.48, 59.95, 99.95, 0.04999, 1e-3, 3599.99]
    return [
        {"seconds": v, "numpy": rules.stamp_text(v), "python": rules.stamp_text(v, False), "native": f"{v:.1f}"} for v in values
    ]


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", default=DEFAULT_OUT)
    args = parser.parse_args()
    transformers.logging.set_verbosity_error()
    rng = random.Random(7)
    assert rules.stamp_text(0.35) == "0.4" and rules.stamp_text(0.35, False) == "0.3" and f"{0.35:.1f}" == "0.3"
    sampled, disagree = sampling_rows(random.Random(11))
    for d in disagree:
        print("written rule differs from ffmpeg:", d)
    table = {
        "versions": {
            "transformers": transformers.__version__, "torch": torch.__version__, "numpy": np.__version__,
            "ffmpeg": imageio_ffmpeg.get_ffmpeg_version(),
        },
        "native_smart_resize": native_rows(rng),
        "native_sampling": native_sampling_rows(),
        "original_sizes": original_size_rows(rng),
        "original_sampling": sampled,
        "original_cap": [{"n": n, "max_frames": m, "picks": rules.cap_positions(n, m)} for n, m in ((181, 180), (300, 180), (10, 3), (3600, 180), (200, 128), (7, 1))],
        "original_index_path": index_path_rows(),
        "stamps": stamp_rows(),
    }
    with open(args.out, "w") as f:
        f.write("{\n")
        for i, (key, value) in enumerate(table.items()):
            f.write(f' "{key}": ')
            if isinstance(value, list):
                f.write("[\n" + ",\n".join("  " + json.dumps(row) for row in value) + "\n ]")
            else:
                f.write(json.dumps(value))
            f.write(",\n" if i + 1 < len(table) else "\n")
        f.write("}\n")


if __name__ == "__main__":
    main()
