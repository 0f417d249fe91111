//! What a container says about its video track. Container readers write it, decoders read it.

pub(super) mod ratio;

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
    /// Flash video.
    Flv,
    /// IVF.
    Ivf,
    /// YUV4MPEG2.
    Y4m,
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
    /// Raw planes of luma and chroma.
    Raw(RawFormat),
    /// Anything else, by its four-character code or codec id.
    Other(String),
}

/// How the values of a raw frame are stored: luma, then the two chroma planes, without padding. Values of more than 8
/// bits take two bytes, the low one first.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct RawFormat {
    /// Bits per value.
    pub depth: u8,
    /// Whether chroma has one column for two of luma.
    pub half_width: bool,
    /// Whether chroma has one row for two of luma.
    pub half_height: bool,
    /// Whether there is no chroma.
    pub mono: bool,
    /// Whether chroma is sited on the left of its two columns.
    pub left_sited: bool,
    /// Whether odd and even rows are two fields.
    pub interlaced: bool,
}

impl RawFormat {
    /// Bytes of the luma plane and of each chroma plane; `None` when they do not fit in 64 bits.
    pub fn plane_bytes(&self, width: u32, height: u32) -> Option<(u64, u64)> {
        let half = |n: u32, halved: bool| u64::from(if halved { n.div_ceil(2) } else { n });
        let value = if self.depth > 8 { 2 } else { 1 };
        let luma = u64::from(width).checked_mul(height.into())?.checked_mul(value)?;
        let chroma = half(width, self.half_width).checked_mul(half(height, self.half_height))?.checked_mul(value)?;
        Some((luma, if self.mono { 0 } else { chroma }))
    }

    /// Bytes of a frame; `None` when they do not fit in 64 bits.
    pub fn frame_bytes(&self, width: u32, height: u32) -> Option<u64> {
        let (luma, chroma) = self.plane_bytes(width, height)?;
        chroma.checked_mul(2)?.checked_add(luma)
    }
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
            Codec::Raw(_) => "raw video",
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

/// How frames are shown: flipped left to right when `mirrored`, then turned.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Orientation {
    /// Whether left and right are exchanged before the turn.
    pub mirrored: bool,
    /// Clockwise turn: 0, 90, 180 or 270 degrees.
    pub rotation: u16,
}

impl Orientation {
    /// Width and height of a frame of `size` after the turn.
    pub fn turned(self, size: (u32, u32)) -> (u32, u32) {
        if self.rotation % 180 == 90 { (size.1, size.0) } else { size }
    }
}

/// Pixels to cut off the edges of a decoded frame, before it is flipped and turned.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Crop {
    /// Columns on the left.
    pub left: u32,
    /// Rows at the top.
    pub top: u32,
    /// Columns on the right.
    pub right: u32,
    /// Rows at the bottom.
    pub bottom: u32,
}

impl Crop {
    /// Width and height that are left of a frame of `size`; `None` when that would be nothing.
    pub fn size(self, size: (u32, u32)) -> Option<(u32, u32)> {
        let left_of = |size: u32, a: u32, b: u32| size.checked_sub(a)?.checked_sub(b).filter(|&n| n > 0);
        Some((left_of(size.0, self.left, self.right)?, left_of(size.1, self.top, self.bottom)?))
    }
}

/// A video track as far as the choice among several is concerned.
#[derive(Clone, Debug, PartialEq)]
pub struct TrackSummary {
    /// Codec.
    pub codec: Codec,
    /// Coded width that the container states; 0 when it does not.
    pub width: u32,
    /// Coded height that the container states; 0 when it does not.
    pub height: u32,
    /// Coded frames, where the container tells.
    pub frames: Option<u64>,
    /// Length in seconds, where the container tells.
    pub seconds: Option<f64>,
    /// Whether the file marks it as enabled and default; true where the container has no such mark.
    pub default: bool,
    /// Whether it only holds covers or chapter images.
    pub picture: bool,
    /// Whether its frames are neither encrypted nor packed in an unknown way.
    pub readable: bool,
}

impl Default for TrackSummary {
    fn default() -> Self {
        TrackSummary {
            codec: Codec::Other(String::new()),
            width: 0,
            height: 0,
            frames: None,
            seconds: None,
            default: true,
            picture: false,
            readable: true,
        }
    }
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
    /// What the container says to cut off, in addition to what the bitstream crops itself.
    pub crop: Crop,
    /// Flip and turn for display.
    pub orientation: Orientation,
    /// Sample aspect ratio (numerator, denominator), not zero; `None` when the container does not state it.
    pub sar: Option<(u32, u32)>,
    /// Color description of the container. The bitstream's own description takes precedence.
    pub color: Color,
    /// Ticks per second of `samples` and `duration`.
    pub timescale: u32,
    /// Samples in decoding order.
    pub samples: Vec<Sample>,
    /// Ticks from the first shown frame to the end of the last one, when the container states it.
    pub duration: Option<i64>,
}

impl VideoTrack {
    /// A track of which the container states nothing but the codec; its clock ticks once a second.
    pub(crate) fn new(codec: Codec) -> Self {
        VideoTrack {
            codec,
            extradata: Vec::new(),
            length_prefixed: false,
            width: 0,
            height: 0,
            crop: Crop::default(),
            orientation: Orientation::default(),
            sar: None,
            color: Color::default(),
            timescale: 1,
            samples: Vec::new(),
            duration: None,
        }
    }
}

/// The codec that a FourCC names in QuickTime, MP4, AVI and Video for Windows.
pub(super) fn codec_of_fourcc(code: [u8; 4]) -> Codec {
    let upper = code.map(|b| b.to_ascii_uppercase());
    match &upper {
        b"AVC1" | b"AVC2" | b"AVC3" | b"AVC4" | b"H264" | b"X264" | b"DVA1" | b"DVAV" | b"DAVC" => Codec::H264,
        b"HVC1" | b"HEV1" | b"HVC2" | b"HEV2" | b"HEVC" | b"H265" | b"X265" | b"DVH1" | b"DVHE" => Codec::Hevc,
        b"VP08" | b"VP80" => Codec::Vp8,
        b"VP09" | b"VP90" => Codec::Vp9,
        b"AV01" => Codec::Av1,
        b"JPEG" | b"MJPG" | b"MJPA" | b"AVRN" | b"DMB1" | b"AVDJ" => Codec::Mjpeg,
        b"MP4V" | b"XVID" | b"DIVX" | b"DX50" | b"FMP4" | b"3IV2" | b"M4S2" | b"MP4S" => Codec::Mpeg4,
        b"MPG2" | b"MP2V" | b"M2V1" | b"MPEG" | b"EM2V" | b"HDV1" | b"HDV2" | b"HDV3" => Codec::Mpeg2,
        [0, 0, 0, 0] | b"DIB " | b"RGB " | b"RAW " => Codec::Other("uncompressed RGB".into()),
        _ => Codec::Other(fourcc_text(code)),
    }
}

/// A FourCC as text; bytes that do not print become `.`.
pub(super) fn fourcc_text(code: [u8; 4]) -> String {
    code.iter().map(|&b| if (0x20..0x7f).contains(&b) { b as char } else { '.' }).collect()
}
