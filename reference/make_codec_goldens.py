"""Makes the tiny clips of crates/media/tests/golden/codec and what FFmpeg (through PyAV) decodes from them.

    python reference/make_codec_goldens.py crates/media/tests/golden/codec

Needs av and numpy (versions in reference/requirements.txt). Every clip is drawn here. `frames.txt` lists, for every
frame: clip, presentation time as ticks/scale, width, height, CRC-32 of its RGB bytes (rotated for display) and the mean
of the bytes. `color.txt` lists single pixels: matrix code, full range, y, u, v and the RGB that FFmpeg makes of them.
"""

import fractions
import pathlib
import struct
import sys
import zlib

import av
import numpy as np

SIZE = (96, 64)


def picture(index, width, height):
    """A drawn RGB picture: a gradient with a moving square, a moving bar and a blinking corner."""
    y, x = np.mgrid[0:height, 0:width]
    rgb = np.stack([x * 255 // width, y * 255 // height, (x + y + 4 * index) % 256], axis=-1).astype(np.uint8)
    left, top = (3 * index) % (width - 20), (2 * index) % (height - 20)
    rgb[top : top + 20, left : left + 20] = (230, 40, 30)
    rgb[:, (5 * index) % width : (5 * index) % width + 4] = (20, 200, 240)
    if index % 4 < 2:
        rgb[:10, :10] = (255, 255, 255)
    return rgb


def encode(path, codec, frames=24, size=SIZE, layout="yuv420p", options=None, times=None, tags=None, rate=25, **extra):
    """Writes a drawn clip; `times` are presentation times in 1/1000 s for a variable rate."""
    container = av.open(str(path), "w", options=extra.get("muxer", {}))
    stream = container.add_stream(codec, rate=rate)
    stream.width, stream.height, stream.pix_fmt = size[0], size[1], layout
    stream.options = {k: str(v) for k, v in (options or {}).items()}
    stream.codec_context.thread_count = 1
    if times:
        stream.time_base = stream.codec_context.time_base = fractions.Fraction(1, 1000)
    for name, value in (tags or {}).items():
        setattr(stream.codec_context, name, value)
    for index in range(frames):
        source = av.VideoFrame.from_ndarray(picture(index, *size), format="rgb24")
        if tags:
            target = source.reformat(
                format=layout, dst_colorspace=tags["colorspace"], dst_color_range=tags["color_range"]
            )
            target.colorspace, target.color_range = tags["colorspace"], tags["color_range"]
        else:
            target = source.reformat(format=layout)
        target.pts = times[index] if times else index
        target.time_base = fractions.Fraction(1, 1000) if times else fractions.Fraction(1, rate)
        target.pict_type = 0
        for packet in stream.encode(target):
            container.mux(packet)
    for packet in stream.encode():
        container.mux(packet)
    container.close()


def patch_rotation(path, degrees):
    """Writes a display matrix of `degrees` clockwise into the track header."""
    data = bytearray(path.read_bytes())
    at = data.index(b"tkhd")
    matrix = {90: (0, 1, -1, 0), 180: (-1, 0, 0, -1), 270: (0, -1, 1, 0)}[degrees]
    a, b, c, d = (value * 65536 for value in matrix)
    data[at + 44 : at + 80] = struct.pack(">9i", a, b, 0, c, d, 0, 0, 0, 1 << 30)
    path.write_bytes(data)


def patch_edit(path, seconds):
    """Moves the start of the (only) edit `seconds` later into the media and shortens it."""
    data = bytearray(path.read_bytes())
    at = data.index(b"elst")
    scale = struct.unpack(">I", data[data.index(b"mvhd") + 16 :][:4])[0]
    media = struct.unpack(">I", data[data.index(b"mdhd") + 16 :][:4])[0]
    length, start = struct.unpack(">Ii", data[at + 12 : at + 20])
    data[at + 12 : at + 20] = struct.pack(">Ii", length - int(seconds * scale), start + int(seconds * media))
    path.write_bytes(data)


def make(folder):
    """All clips."""
    x264 = {"preset": "medium", "crf": 30, "threads": 1}
    high = {**x264, "bf": 3, "g": 12, "b-pyramid": "normal", "refs": 4}
    encode(folder / "h264-baseline.mp4", "libx264", options={**x264, "profile": "baseline", "g": 10})
    encode(folder / "h264-high.mp4", "libx264", frames=40, options=high)
    encode(folder / "h264-slices.mkv", "libx264", options={**high, "x264-params": "slices=4"})
    encode(folder / "h264-high.ts", "libx264", options=high)
    encode(folder / "h264-open.mp4", "libx264", frames=40, options={**high, "x264-params": "open-gop=1:scenecut=0"})
    encode(folder / "h264-10bit.mp4", "libx264", layout="yuv420p10le", options=high, frames=12)
    encode(folder / "h264-422.mp4", "libx264", layout="yuv422p", options=high, frames=12)
    encode(folder / "h264-444.mp4", "libx264", layout="yuv444p", options=high, frames=6)
    encode(folder / "h264-interlaced.mp4", "libx264", options={**high, "flags": "+ildct+ilme"}, frames=12)
    encode(folder / "h264-fragmented.mp4", "libx264", options=high, muxer={"movflags": "frag_keyframe+empty_moov"})
    vfr = [0, 40, 80, 300, 333, 366, 1000, 1040, 1500, 1501, 1600, 2400]
    encode(folder / "h264-vfr.mp4", "libx264", frames=len(vfr), times=vfr, options=high)
    encode(folder / "h264-edit.mp4", "libx264", frames=40, options=high)
    patch_edit(folder / "h264-edit.mp4", 0.6)
    full = {"colorspace": 1, "color_range": 2}
    encode(folder / "h264-full709.mp4", "libx264", options=x264, tags=full, frames=8)
    encode(folder / "h264-limited709.mp4", "libx264", options=x264, tags={"colorspace": 1, "color_range": 1}, frames=8)
    for degrees in (90, 180, 270):
        path = folder / f"h264-rotated{degrees}.mp4"
        encode(path, "libx264", options=x264, frames=4)
        patch_rotation(path, degrees)
    x265 = {"preset": "medium", "crf": 30, "x265-params": "keyint=10:bframes=3:open-gop=1:log-level=none:pools=1"}
    encode(folder / "hevc-main.mp4", "libx265", frames=36, options=x265)
    encode(folder / "hevc-10bit.mkv", "libx265", frames=12, layout="yuv420p10le", options=x265)
    vp9 = {"crf": 40, "b": 0, "g": 12, "cpu-used": 4, "threads": 1}
    encode(folder / "vp9.webm", "libvpx-vp9", options=vp9)
    encode(folder / "vp9-odd.webm", "libvpx-vp9", size=(97, 65), options=vp9, frames=8)
    encode(folder / "vp9-444.mp4", "libvpx-vp9", layout="yuv444p", options=vp9, frames=8)
    av1 = {"crf": 45, "preset": 8, "g": 12}
    encode(folder / "av1.mp4", "libsvtav1", options=av1)
    encode(folder / "av1-10bit.mkv", "libsvtav1", layout="yuv420p10le", options=av1, frames=8)
    encode(folder / "mpeg4.avi", "mpeg4", options={"qscale": 8}, frames=12)
    encode(folder / "mpeg2.ts", "mpeg2video", options={"qscale": 8}, frames=12)


def frames(path):
    """Times and display-rotated pictures of a clip."""
    container = av.open(str(path))
    for frame in container.decode(video=0):
        rgb = frame.to_ndarray(format="rgb24")
        turns = round(-(frame.rotation or 0) / 90) % 4
        base = frame.time_base
        yield frame.pts * base.numerator, base.denominator, np.ascontiguousarray(np.rot90(rgb, -turns))


def list_frames(folder):
    """The golden lines of all clips."""
    lines = []
    for path in sorted(folder.iterdir()):
        if path.suffix in (".txt", ".md"):
            continue
        for ticks, scale, rgb in frames(path):
            height, width, _ = rgb.shape
            crc = zlib.crc32(rgb.tobytes())
            lines.append(f"{path.name} {ticks}/{scale} {width} {height} {crc:08x} {rgb.mean():.4f}")
    (folder / "frames.txt").write_text("\n".join(lines) + "\n")


def list_colors(folder):
    """FFmpeg's RGB of single pixels for every matrix, range and a grid of values."""
    values = [0, 16, 17, 60, 97, 128, 140, 200, 235, 240, 255]
    triples = [(y, u, v) for y in values for u in values[::2] for v in values[::2]]
    lines = []
    for matrix in (1, 5, 7, 9):
        for full in (0, 1):
            for y, u, v in triples:
                frame = av.VideoFrame(16, 2, "yuv420p")
                for plane, value in zip(frame.planes, (y, u, v)):
                    plane.update(bytes([value]) * plane.buffer_size)
                frame.colorspace, frame.color_range = matrix, 2 if full else 1
                r, g, b = frame.to_ndarray(format="rgb24")[0, 0]
                lines.append(f"{matrix} {full} {y} {u} {v} {r} {g} {b}")
    (folder / "color.txt").write_text("\n".join(lines) + "\n")


def main():
    """Makes everything below the folder given."""
    folder = pathlib.Path(sys.argv[1])
    folder.mkdir(parents=True, exist_ok=True)
    make(folder)
    list_frames(folder)
    list_colors(folder)


if __name__ == "__main__":
    main()
