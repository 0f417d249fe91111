"""Compares every clip of a folder with FFmpeg (through PyAV): frames, times, pictures. Writes a Markdown table.

    cargo build --release -p zoetrope-media --example compare --bin zoetrope-decode-child
    python reference/compare_media.py target/release/examples/compare CLIPS docs/media-table.md

Needs av and numpy (versions in reference/requirements.txt). PyAV does not rotate; the display matrix is applied here.
"""

import json
import pathlib
import subprocess
import sys
import tempfile

import av
import numpy as np

LIMIT = 900  # seconds a clip


def reference(path):
    """Frames of `path` as FFmpeg gives them: a list of (time in seconds, rotation), and an iterator of pictures."""
    container = av.open(str(path))
    stream = container.streams.best("video")
    for frame in container.decode(stream):
        time = None if frame.pts is None else float(frame.pts * frame.time_base)
        rgb = frame.to_ndarray(format="rgb24")
        turns = round(-(frame.rotation or 0) / 90) % 4
        # `rotation` is counter-clockwise degrees of the display matrix; np.rot90 turns counter-clockwise as well.
        yield time, np.rot90(rgb, -turns) if turns else rgb, frame.format.name


def ours(program, path, folder):
    """What the example program makes of `path`: its JSON and the raw pictures, or the error text."""
    info, raw = folder / "info.json", folder / "rgb.raw"
    done = subprocess.run([program, path, info, raw], capture_output=True, text=True, timeout=LIMIT)
    if done.returncode != 0:
        return None, done.stderr.strip().splitlines()[-1] if done.stderr else f"exit {done.returncode}"
    return json.loads(info.read_text()), raw


def row(program, path):
    """One line of the table."""
    with tempfile.TemporaryDirectory() as folder:
        info, raw = ours(program, path, pathlib.Path(folder))
        try:
            stream = reference(path)
            first = next(stream, None)
        except Exception as error:  # the reference may fail in its own ways
            first, failure = None, type(error).__name__
        else:
            failure = "no frame"
        if info is None:
            count = 0 if first is None else 1
            if first is not None:
                try:
                    for _ in stream:
                        count += 1
                except Exception:
                    pass
            return [path.name, "", f"0 / {count}", "", "", "", raw]
        facts = info["info"]
        codec = f"{facts['codec']} {facts['profile']} {facts['sampling']} {facts['depth']} bits".replace("  ", " ")
        if first is None:
            return [path.name, codec, f"{len(info['given'])} / 0", "", "", "", f"the reference fails: {failure}"]
        times = [ticks / scale for ticks, scale in info["times"]]
        handle = open(raw, "rb")
        seen, worst_time, worst, total, values, different, note = 0, 0.0, 0, 0, 0, 0, []
        item = first
        while item is not None:
            time, rgb, layout = item
            if seen < len(info["given"]):
                index, width, height = info["given"][seen]
                mine = np.frombuffer(handle.read(width * height * 3), np.uint8).reshape(height, width, 3)
                if time is not None:
                    worst_time = max(worst_time, abs(time - times[index]))
                if mine.shape == rgb.shape:
                    delta = np.abs(mine.astype(np.int16) - rgb)
                    worst = max(worst, int(delta.max()))
                    total += int(delta.sum())
                    different += int(np.count_nonzero(delta))
                    values += delta.size
                else:
                    note.append(f"size {mine.shape[1]}x{mine.shape[0]} / {rgb.shape[1]}x{rgb.shape[0]}")
            seen += 1
            try:
                item = next(stream, None)
            except Exception as error:
                note.append(f"the reference stops: {type(error).__name__}")
                item = None
        note += [f"{n} {k}" for k in ("repeated", "lost") if (n := info[k])]
        if facts["rotation"]:
            note.append(f"rotated {facts['rotation']}")
        if layout != "yuv420p":
            note.append(layout)
        if facts["decoder"] == "ffmpeg":
            note.append("through FFmpeg")
        mean = f"{total / values:.4f}" if values else ""
        share = f"{100 * different / values:.2f} %" if values else ""
        return [
            path.name,
            codec,
            f"{len(info['given'])} / {seen}",
            f"{1000 * worst_time:.3f} ms",
            mean,
            f"{worst} ({share})",
            "; ".join(dict.fromkeys(note)),
        ]


def main():
    """Writes the table for all clips of a folder."""
    program, folder, out = sys.argv[1:4]
    rows = []
    for path in sorted(pathlib.Path(folder).iterdir()):
        if path.suffix in (".md", ".txt"):
            continue
        try:
            rows.append(row(program, path))
        except subprocess.TimeoutExpired:
            rows.append([path.name, "", "", "", "", "", f"no answer in {LIMIT} s"])
        print(" | ".join(rows[-1]), flush=True)
    head = ["clip", "codec", "frames ours / FFmpeg", "largest time difference", "mean difference", "largest (share)", "remarks"]
    text = [
        "# Frames and times next to FFmpeg's",
        "",
        f"Made by `reference/compare_media.py` with PyAV {av.__version__} (FFmpeg {av.ffmpeg_version_info}): every frame of every clip,",
        "8-bit RGB values; the mean is over all values of all frames. A text in place of numbers is the error that a user sees.",
        "",
        "| " + " | ".join(head) + " |",
        "|" + "---|" * len(head),
    ]
    text += ["| " + " | ".join(r) + " |" for r in rows]
    pathlib.Path(out).write_text("\n".join(text) + "\n")


if __name__ == "__main__":
    main()
