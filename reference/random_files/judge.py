"""What the decoder of a project and FFmpeg make of a file, and the verdict on the former."""

import json
import pathlib
import subprocess
import tempfile

import av
import numpy as np

from .make import drawing, size_of

GRID = 20  # blocks a side
INTACT = 85  # largest difference of a block's mean from the drawing
SAME = 0.0025  # seconds
LIMIT = 120  # seconds a run may take
# Sentences about what was corrected; they excuse no loss.
CORRECTED = ("frames keyframes", "names no keyframe", "clock jumps", "no presentation times", "carry no time", "lasts")

av.logging.set_level(av.logging.ERROR)


def blocks(picture):
    """Means of GRID x GRID blocks: what is compared."""
    height, width, _ = picture.shape
    rows, columns = (np.arange(GRID) * side // GRID for side in (height, width))
    sums = np.add.reduceat(np.add.reduceat(picture.astype(np.float32), rows, 0), columns, 1)
    high, wide = np.diff([*rows, height]), np.diff([*columns, width])
    return sums / (high[:, None, None] * wide[None, :, None])


class Reader:
    """Tells the number of a picture, and how far the picture is from the drawing of it."""

    def __init__(self, case, count):
        turned = [turn(drawing(number, *size_of(case, number)), case["turn"]) for number in range(count)]
        self.known = np.stack([blocks(picture) for picture in turned])

    def read(self, picture):
        """The number and the largest difference of a block."""
        away = np.abs(self.known - blocks(picture)[None])
        number = int(away.mean((1, 2, 3)).argmin())
        return number, float(away[number].max())


def turn(picture, how):
    """A picture as shown with a display matrix."""
    if how == "mirror":
        return picture[:, ::-1]
    return np.rot90(picture, -(how or 0) // 90)


def ffmpeg(path, reader, how):
    """Frames by FFmpeg: [(seconds, number, difference)], and whether it complained."""
    frames, errors = [], []
    with av.logging.Capture(local=False) as logs:
        try:
            with av.open(str(path)) as container:
                stream = container.streams.best("video")
                stream.thread_type = "NONE"
                for packet in container.demux(stream):
                    try:
                        for frame in packet.decode():
                            seconds = None if frame.pts is None else float(frame.pts * frame.time_base)
                            picture = frame.to_ndarray(format="rgb24")
                            frames.append((seconds, *reader.read(turn(picture, how))))
                            if frame.is_corrupt:
                                errors.append("corrupt")
                    except av.error.FFmpegError as error:
                        errors.append(str(error))
        except Exception as error:
            errors.append(str(error))
    return frames, errors + [text for level, _, text in logs if level <= av.logging.ERROR]


def ours(program, path, step, environment):
    """Frames by the program: its JSON with `frames` [(index, picture)], or the error in words."""
    with tempfile.TemporaryDirectory() as folder:
        info, raw = pathlib.Path(folder, "info.json"), pathlib.Path(folder, "rgb.raw")
        try:
            command = [program, path, info, raw, str(step)]
            done = subprocess.run(command, capture_output=True, timeout=LIMIT, env=environment)
        except subprocess.TimeoutExpired:
            return f"Hang: no answer in {LIMIT} s"
        if done.returncode:
            said = done.stderr.decode("utf-8", "replace").strip().splitlines()
            return next((line for line in said if "panicked" in line), said[-1] if said else f"exit {done.returncode}")
        answer, values, at = json.loads(info.read_text()), np.fromfile(raw, np.uint8), 0
        answer["frames"] = []
        for index, width, height in answer["given"]:
            answer["frames"].append((index, values[at:at + width * height * 3].reshape(height, width, 3)))
            at += width * height * 3
        return answer


def uniform_sum(program, path, count, environment):
    """The sum of the first values of `count` frames spread evenly, as the program reports it."""
    done = subprocess.run([program, path, "uniform", str(count)], capture_output=True, timeout=LIMIT, env=environment)
    return int(done.stdout.split(b"sum ")[1].split()[0]) if done.returncode == 0 else None


def shown(answer, reader):
    """[(seconds, number, difference)] of the frames of an answer."""
    times = [ticks / scale for ticks, scale in answer["times"]]
    return [(times[index], *reader.read(picture)) for index, picture in answer["frames"]]


def relative(frames):
    """Seconds after the first frame, and numbers."""
    start = next((frame[0] for frame in frames if frame[0] is not None), 0.0)
    return [(None if frame[0] is None else frame[0] - start, frame[1]) for frame in frames]


def same(mine, other):
    """Whether numbers are the same and times within SAME, where both have them."""
    close = (a[0] is None or b[0] is None or abs(a[0] - b[0]) < SAME for a, b in zip(mine, other))
    return len(mine) == len(other) and all(a[1] == b[1] for a, b in zip(mine, other)) and all(close)


def said(answer):
    """What an answer says of losses."""
    words = [text for text in answer["info"]["warnings"] if not any(part in text for part in CORRECTED)]
    return words + [f"{answer[key]} {key}" for key in ("repeated", "lost", "damaged") if answer.get(key)]


def verdict(case, truth, answer, mine, witness, errors):
    """One of the verdicts, and why."""
    if isinstance(answer, str):
        return refusal(case, answer)
    bad = [number for _, number, away in mine if away > INTACT]
    if not bad and not case["damage"] and same(relative(mine), relative(truth)):
        return "right", start_words(mine, witness)
    if not bad and same(relative(mine), relative(witness)):
        return "right", "" if case["damage"] else "as FFmpeg, not as drawn"
    faults = differences(truth, mine, witness, bad)
    if not faults:
        return "right", ""
    words = said(answer)
    if words:
        return "warned", f"{'; '.join(faults)} | {'; '.join(words)}"
    unnoticed = not errors and [n for _, n, away in witness if away > INTACT]
    if case["damage"] and unnoticed and len(bad) <= len(unnoticed) + 1:
        return "as FFmpeg", f"{'; '.join(faults)}; FFmpeg shows {len(unnoticed)} such frames without a word"
    why = f"{'; '.join(faults)} | FFmpeg: {len(witness)} frames, {len(errors)} complaints"
    only_pictures = bad and len(mine) >= len(witness) and all("times" not in fault for fault in faults)
    return "unnoticed" if case["damage"] and only_pictures else "wrong", why


def start_words(mine, witness):
    """How far the first frame's time is from FFmpeg's, where it is."""
    starts = [frames[0][0] for frames in (mine, witness) if frames and frames[0][0] is not None]
    away = starts[0] - starts[1] if len(starts) == 2 else 0.0
    return f"starts {away:.3f} s from FFmpeg's start" if abs(away) > SAME else ""


def refusal(case, text):
    """A clear error is a refusal; a panic, a hang or a bug is wrong, and so is calling a whole file damaged."""
    kind = text.split(":")[0]
    if kind in ("Unsupported", "Limit") or kind == "Malformed" and case["damage"]:
        return "refused", text
    return "wrong", text


def differences(truth, mine, witness, bad):
    """What is not as drawn, in words: broken pictures, lost frames, times and order."""
    faults = []
    if bad:
        faults.append(f"{len(bad)} broken pictures (near {bad[0]})")
    intact = [(time, number) for time, number, away in mine if away <= INTACT]
    numbers = [number for _, number in intact]
    witnessed = {number for _, number, away in witness if away <= INTACT} & {number for _, number in truth}
    lost = sorted(witnessed - set(numbers))
    if lost:
        faults.append(f"{len(lost)} of {len(witnessed)} lost (first {lost[0]})")
    wanted = [number for _, number in truth]
    if len(set(wanted)) == len(wanted) and len(set(numbers)) < len(numbers):
        faults.append(f"{len(numbers) - len(set(numbers))} shown twice")
    order = {number: place for place, number in enumerate(wanted)}
    if len(order) == len(wanted) and any(order.get(a, 0) > order.get(b, 0) for a, b in zip(numbers, numbers[1:])):
        faults.append("out of order")
    drawn = {number: time for time, number in truth if time is not None}
    shifts = [time - drawn[number] for time, number in intact if number in drawn]
    theirs = [t - drawn[n] for t, n, away in witness if away <= INTACT and n in drawn and t is not None]
    if spread(shifts) > SAME and spread(shifts) > spread(theirs) + SAME:
        faults.append(f"times up to {spread(shifts):.3f} s away")
    return faults


def spread(values):
    """Largest less smallest."""
    return max(values) - min(values) if values else 0.0
