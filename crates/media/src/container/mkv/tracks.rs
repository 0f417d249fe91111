//! `Tracks`: the choice of the video track, its number, codec and configuration.

use super::super::fourcc::codec_of_fourcc;
use super::super::track::Codec;
use super::ebml::{children, uint};
use super::video::VideoSettings;
use super::{content_encoding, ids, video};
use crate::error::{MediaError, malformed};

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
    /// Bytes stripped from the front of every frame.
    pub(super) stripped: Vec<u8>,
}

/// The video track (the first enabled one, else the first) and how many audio and subtitle tracks there are.
pub(super) struct Tracks {
    pub(super) video: TrackEntry,
    pub(super) audio: usize,
    pub(super) subtitles: usize,
}

/// Reads `Tracks`.
///
/// # Errors
/// `Malformed` without a video track, `Unsupported` when it is encrypted or compressed.
pub(super) fn read(data: &[u8], warnings: &mut Vec<String>) -> Result<Tracks, MediaError> {
    let (mut audio, mut subtitles) = (0, 0);
    let mut best: Option<(bool, &[u8])> = None;
    for (_, body) in children(data).filter(|c| c.0 == ids::TRACK_ENTRY) {
        let number = |id: u32| children(body).find(|c| c.0 == id).map(|c| uint(c.1)).transpose();
        match number(ids::TRACK_TYPE)? {
            Some(1) => {
                let enabled = number(ids::FLAG_ENABLED)? != Some(0);
                if best.is_none_or(|(best_enabled, _)| enabled && !best_enabled) {
                    best = Some((enabled, body));
                }
            }
            Some(2) => audio += 1,
            Some(0x11) => subtitles += 1,
            _ => {}
        }
    }
    let Some((_, body)) = best else {
        return Err(malformed("matroska tracks", format!("no video track ({audio} audio, {subtitles} subtitle)")));
    };
    Ok(Tracks { video: read_entry(body, warnings)?, audio, subtitles })
}

fn read_entry(data: &[u8], warnings: &mut Vec<String>) -> Result<TrackEntry, MediaError> {
    let mut entry = TrackEntry {
        number: 0,
        codec: Codec::Other(String::new()),
        extradata: Vec::new(),
        length_prefixed: false,
        video: VideoSettings::default(),
        default_duration: None,
        stripped: Vec::new(),
    };
    let mut codec_id = String::new();
    for (id, body) in children(data) {
        match id {
            ids::TRACK_NUMBER => entry.number = uint(body)?,
            ids::CODEC_ID => codec_id = body.iter().take(64).take_while(|&&b| b != 0).map(|&b| b as char).collect(),
            ids::CODEC_PRIVATE => entry.extradata = body.to_vec(),
            ids::DEFAULT_DURATION => entry.default_duration = Some(uint(body)?).filter(|&n| n > 0),
            ids::VIDEO => video::read(body, &mut entry.video, warnings)?,
            ids::CONTENT_ENCODINGS => content_encoding::read(body, &mut entry.stripped)?,
            _ => {}
        }
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
