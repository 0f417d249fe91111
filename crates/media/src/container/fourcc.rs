//! Four-character codes (FourCC) of codecs.

use super::track::Codec;

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
        _ => Codec::Other(fourcc_text(code)),
    }
}

/// A FourCC as text; bytes that do not print become `.`.
pub(super) fn fourcc_text(code: [u8; 4]) -> String {
    code.iter().map(|&b| if (0x20..0x7f).contains(&b) { b as char } else { '.' }).collect()
}
