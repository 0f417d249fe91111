"""Draws what one random file is: codec, container, groups of pictures, times, lies and damage. Plain data, no encoding."""

import random

CODECS = {"h264": 40, "hevc": 20, "vp9": 14, "av1": 8, "vp8": 3, "mpeg4": 3, "mpeg2": 3, "mpeg1": 1, "mjpeg": 2}
CONTAINERS = {
    "h264": ("mp4", "mp4", "mp4", "fmp4", "fmp4", "mov", "mkv", "mkv", "avi", "ts", "ts", "ts", "m2ts", "flv", "h264"),
    "hevc": ("mp4", "mp4", "fmp4", "mov", "mkv", "mkv", "ts", "ts", "m2ts", "flv", "hevc"),
    "vp9": ("webm", "webm", "mkv", "mp4", "fmp4", "ivf"),
    "av1": ("mp4", "mkv", "webm", "fmp4", "ivf"),
    "vp8": ("webm", "mkv", "ivf"),
    "mpeg4": ("avi", "mp4", "mkv"),
    "mpeg2": ("ts", "mkv", "mpg"),
    "mpeg1": ("mpg",),
    "mjpeg": ("avi", "mov", "mkv"),
}
RATES = ((10, 1), (25, 2), (24, 1), (25, 1), (30000, 1001), (50, 1), (60, 1))
SIZES = ((192, 128), (160, 120), (130, 98), (176, 144), (98, 130), (208, 112), (320, 180))
TIMED = ("mp4", "mov", "fmp4", "mkv", "webm", "ts", "m2ts")
FLAGGED = ("mp4", "mov", "fmp4", "mkv", "webm", "avi", "ts", "m2ts", "flv")
JOINED = ("ts", "m2ts", "fmp4", "mkv", "webm")


def pick(rng, share, *choices):
    """One of `choices` in `share` of all cases, else None."""
    taken = rng.choice(choices)
    return taken if rng.random() < share else None


def draw(seed, number):
    """The recipe of file `number` of `seed`: the same on every machine."""
    rng = random.Random(f"{seed}/{number}")
    codec = rng.choices(list(CODECS), CODECS.values())[0]
    container = rng.choice(CONTAINERS[codec])
    gop = rng.choice((1, 5, 12, 12, 25, 25, 250))
    case = {
        "codec": codec, "container": container, "frames": rng.randint(20, 120), "rate": rng.choice(RATES),
        "size": rng.choice(SIZES), "gop": gop, "quality": rng.choice((18, 24, 30)), "encoder": encoder(rng, codec),
        "gaps": None, "start": 0.0, "edits": None, "flags": "true", "join": None, "damage": None, "turn": None,
        "inner": rng.random(),
    }
    if case["size"] == (130, 98) and codec in ("vp9", "av1"):
        case["size"] = (131, 99)
    if any("ff=1" in option or "interlaced=1" in option for option in case["encoder"]):
        case["size"] = rng.choice(((192, 128), (160, 120), (176, 144)))
    if container in TIMED and rng.random() < 0.25:
        spots = sorted(rng.sample(range(1, case["frames"]), rng.randint(1, 5)))
        case["gaps"] = [(at, rng.choice((0.02, 0.3, 2.5, 11.0))) for at in spots]
    if container in TIMED and rng.random() < 0.3:
        case["start"] = rng.choice((0.5, 3.2, 3600.0, 95440.0 if container in ("ts", "m2ts") else 7.04))
    if container in ("mp4", "mov") and rng.random() < 0.4:
        case["edits"] = rng.choice(("trim", "trim", "tail", "empty", "empty+trim", "two", "repeat", "inside"))
        case["start"] = 0.0
    if container in FLAGGED and rng.random() < 0.4:
        case["flags"] = rng.choice(("all", "all", "shifted", "none", "some"))
    if container in JOINED and rng.random() < 0.2:
        case["join"] = rng.choice(("same", "back", "ahead", "size", "other"))
        case["frames"] = min(case["frames"], 60)
    if container in ("mp4", "mov") and rng.random() < 0.15:
        case["turn"] = rng.choice((90, 180, 270, "mirror"))
    case["muxer"] = muxer(rng, container, case)
    if rng.random() < 0.35:
        kinds = ["cut", "cut", "zeros", "noise", "noise"]
        kinds += ["hole", "behead"] if container in ("ts", "m2ts") else []
        case["damage"] = (rng.choice(kinds), rng.random(), rng.choice((1, 16, 188, 700, 3000)), rng.random())
    return case


