"""An hour of 720p H.264 that nobody has to fetch, and what PyAV needs to take frames out of it.

    python reference/hour_clip.py make target/hour.mp4          # minutes on one core, about 200 MB
    python reference/hour_clip.py sample target/hour.mp4 180    # seeks to 180 moments spread evenly, converts to RGB

The picture is drawn: a textured background that drifts, three discs on their ways, a little noise. 150 seconds are
encoded (x264 veryfast, crf 30, B-frames, a keyframe at most every 5 s and at every cut) and repeated 24 times by
remuxing. `sample` prints one JSON line: frames, wall and CPU seconds, peak memory.
"""

import json
import os
import resource
import sys
import time
from fractions import Fraction

import av
import numpy as np

WIDTH, HEIGHT, RATE, SECONDS, TIMES = 1280, 720, 30, 150, 24
CUT = 10  # seconds between scenes


def frames():
    """RGB frames of the part that is repeated."""
    rng = np.random.default_rng(1)
    y, x = np.mgrid[0:HEIGHT, 0:WIDTH].astype(np.float32)
    noise = rng.integers(0, 6, (8, HEIGHT, WIDTH, 1), dtype=np.uint8)
    for scene in range(SECONDS // CUT):
        small = rng.uniform(40, 200, (12, 20, 3)).astype(np.float32)
        big = np.kron(small, np.ones((2 * HEIGHT // 12, 2 * WIDTH // 20, 1), np.float32))
        ripple = 12 * np.sin(x / rng.uniform(9, 30) + y / rng.uniform(9, 30))[..., None]
        start, speed = rng.uniform(0.2, 0.8, (3, 2)), rng.uniform(-0.04, 0.04, (3, 2))
        colours = rng.integers(0, 256, (3, 3))
        for step in range(CUT * RATE):
            dx, dy = 2 * step, step
            picture = np.clip(big[dy : dy + HEIGHT, dx : dx + WIDTH] + ripple, 0, 249).astype(np.uint8)
            for disc in range(3):
                cx, cy = (start[disc] + speed[disc] * step / RATE) * (WIDTH, HEIGHT)
                inside = (x - cx) ** 2 + (y - cy) ** 2 < (60 + 20 * disc) ** 2
                picture[inside] = np.minimum(colours[disc], 249)
            yield picture + noise[step % 8], step == 0


def make(path):
    part = path + ".part.mp4"
    with av.open(part, "w") as out:
        stream = out.add_stream("libx264", rate=RATE)
        stream.width, stream.height, stream.pix_fmt = WIDTH, HEIGHT, "yuv420p"
        stream.options = {"preset": "veryfast", "crf": "30", "g": str(5 * RATE)}
        for number, (picture, cut) in enumerate(frames()):
            frame = av.VideoFrame.from_ndarray(picture, format="rgb24")
            frame.pts, frame.time_base = number, Fraction(1, RATE)
            frame.pict_type = av.video.frame.PictureType.I if cut else av.video.frame.PictureType.NONE
            out.mux(stream.encode(frame))
        out.mux(stream.encode())
    with av.open(part) as source, av.open(path, "w") as out:
        video = source.streams.video[0]
        packets = [(bytes(p), p.pts, p.dts, p.duration, p.is_keyframe) for p in source.demux(video) if p.size]
        length = int(SECONDS / video.time_base)
        stream = out.add_stream_from_template(video)
        for turn in range(TIMES):
            for data, pts, dts, duration, key in packets:
                packet = av.Packet(data)
                packet.stream, packet.time_base, packet.is_keyframe = stream, video.time_base, key
                packet.pts, packet.dts, packet.duration = pts + turn * length, dts + turn * length, duration
                out.mux(packet)
    os.remove(part)


def sample(path, count):
    """The last frame at or before each of `count` moments, by seeking to the keyframe before it."""
    begin, taken = time.monotonic(), 0
    with av.open(path) as source:
        video = source.streams.video[0]
        video.thread_type = "AUTO"
        seconds = float(video.duration * video.time_base)
        for i in range(count):
            moment = int((i + 0.5) * seconds / count / video.time_base)
            source.seek(moment, stream=video)
            last = None
            for frame in source.decode(video):
                if frame.pts > moment:
                    break
                last = frame
            if last is not None:
                taken += last.to_ndarray(format="rgb24").shape[0] == video.height
    use = resource.getrusage(resource.RUSAGE_SELF)
    wall = time.monotonic() - begin
    cpu = use.ru_utime + use.ru_stime
    print(json.dumps({"frames": taken, "wall_s": round(wall, 2), "cpu_s": round(cpu, 2), "peak_mb": use.ru_maxrss >> 10}))


if __name__ == "__main__":
    if sys.argv[1] == "make":
        make(sys.argv[2])
    else:
        sample(sys.argv[2], int(sys.argv[3]))
