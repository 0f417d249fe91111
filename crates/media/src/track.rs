//! What a container reader finds out about the video track: the meeting point of containers and codecs.

use serde::Serialize;

/// Container formats.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Container {
    /// ISO base media (MP4, MOV, fragmented or not).
    Mp4,
    /// Matroska and WebM.
    Matroska,
    /// RIFF AVI.
    Avi,
    /// MPEG transport stream.
    Ts,
}

/// Video codecs; those without a decoder here are named so that errors and the system's FFmpeg can use the name.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub enum Codec {
    /// H.264 / AVC.
    H264,
    /// H.265 / HEVC.
    Hevc,
    /// VP8.
    Vp8,
    /// VP9.
    Vp9,
    /// AV1.
    Av1,
    /// Motion JPEG.
    Mjpeg,
    /// MPEG-4 part 2 (also Xvid, DivX).
    Mpeg4,
    /// MPEG-2 video.
    Mpeg2,
    /// Anything else, by its four-character code or codec id.
    Other(String),
}

/// Colour description of the stream; `None` where the stream does not say.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Colour {
    /// ISO 23091-2 matrix coefficients (1 = BT.709, 5/6 = BT.601, 9 = BT.2020).
    pub matrix: Option<u8>,
    /// Full range (0..255) rather than limited (16..235).
    pub full_range: Option<bool>,
    /// Primaries code.
    pub primaries: Option<u8>,
    /// Transfer code.
    pub transfer: Option<u8>,
}

/// One coded frame in decoding order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sample {
    /// Byte offset in the file. For transport streams: of the packet that starts it (`Movie::read_sample` gathers it).
    pub offset: u64,
    /// Bytes.
    pub size: u32,
    /// Presentation time in ticks, edit list applied (may be negative or hidden, see `shown`).
    pub pts: i64,
    /// Decoding order time in ticks.
    pub dts: i64,
    /// Whether decoding can start here.
    pub key: bool,
    /// Whether the edit list shows it (false: decode only).
    pub shown: bool,
}

/// The video track of a file.
#[derive(Clone, Debug)]
pub struct VideoTrack {
    /// Codec.
    pub codec: Codec,
    /// Decoder configuration as stored (`avcC`, `hvcC`, `av1C`, `CodecPrivate` contents); empty when in-band.
    pub extradata: Vec<u8>,
    /// Whether samples are length-prefixed NAL units (MP4/MKV) rather than start-code streams (TS, AVI).
    pub length_prefixed: bool,
    /// Coded width (as the container says); 0 when it does not say (transport streams).
    pub width: u32,
    /// Coded height.
    pub height: u32,
    /// Clockwise rotation for display: 0, 90, 180 or 270.
    pub rotation: u16,
    /// Sample aspect ratio (numerator, denominator), (1, 1) when square or unsaid.
    pub sar: (u32, u32),
    /// Container-level colour description; the bitstream's own wins where it speaks.
    pub colour: Colour,
    /// Ticks a second of all times below.
    pub timescale: u32,
    /// Samples in decoding order.
    pub samples: Vec<Sample>,
    /// Track duration in ticks, when the container says.
    pub duration: Option<i64>,
}