def muxer(rng, container, case):
    """Options of the muxer."""
    if container == "fmp4":
        kinds = ("frag_keyframe", "frag_keyframe+cmaf", "frag_every_frame", "frag_keyframe+separate_moof", "dash",
                 "frag_keyframe+negative_cts_offsets", "frag_keyframe+delay_moov")
        return ["-movflags", "+empty_moov+default_base_moof+" + rng.choice(kinds),
                "-frag_duration", rng.choice((100000, 400000, 3000000))]
    if container in ("mp4", "mov"):
        if case["edits"]:
            return []
        return rng.choice(([], [], ["-movflags", "+faststart"], ["-movflags", "+negative_cts_offsets"],
                           ["-use_editlist", 0], ["-movflags", "+rtphint+disable_chpl"], ["-video_track_timescale", 1000]))
    if container in ("ts", "m2ts"):
        return rng.choice(([], [], ["-mpegts_flags", "resend_headers"], ["-omit_video_pes_length", 0],
                           ["-pat_period", 0.1], ["-muxdelay", 0, "-muxpreload", 0], ["-mpegts_start_pid", 800]))
    if container in ("mkv", "webm"):
        kinds = [[], [], ["-cluster_time_limit", 300], ["-cluster_size_limit", 4000], ["-reserve_index_space", 4000],
                 ["-cues_to_front", 1]]
        return rng.choice(kinds + ([] if case["codec"] == "av1" else [["-live", 1]]))
    if container == "flv":
        return rng.choice(([], ["-flvflags", "no_duration_filesize"], ["-flvflags", "add_keyframe_index"]))
    return []


def encoder(rng, codec):
    """Options of the encoder, as FFmpeg's command line takes them."""
    if codec == "h264":
        return h264(rng)
    if codec == "hevc":
        layout = rng.choices(("yuv420p", "yuv420p10le", "yuv444p", "yuv422p10le"), (70, 20, 5, 5))[0]
        own = [f"bframes={rng.randint(0, 4)}", f"b-pyramid={rng.randint(0, 1)}", f"ref={rng.randint(1, 4)}",
               f"open-gop={rng.randint(0, 1)}", f"repeat-headers={rng.randint(0, 1)}", "log-level=none", "pools=1",
               f"rc-lookahead={rng.choice((5, 10))}", "min-keyint=1", f"scenecut={rng.choice((0, 40))}"]
        own += ["aud=1"] if rng.random() < 0.2 else []
        own += ["temporal-layers=2"] if rng.random() < 0.1 else []
        return ["-c:v", "libx265", "-preset", rng.choice(("ultrafast", "superfast", "faster")), "-pix_fmt", layout,
                "-x265-params", ":".join(own)]
    if codec == "vp9":
        layout = rng.choices(("yuv420p", "yuv420p10le", "yuv444p"), (80, 10, 10))[0]
        profile = {"yuv420p": "0", "yuv420p10le": "2", "yuv444p": "1"}[layout]
        return ["-c:v", "libvpx-vp9", "-cpu-used", "5", "-pix_fmt", layout, "-profile:v", profile, "-b:v", "0",
                "-auto-alt-ref", rng.choice("016"), "-lag-in-frames", rng.choice(("0", "12", "25")),
                "-error-resilient", rng.choice("0001"), "-tile-columns", rng.choice("01"), "-row-mt", "0"]
    if codec == "av1":
        layout = rng.choices(("yuv420p", "yuv420p10le"), (80, 20))[0]
        if rng.random() < 0.5:
            return ["-c:v", "libaom-av1", "-cpu-used", "8", "-pix_fmt", layout, "-lag-in-frames", rng.choice(("0", "19")),
                    "-usage", rng.choice(("good", "realtime"))]
        return ["-c:v", "libsvtav1", "-preset", "10", "-pix_fmt", layout]
    if codec == "vp8":
        return ["-c:v", "libvpx", "-cpu-used", "8", "-auto-alt-ref", rng.choice("01"), "-lag-in-frames", "12", "-b:v", "800k"]
    name = {"mpeg4": "mpeg4", "mpeg2": "mpeg2video", "mpeg1": "mpeg1video", "mjpeg": "mjpeg"}[codec]
    frames = [] if codec == "mjpeg" else ["-bf", str(rng.randint(0, 2))]
    return ["-c:v", name, "-pix_fmt", "yuvj420p" if codec == "mjpeg" else "yuv420p", "-q:v", "3", *frames]


def h264(rng):
    """Options of x264."""
    layout = rng.choices(("yuv420p", "yuv420p10le", "yuv422p", "yuv444p"), (84, 8, 4, 4))[0]
    own = [f"bframes={rng.randint(0, 4)}", f"b-pyramid={rng.choice(('none', 'strict', 'normal'))}",
           f"ref={rng.randint(1, 5)}", f"open-gop={rng.randint(0, 1)}", f"weightp={rng.randint(0, 2)}",
           f"cabac={rng.randint(0, 1)}", f"8x8dct={rng.randint(0, 1)}", f"scenecut={rng.choice((0, 40))}",
           "min-keyint=1", "threads=1"]
    if rng.random() < 0.2:
        own.append(f"slices={rng.randint(2, 4)}")
    if layout == "yuv420p" and rng.random() < 0.12:
        own.append(rng.choice(("interlaced=1", "tff=1", "bff=1", "fake-interlaced=1")))
    elif rng.random() < 0.08:
        own += ["intra-refresh=1", "open-gop=0"]
    if rng.random() < 0.2:
        own += [f"nal-hrd={rng.choice(('vbr', 'cbr'))}", "vbv-maxrate=900", "vbv-bufsize=900", "bitrate=800"]
    if rng.random() < 0.15:
        own.append("aud=1")
    if rng.random() < 0.1:
        own.append("constrained-intra=1")
    if rng.random() < 0.08:
        own.append("pic-struct=1")
    return ["-c:v", "libx264", "-preset", rng.choice(("ultrafast", "veryfast", "medium")), "-pix_fmt", layout,
            "-x264-params", ":".join(own)]
