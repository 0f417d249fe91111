"""Writes crates/media/tests/golden/subtitle/film.mkv: the golden VP9 clip with SRT, ASS and WebVTT tracks, muxed by
FFmpeg. Run: python reference/make_subtitle_goldens.py (needs PyAV 16 or later)."""

import io
from pathlib import Path

import av

GOLDEN = Path(__file__).parent.parent / "crates/media/tests/golden"

SRT = """1
00:00:00,500 --> 00:00:01,250
<i>Hello</i> there.
Second line

2
00:00:01,500 --> 00:00:02,000
{\\an8}Café &amp; more
"""
ASS = """[Script Info]
ScriptType: v4.00+

[V4+ Styles]
Format: Name, Fontname, Fontsize
Style: Default,Arial,20

[Events]
Format: Layer, Start, End, Style, Name, MarginL, MarginR, MarginV, Effect, Text
Dialogue: 0,0:00:00.50,0:00:01.25,Default,,0,0,0,,{\\i1}Bonjour{\\i0}, toi\\Nencore
"""
VTT = "WEBVTT\n\n00:00.500 --> 00:01.250\n<v Ann>Hallo &lt;du&gt;\n"


def main():
    texts = [(SRT, "srt", "eng"), (ASS, "ass", "fre"), (VTT, "webvtt", "ger")]
    film = av.open(str(GOLDEN / "codec/vp9.webm"))
    (GOLDEN / "subtitle").mkdir(exist_ok=True)
    out = av.open(str(GOLDEN / "subtitle/film.mkv"), "w", options={"fflags": "+bitexact"})
    video = film.streams.video[0]
    streams = [(out.add_stream_from_template(video), film, video)]
    for text, name, language in texts:
        source = av.open(io.BytesIO(text.encode()), format=name)
        stream = out.add_stream_from_template(source.streams[0])
        stream.metadata["language"] = language
        streams.append((stream, source, source.streams[0]))
    for stream, source, own in streams[1:] + streams[:1]:
        for packet in source.demux(own):
            if packet.dts is not None and packet.size:
                packet.stream = stream
                out.mux(packet)
    out.close()


if __name__ == "__main__":
    main()
