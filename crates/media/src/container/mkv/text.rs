//! Text tracks: SRT, ASS and WebVTT in blocks.

use super::super::sample::layout::SampleLayout;
use super::super::sample::text::{TextCodec, TextSample, TextTrack};
use super::cluster::ScannedTrack;
use super::content_encoding::{self, Packing};
use super::ebml::{children, uint};
use super::ids;
use super::info::Clock;
use crate::error::MediaError;
use crate::options::limits::Limits;

/// Bytes of one cue after decompression.
const MAX_CUE: usize = 1 << 16;
/// Bytes of names and languages that are read.
const MAX_NAME: usize = 256;

/// A text track as `TrackEntry` describes it.
#[derive(Debug)]
pub(super) struct TextEntry {
    pub(super) number: u64,
    codec: TextCodec,
    language: Option<String>,
    name: Option<String>,
    default: bool,
    forced: bool,
    pub(super) packing: Packing,
}

impl TextEntry {
    /// Whether its cues are read.
    pub(super) fn is_read(&self) -> bool {
        !matches!(self.codec, TextCodec::Other(_))
    }
}

/// Reads the `TrackEntry` of a subtitle track.
///
/// # Errors
/// `Malformed` numbers, `Unsupported` packing.
pub(super) fn read_entry(data: &[u8]) -> Result<TextEntry, MediaError> {
    let mut entry = TextEntry {
        number: 0,
        codec: TextCodec::Other(String::new()),
        language: None,
        name: None,
        default: true,
        forced: false,
        packing: Packing::default(),
    };
    // Where no language is stated it is English (RFC 9559, 5.1.4.1.19).
    let (mut language, mut bcp47) = ("eng".to_string(), None);
    for (id, body) in children(data) {
        match id {
            ids::TRACK_NUMBER => entry.number = uint(body)?,
            ids::CODEC_ID => entry.codec = codec(&string(body)),
            ids::NAME => entry.name = Some(string(body)).filter(|name| !name.is_empty()),
            ids::LANGUAGE => language = string(body),
            ids::LANGUAGE_BCP47 => bcp47 = Some(string(body)),
            ids::FLAG_ENABLED | ids::FLAG_DEFAULT => entry.default &= uint(body)? != 0,
            ids::FLAG_FORCED => entry.forced = uint(body)? != 0,
            ids::CONTENT_ENCODINGS => content_encoding::read(body, &mut entry.packing)?,
            _ => {}
        }
    }
    entry.language = Some(bcp47.unwrap_or(language)).filter(|code| !code.is_empty() && code != "und");
    Ok(entry)
}

fn string(body: &[u8]) -> String {
    let end = body.iter().take(MAX_NAME).take_while(|&&byte| byte != 0).count();
    String::from_utf8_lossy(&body[..end]).into_owned()
}

fn codec(id: &str) -> TextCodec {
    match id {
        "S_TEXT/UTF8" | "S_TEXT/ASCII" => TextCodec::Srt,
        "S_TEXT/ASS" | "S_TEXT/SSA" | "S_ASS" | "S_SSA" => TextCodec::Ass,
        "S_TEXT/WEBVTT" => TextCodec::Vtt,
        "D_WEBVTT/SUBTITLES" | "D_WEBVTT/CAPTIONS" => TextCodec::WebmVtt,
        other => TextCodec::Other(other.to_string()),
    }
}

/// The track with the cues that the scan has found.
pub(super) fn track(entry: TextEntry, scanned: ScannedTrack, clock: &Clock, limits: &Limits) -> TextTrack {
    let durations = scanned.durations.unwrap_or_default();
    let sample = |(sample, duration): (&super::super::track::Sample, Option<u64>)| {
        let start = clock.seconds(sample.pts);
        let end = duration.map(|ticks| start + clock.seconds(i64::try_from(ticks).unwrap_or(i64::MAX)));
        TextSample { offset: sample.offset, size: sample.size, start, end }
    };
    let durations = durations.into_iter().chain(std::iter::repeat(None));
    let samples = scanned.samples.iter().zip(durations).map(sample).collect();
    let TextEntry { codec, language, name, default, forced, packing, .. } = entry;
    let layout = match packing {
        Packing { zlib: true, .. } => SampleLayout::Zlib(MAX_CUE.min(limits.sample_bytes as usize)),
        Packing { stripped, .. } if stripped.is_empty() => SampleLayout::Ranges,
        Packing { stripped, .. } => SampleLayout::Prefixed(stripped),
    };
    TextTrack { codec, language, name, default, forced, samples, layout }
}
