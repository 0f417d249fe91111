"""Decoding beside FFmpeg on two threads: every frame of a video to RGB, in pairs of runs one after the other.

    cargo build --release -p zoetrope-media --example compare
    python reference/media_speed.py make FOLDER CLIP                  # 240 frames of CLIP at 720p in every codec
    python reference/media_speed.py race target/release/examples/compare FOLDER [PAIRS]

Prints the median times and the median of the pairs' ratios. A file whose frames FFmpeg counts otherwise is an error. The
program of FFmpeg is that of the environment variable FFMPEG. Bind both to two cores (`taskset -c 0,1`) where there are
more.
"""

import os
import pathlib
import statistics
import subprocess
import sys
import time

FFMPEG = os.environ.get("FFMPEG", "ffmpeg")
SOURCE = ["-frames:v", "240", "-vf", "scale=1280:720:flags=lanczos,format=yuv420p", "-an"]
X264 = ["-c:v", "libx264", "-preset", "medium", "-crf", "23"]
CODECS = {
    "h264.mp4": X264,
    "h264-10bit.mp4": [*X264, "-pix_fmt", "yuv420p10le"],
    "hevc.mp4": ["-c:v", "libx265", "-preset", "fast", "-crf", "26", "-x265-params", "log-level=error"],
    "vp9.webm": ["-c:v", "libvpx-vp9", "-deadline", "good", "-cpu-used", "5", "-row-mt", "1", "-crf", "33", "-b:v", "0"],
    "av1.mp4": ["-c:v", "libsvtav1", "-preset", "10", "-crf", "35"],
}
GROUPS = [250, 48]  # frames between keyframes


def make(folder, clip):
    """Writes the files that are not there yet."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, codec in CODECS.items():
        for group in GROUPS:
            out = folder / f"{group}-{name}"
            if not out.exists():
                arguments = [FFMPEG, "-y", "-v", "error", "-i", clip, *SOURCE, *codec, "-g", str(group), str(out)]
                subprocess.run(arguments, check=True)


def timed(arguments):
    """Seconds and standard output of a program."""
    start = time.perf_counter()
    out = subprocess.run(arguments, check=True, capture_output=True, text=True).stdout
    return time.perf_counter() - start, out


def race(program, folder, pairs):
    """Prints a line for each file."""
    for path in sorted(p for p in folder.iterdir() if p.suffix in (".mp4", ".webm")):
        count = ["-f", "null", "-", "-stats", "-progress", "-"]
        frames = [l for l in timed([FFMPEG, "-v", "error", "-i", path, *count])[1].splitlines() if l.startswith("frame=")]
        frames = int(frames[-1].removeprefix("frame="))
        times = []
        for _ in range(pairs):
            ours, text = timed([program, path, "uniform", str(frames)])
            assert text.startswith(f"frames {frames} of {frames},"), text
            theirs, _ = timed([FFMPEG, "-v", "error", "-threads", "2", "-i", path, "-f", "rawvideo", "-pix_fmt", "rgb24", "-y", os.devnull])
            times.append((ours, theirs))
        ours, theirs = (statistics.median(column) for column in zip(*times))
        ratio = statistics.median(a / b for a, b in times)
        print(f"{path.name:20} ours {ours:5.2f} s, FFmpeg {theirs:5.2f} s, {ratio:4.2f} times FFmpeg", flush=True)


if __name__ == "__main__":
    if sys.argv[1] == "make":
        make(pathlib.Path(sys.argv[2]), sys.argv[3])
    else:
        race(sys.argv[2], pathlib.Path(sys.argv[3]), int(sys.argv[4]) if len(sys.argv) > 4 else 5)
