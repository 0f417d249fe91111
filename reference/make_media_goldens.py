"""Small media files and what FFmpeg says about them, for the container readers' tests.

Writes `crates/media/tests/golden/containers/*` (a moving gradient, 128x96, 25 frames per second, made here, no outside material) and
`crates/media/tests/golden/containers/goldens.txt`: for each file one block with the clock, every packet in decoding order
(pts, dts, key, shown, size, CRC-32 of its bytes) and every decoded frame's time, as PyAV reports them.

Run: python reference/make_media_goldens.py   (needs `pip install av numpy`; made with PyAV 18.1.0)
"""

import os
import struct
import zlib
from fractions import Fraction

import av
import numpy as np

HERE = os.path.dirname(os.path.abspath(__file__))
OUT = os.path.join(HERE, "..", "crates", "media", "tests", "data", "containers")
FRAMES, RATE, WIDTH, HEIGHT = 30, 25, 128, 96
VFR = [i * 40 + [0, 11, 22][i % 3] for i in range(FRAMES)]


def picture(i):
    y, x = np.mgrid[0:HEIGHT, 0:WIDTH]
    return np.stack([x + i * 5, y + i * 3, (x + y) // 2 + i * 7], -1).astype(np.uint8)


def encode(path, fmt, codec, options=None, mux=None, times=None, pix="yuv420p", bframes=3, clock=1000):
    box = av.open(path, "w", format=fmt, options={"fflags": "bitexact", **(mux or {})})
    stream = box.add_stream(codec, rate=RATE)
    stream.width, stream.height, stream.pix_fmt, stream.options = WIDTH, HEIGHT, pix, options or {}
    stream.codec_context.gop_size = 12
    stream.codec_context.thread_count = 1
    if codec in ("libx264", "libx265"):
        stream.codec_context.max_b_frames = bframes
    if times:
        stream.codec_context.time_base = Fraction(1, clock)
    for i in range(FRAMES):
        frame = av.VideoFrame.from_ndarray(picture(i), format="rgb24")
        if times:
            frame.pts, frame.time_base = times[i], Fraction(1, clock)
        box.mux(stream.encode(frame))
    box.mux(stream.encode(None))
    box.close()


def patch_edits(source, target, entries):
    """Rewrites the edit list of `source` in place: (duration in movie ticks, media time) each."""
    data = bytearray(open(source, "rb").read())
    at = data.index(b"elst") + 4
    count = struct.unpack(">I", data[at + 4 : at + 8])[0]
    assert data[at] == 0 and count == len(entries), (data[at], count)
    for i, (duration, media) in enumerate(entries):
        struct.pack_into(">IiHH", data, at + 8 + 12 * i, duration, media, 1, 0)
    open(target, "wb").write(data)


def cut(source, target, keep):
    data = open(source, "rb").read()
    open(target, "wb").write(data[: int(len(data) * keep)])


X265 = {"x265-params": "log-level=none"}
FILES = [
    ("plain.mp4", "mp4", "libx264", {}),
    ("plain.mov", "mov", "libx264", {}),
    ("noedit.mp4", "mp4", "libx264", {"mux": {"use_editlist": "0"}}),
    ("faststart.mp4", "mp4", "libx264", {"mux": {"movflags": "faststart"}}),
    ("negative.mp4", "mp4", "libx264", {"mux": {"movflags": "negative_cts_offsets"}}),
    ("vfr_late.mp4", "mp4", "libx264", {"times": [t + 3300 for t in VFR]}),
    ("fragments.mp4", "mp4", "libx264", {"mux": {"movflags": "frag_keyframe+empty_moov"}}),
    ("fragments_delay.mp4", "mp4", "libx264", {"mux": {"movflags": "frag_keyframe+delay_moov"}}),
    ("fragments_each.mp4", "mp4", "libx264", {"mux": {"movflags": "frag_every_frame+empty_moov+default_base_moof"}}),
    ("hevc.mp4", "mp4", "libx265", {"options": X265}),
    ("mpeg4.mp4", "mp4", "mpeg4", {}),
    ("plain.mkv", "matroska", "libx264", {}),
    ("live.mkv", "matroska", "libx264", {"mux": {"live": "1"}}),
    ("vfr_late.mkv", "matroska", "libx264", {"times": [t + 3300 for t in VFR]}),
    ("vp9.webm", "webm", "libvpx-vp9", {}),
    ("mpeg4.avi", "avi", "mpeg4", {}),
    ("mpeg4_gap.avi", "avi", "mpeg4", {"times": [i * (1 if i < 10 else 2) for i in range(FRAMES)], "clock": RATE}),
    ("mpeg4_b.avi", "avi", "mpeg4", {"options": {"bf": "2"}}),
    ("h264_b.avi", "avi", "libx264", {}),
    ("plain.ts", "mpegts", "libx264", {}),
    ("plain.m2ts", "mpegts", "libx264", {"mux": {"mpegts_m2ts_mode": "1"}}),
    ("wrap.ts", "mpegts", "libx264", {"mux": {"output_ts_offset": str(2**33 / 90000 - 1.0)}}),
    ("wrap_inside.ts", "mpegts", "libx264", {"mux": {"output_ts_offset": str(2**33 / 90000 - 61.0)}}),
    ("hevc.ts", "mpegts", "libx265", {"options": X265}),
]


def report(path):
    box = av.open(path)
    stream = box.streams.video[0]
    base = stream.time_base
    lines = [f"file {os.path.basename(path)} clock {base.numerator}/{base.denominator}"]
    for p in box.demux(stream):
        if p.size:
            lines.append(f"packet {p.pts} {p.dts} {int(p.is_keyframe)} {int(not p.is_discard)} {p.size} {zlib.crc32(bytes(p)):08x}")
    box.close()
    box = av.open(path)
    times = []
    try:
        for frame in box.decode(video=0):
            times.append(frame.pts)
    except av.error.FFmpegError:
        lines.append("broken at the end")
    box.close()
    lines.append("frames " + " ".join(str(t) for t in sorted(times)))
    return lines


def main():
    av.logging.set_level(av.logging.PANIC)
    os.makedirs(OUT, exist_ok=True)
    for name, fmt, codec, kw in FILES:
        encode(os.path.join(OUT, name), fmt, codec, **kw)
    join = lambda name: os.path.join(OUT, name)
    # Media clock 12800 (512 a frame), movie clock 1000. Start inside the second group; end before the media does.
    patch_edits(join("plain.mp4"), join("edit_inside.mp4"), [(400, 1024 + 512 * 15)])
    patch_edits(join("plain.mp4"), join("edit_from_zero.mp4"), [(1200, 0)])
    patch_edits(join("plain.mp4"), join("edit_no_length.mp4"), [(0, 1024)])
    # Media clock 16000 for the late file: an empty edit and one more, made into two that overlap, out of order.
    patch_edits(join("vfr_late.mp4"), join("edit_two.mp4"), [(400, 16000 * 6 // 10), (300, 3200)])
    patch_edits(join("vfr_late.mp4"), join("edit_empty_inside.mp4"), [(500, -1), (300, 16000 * 6 // 10)])
    cut(join("faststart.mp4"), join("cut.mp4"), 0.7)
    cut(join("plain.mkv"), join("cut.mkv"), 0.7)
    cut(join("mpeg4.avi"), join("cut.avi"), 0.7)
    cut(join("plain.ts"), join("cut.ts"), 0.7)
    lines = [f"# PyAV {av.__version__}, libavformat {'.'.join(map(str, av.library_versions['libavformat']))}"]
    for name in sorted(os.listdir(OUT)):
        if name.endswith(".txt"):
            continue
        lines += report(join(name))
    with open(join("goldens.txt"), "w") as out:
        out.write("\n".join(lines) + "\n")


if __name__ == "__main__":
    main()
