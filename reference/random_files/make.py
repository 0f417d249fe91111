"""Draws the frames of a recipe, encodes them with FFmpeg and applies what the recipe says of the bytes.

A frame shows its number: five columns and four rows of blocks, ten bits and their inverse, over a colored texture that
moves. `make` returns the file and the truth: for every frame in order of presentation its seconds after the first one
and its number.
"""

import os
import subprocess

import numpy as np

from . import patch

COLUMNS, ROWS = 5, 4
FFMPEG = os.environ.get("FFMPEG", "ffmpeg")


def drawing(number, width, height):
    """Frame `number` as RGB."""
    y, x = np.mgrid[0:height, 0:width]
    picture = np.empty((height, width, 3), np.uint8)
    picture[..., 0] = (x * 255 // width + number * 7) % 200 + 30
    picture[..., 1] = y * 200 // height + 30
    picture[..., 2] = 128 + 60 * np.sin((x + 2 * y + number * 5) / 17.0)
    bits = [number >> bit & 1 for bit in range(10)]
    cells = bits + [1 - bit for bit in reversed(bits)]
    for cell, bit in enumerate(cells):
        row, column = divmod(cell, COLUMNS)
        top, left = row * height // ROWS, column * width // COLUMNS
        high, wide = height // ROWS, width // COLUMNS
        picture[top + high // 8:top + high - high // 8, left + wide // 8:left + wide - wide // 8] = 235 if bit else 20
    return picture


class EncodingFailed(Exception):
    """FFmpeg refuses the combination: no file, not counted."""


def run(arguments, data=None):
    """FFmpeg with `data` on its standard input."""
    done = subprocess.run([FFMPEG, "-hide_banner", "-loglevel", "error", "-y", *map(str, arguments)], input=data,
                          capture_output=True, timeout=300)
    if done.returncode:
        raise EncodingFailed(done.stderr.decode("utf-8", "replace").strip()[-300:])


def make(case, folder):
    """Writes the file of `case` into `folder`. Returns its path and the truth."""
    numbers = list(range(case["frames"]))
    times = drawn_times(case)
    path = encode(case, folder / f"file.{suffix(case)}", 0, case["start"], case["size"])
    truth = list(zip(times, numbers))
    if case["join"]:
        truth = join(case, folder, path, truth)
    data = bytearray(path.read_bytes())
    if case["edits"]:
        data, truth = patch.edits(data, case["edits"], truth, case["inner"])
    if case["turn"]:
        patch.turn(data, case["turn"])
    if case["flags"] != "true":
        patch.flags(data, case["container"], case["flags"])
    if case["damage"]:
        data = patch.damage(data, case)
    path.write_bytes(data)
    return path, truth


def suffix(case):
    """The ending of the file's name."""
    return {"fmp4": "mp4"}.get(case["container"], case["container"])


def size_of(case, number):
    """Width and height of frame `number`: a second recording may be smaller."""
    smaller = case["join"] == "size" and number >= case["frames"]
    return tuple(side // 4 * 2 for side in case["size"]) if smaller else case["size"]


def drawn_times(case):
    """Seconds of every frame after the first one."""
    scale, ticks = case["rate"]
    times = [number * ticks / scale for number in range(case["frames"])]
    for at, gap in case["gaps"] or ():
        times[at:] = [time + gap for time in times[at:]]
    return times


def encode(case, path, first, start, size):
    """Encodes frames `first`.. of `case` to `path`, whose clock begins at `start`."""
    width, height = size
    frames = b"".join(drawing(number, width, height).tobytes() for number in range(first, first + case["frames"]))
    scale, ticks = case["rate"]
    arguments = ["-f", "rawvideo", "-pix_fmt", "rgb24", "-s", f"{width}x{height}", "-r", f"{scale}/{ticks}", "-i", "-"]
    filters = ["scale=out_color_matrix=bt709:out_range=tv"]
    if case["gaps"]:
        shifts = "+".join(f"gte(N\\,{at})*{round(gap * 90000)}" for at, gap in case["gaps"])
        filters.append(f"settb=1/90000,setpts=N*{ticks}*90000/{scale}+{shifts}")
        arguments += ["-fps_mode", "passthrough", "-enc_time_base", "1/90000"]
    if case["codec"] == "mjpeg":
        filters = ["scale=out_range=pc"]
    # FFmpeg sees fewer frames than the encoder wants to look ahead as an error of nobody.
    arguments += ["-vf", ",".join(filters), "-g", case["gop"], "-threads", 1, *case["encoder"]]
    if case["codec"] != "mjpeg":
        arguments += ["-colorspace", "bt709", "-color_range", "tv"]
    if not any("bitrate=" in str(a) for a in arguments) and case["codec"] in ("h264", "hevc", "vp9", "av1"):
        arguments += ["-crf", case["quality"]]
    arguments += {"m2ts": ["-f", "mpegts", "-mpegts_m2ts_mode", 1], "h264": ["-f", "h264"], "hevc": ["-f", "hevc"],
                  "fmp4": ["-f", "mp4"], "ts": ["-f", "mpegts"]}.get(case["container"], [])
    arguments += case["muxer"]
    if start:
        arguments += ["-output_ts_offset", start]
    run([*arguments, path], frames)
    return path


def join(case, folder, path, truth):
    """Puts a second recording behind the one at `path`. The truth has seconds only where the clock tells them."""
    start = {"same": case["start"], "back": 0.0, "ahead": case["start"] + 500.0}.get(case["join"], case["start"])
    size = size_of(case, case["frames"])
    other = dict(case, gop=7, quality=30, gaps=None) if case["join"] == "other" else case
    second = encode(other, folder / f"second.{suffix(case)}", case["frames"], start, size)
    with open(path, "ab") as file:
        file.write(second.read_bytes())
    second.unlink()
    times = drawn_times(other)
    return truth + [(None, case["frames"] + number) for number in range(len(times))]
