"""Encode a folder of PNG frames as an H.264 mp4 (PyAV/libx264, yuv420p, BT.709 limited range, tagged as such).

Frames are taken in name order; an odd side is not allowed. Their times come from --times (a JSON list of seconds, or an object with a "times" list)
or from --fps. Each frame's duration is the step to the next; the last repeats the step before it. With several folders, each DIR becomes OUT/DIR.mp4.
"""

import argparse
import glob
import json
import os
from fractions import Fraction

import av
import numpy as np
from av.video.reformatter import ColorRange, Colorspace
from PIL import Image

TIMESCALE = 90000
BT709 = 1  # primaries, transfer and matrix have the same number in the H.264 tables


def ticks_of(count, fps, times):
    """Presentation times in 1/90000 s."""
    if times is None:
        step = Fraction(TIMESCALE) / Fraction(fps).limit_denominator(100000)
        return [round(i * step) for i in range(count)]
    assert len(times) == count, f"{len(times)} times for {count} frames"
    ticks = [round(t * TIMESCALE) for t in times]
    assert all(b > a for a, b in zip(ticks, ticks[1:])), "times must grow"
    return ticks


def encode(frames, ticks, path, crf=18, preset="medium", keyframe=48):
    """Write uint8 RGB frames [h, w, 3] at `ticks` into `path`."""
    gaps = [b - a for a, b in zip(ticks, ticks[1:])] or [TIMESCALE]
    duration = dict(zip(ticks, gaps + gaps[-1:]))
    first = True
    with av.open(path, "w", options={"video_track_timescale": str(TIMESCALE), "movflags": "+faststart"}) as container:
        stream = container.add_stream("libx264", rate=Fraction(TIMESCALE, min(gaps)))
        context = stream.codec_context
        for index, (rgb, tick) in enumerate(zip(frames, ticks)):
            if first:
                stream.height, stream.width = rgb.shape[:2]
                assert rgb.shape[0] % 2 == 0 and rgb.shape[1] % 2 == 0, f"odd size {rgb.shape[1]}x{rgb.shape[0]}"
                stream.pix_fmt = "yuv420p"
                stream.options = {"crf": str(crf), "preset": preset, "g": str(keyframe), "threads": "1"}
                context.time_base = stream.time_base = Fraction(1, TIMESCALE)
                context.color_range, context.colorspace = 1, BT709
                context.color_primaries, context.color_trc = BT709, BT709
                first = False
            picture = av.VideoFrame.from_ndarray(np.ascontiguousarray(rgb), format="rgb24").reformat(
                format="yuv420p", dst_colorspace=Colorspace.ITU709, src_color_range=ColorRange.JPEG, dst_color_range=ColorRange.MPEG
            )
            picture.pts, picture.time_base = tick, Fraction(1, TIMESCALE)
            write(container, stream.encode(picture), duration)
        write(container, stream.encode(), duration)


def write(container, packets, duration):
    for packet in packets:
        packet.duration = duration[packet.pts]
        container.mux(packet)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folders", nargs="+", help="folders of PNG frames")
    parser.add_argument("--out", required=True, help="file (one folder) or directory (several)")
    parser.add_argument("--fps", type=float, default=25.0)
    parser.add_argument("--times", help="JSON list of seconds (one folder only); times.json in the folder is used when present")
    parser.add_argument("--crf", type=int, default=18)
    parser.add_argument("--preset", default="medium")
    args = parser.parse_args()
    for folder in args.folders:
        names = sorted(glob.glob(os.path.join(folder, "*.png")))
        assert names, f"no PNG files in {folder}"
        times_path = args.times or os.path.join(folder, "times.json")
        times = json.load(open(times_path)) if os.path.exists(times_path) else None
        times = times["times"] if isinstance(times, dict) else times
        single = len(args.folders) == 1 and args.out.endswith(".mp4")
        path = args.out if single else os.path.join(args.out, os.path.basename(os.path.normpath(folder)) + ".mp4")
        os.makedirs(os.path.dirname(os.path.abspath(path)), exist_ok=True)
        frames = (np.asarray(Image.open(n).convert("RGB")) for n in names)
        encode(frames, ticks_of(len(names), args.fps, times), path, args.crf, args.preset)
        print(path, len(names), "frames", os.path.getsize(path), "bytes")


if __name__ == "__main__":
    main()
