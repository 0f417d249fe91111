//! What a container says about its video track. Container readers write it, decoders read it.

use serde::Serialize;

use crate::color::description::Color;

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

/// Video codecs. Those without a decoder here have a name for errors and for the system's FFmpeg.
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

impl Codec {
    /// The usual name, as shown to users.
    pub fn name(&self) -> &str {
        match self {
            Codec::H264 => "H.264",
            Codec::Hevc => "HEVC",
            Codec::Vp8 => "VP8",
            Codec::Vp9 => "VP9",
            Codec::Av1 => "AV1",
            Codec::Mjpeg => "Motion JPEG",
            Codec::Mpeg4 => "MPEG-4 part 2",
            Codec::Mpeg2 => "MPEG-2 video",
            Codec::Other(name) => name,
        }
    }
}

/// One coded frame, listed in decoding order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sample {
    /// Byte offset in the file. In a transport stream, of the packet that starts the frame.
    pub offset: u64,
    /// Bytes.
    pub size: u32,
    /// Presentation time in ticks, edit list applied. May be negative or hidden (see `shown`).
    pub pts: i64,
    /// Decoding time in ticks.
    pub dts: i64,
    /// Whether it is a keyframe: decoding can start here.
    pub keyframe: bool,
    /// Whether the edit list shows it; false when it is only decoded.
    pub shown: bool,
}

/// The video track of a file.
#[derive(Clone, Debug)]
pub struct VideoTrack {
    /// Codec.
    pub codec: Codec,
    /// Contents of the codec configuration (`avcC`, `hvcC`, `av1C`, `CodecPrivate`); empty when it is in-band.
    pub extradata: Vec<u8>,
    /// Whether samples are length-prefixed NAL units (MP4, Matroska) rather than Annex B start-code streams (TS, AVI).
    pub length_prefixed: bool,
    /// Coded width that the container states; 0 when it does not (transport streams).
    pub width: u32,
    /// Coded height that the container states; 0 when it does not.
    pub height: u32,
    /// Clockwise rotation for display: 0, 90, 180 or 270 degrees.
    pub rotation: u16,
    /// Sample aspect ratio (numerator, denominator); (1, 1) when square or not stated.
    pub sar: (u32, u32),
    /// Color description of the container. The bitstream's own description takes precedence.
    pub color: Color,
    /// Ticks per second of `samples` and `duration`.
    pub timescale: u32,
    /// Samples in decoding order.
    pub samples: Vec<Sample>,
    /// Length of the track in ticks, when the container states it.
    pub duration: Option<i64>,
}
