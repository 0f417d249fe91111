//! `Tracks`: the video tracks, their numbers, codecs and configurations.

use super::super::track::Codec;
use super::super::track::codec_of_fourcc;
use super::content_encoding::{self, Packing};
use super::ebml::{children, uint};
use super::text::{self, TextEntry};
use super::video::VideoSettings;
use super::{ids, video};
use crate::error::{MediaError, malformed};
use crate::options::limits::Limits;

/// Bytes of a codec configuration after decompression.
const MAX_PRIVATE: u64 = 1 << 20;
/// Text tracks listed at most; more are only counted.
const MAX_TEXTS: usize = 64;

/// The video track as `TrackEntry` describes it.
#[derive(Debug)]
pub(super) struct TrackEntry {
    pub(super) number: u64,
    pub(super) codec: Codec,
    pub(super) extradata: Vec<u8>,
    pub(super) length_prefixed: bool,
    pub(super) video: VideoSettings,
    /// Nanoseconds per frame, when stated.
    pub(super) default_duration: Option<u64>,
    /// Whether it is enabled and marked as default.
    pub(super) default: bool,
    pub(super) packing: Packing,
}

/// The tracks of a segment.
pub(super) struct Tracks {
    /// Video tracks in the order of the file, at least one; an error where one cannot be read.
    pub(super) videos: Vec<Result<TrackEntry, MediaError>>,
    pub(super) audio: usize,
    pub(super) subtitles: usize,
    /// Subtitle tracks that can be described, in the order of the file.
    pub(super) texts: Vec<TextEntry>,
}

/// Reads `Tracks`.
///
/// # Errors
/// `Malformed` without a video track.
pub(super) fn read(data: &[u8], limits: &Limits, warnings: &mut Vec<String>) -> Result<Tracks, MediaError> {
    let mut tracks = Tracks { videos: Vec::new(), audio: 0, subtitles: 0, texts: Vec::new() };
    for (_, body) in children(data).filter(|c| c.0 == ids::TRACK_ENTRY) {
        let track_type = children(body).find(|c| c.0 == ids::TRACK_TYPE).map(|c| uint(c.1)).transpose()?;
        match track_type {
            Some(1) => tracks.videos.push(read_entry(body, limits, warnings)),
            Some(2) => tracks.audio += 1,
            Some(0x11) => {
                tracks.subtitles += 1;
                match text::read_entry(body) {
                    _ if tracks.texts.len() >= MAX_TEXTS => {}
                    Ok(entry) => tracks.texts.push(entry),
                    Err(error) => warnings.push(format!("subtitle track {} is not read: {error}", tracks.texts.len())),
                }
            }
            _ => {}
        }
    }
    if tracks.videos.is_empty() {
        let text = format!("no video track ({} audio, {} subtitle)", tracks.audio, tracks.subtitles);
        return Err(malformed("matroska tracks", text));
    }
    Ok(tracks)
}

fn read_entry(data: &[u8], limits: &Limits, warnings: &mut Vec<String>) -> Result<TrackEntry, MediaError> {
    let mut entry = TrackEntry {
        number: 0,
        codec: Codec::Other(String::new()),
        extradata: Vec::new(),
        length_prefixed: false,
        video: VideoSettings::default(),
        default_duration: None,
        default: true,
        packing: Packing::default(),
    };
    let mut codec_id = String::new();
    for (id, body) in children(data) {
        match id {
            ids::TRACK_NUMBER => entry.number = uint(body)?,
            ids::CODEC_ID => codec_id = body.iter().take(64).take_while(|&&b| b != 0).map(|&b| b as char).collect(),
            ids::CODEC_PRIVATE => entry.extradata = body.to_vec(),
            ids::DEFAULT_DURATION => entry.default_duration = Some(uint(body)?).filter(|&n| n > 0),
            ids::VIDEO => video::read(body, &mut entry.video, warnings)?,
            ids::FLAG_ENABLED | ids::FLAG_DEFAULT => entry.default &= uint(body)? != 0,
            ids::CONTENT_ENCODINGS => content_encoding::read(body, &mut entry.packing)?,
            _ => {}
        }
    }
    if entry.packing.zlib_private {
        let most = limits.header_bytes.min(MAX_PRIVATE) as usize;
        let inflated = miniz_oxide::inflate::decompress_to_vec_zlib_with_limit(&entry.extradata, most);
        entry.extradata = inflated.map_err(|error| malformed("codec configuration", error.to_string()))?;
    }
    set_codec(&mut entry, &codec_id);
    Ok(entry)
}

fn set_codec(entry: &mut TrackEntry, codec_id: &str) {
    entry.codec = match codec_id {
        "V_MPEG4/ISO/AVC" => Codec::H264,
        "V_MPEGH/ISO/HEVC" => Codec::Hevc,
        "V_VP8" => Codec::Vp8,
        "V_VP9" => Codec::Vp9,
        "V_AV1" => Codec::Av1,
        "V_MJPEG" => Codec::Mjpeg,
        "V_MPEG2" => Codec::Mpeg2,
        "V_MPEG4/ISO/SP" | "V_MPEG4/ISO/ASP" | "V_MPEG4/ISO/AP" => Codec::Mpeg4,
        // A BITMAPINFOHEADER: the FourCC is at byte 16, the configuration after byte 40.
        "V_MS/VFW/FOURCC" => match entry.extradata.get(16..20) {
            Some(&[a, b, c, d]) => {
                entry.extradata.drain(..40.min(entry.extradata.len()));
                codec_of_fourcc([a, b, c, d])
            }
            _ => Codec::Other(codec_id.into()),
        },
        _ => Codec::Other(codec_id.into()),
    };
    // A start code is no configuration record.
    let data = &entry.extradata;
    let start_code = data.starts_with(&[0, 0, 0, 1]) || data.starts_with(&[0, 0, 1]);
    let record = data.first().is_some_and(|&v| v <= 1) && !start_code;
    entry.length_prefixed = record && matches!(entry.codec, Codec::H264 | Codec::Hevc);
}
