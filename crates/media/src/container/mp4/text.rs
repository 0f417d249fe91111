//! Text tracks: 3GPP timed text (`tx3g`), QuickTime text, WebVTT in boxes (`wvtt`, ISO/IEC 14496-30).

use super::super::sample::layout::SampleLayout;
use super::super::sample::text::{TextCodec, TextSample, TextTrack};
use super::super::track::fourcc_text;
use super::boxes::{children, find, find_path, full_box};
use super::moof::{self, Fragments};
use super::stbl;
use super::trak::list::TextTrak;
use super::trak::{elst, mdhd};
use crate::error::MediaError;
use crate::options::limits::Limits;

/// Samples of a text track at most; a cue and a gap a second for a day.
const MAX_SAMPLES: u64 = 200_000;

/// What the text tracks of a movie have in common.
pub(super) struct MovieParts<'a> {
    /// Contents of `moov`.
    pub(super) moov: &'a [u8],
    /// Contents of all movie fragments, and where they start.
    pub(super) moofs: &'a [Vec<u8>],
    pub(super) starts: Vec<u64>,
    /// Ticks per second of the movie.
    pub(super) timescale: u32,
    /// Offset that chunk offsets count from.
    pub(super) start: u64,
    /// Bytes of the file.
    pub(super) len: u64,
}

/// Reads the text tracks of a movie. One that cannot be read is listed without cues, with a warning.
pub(super) fn read(movie: &MovieParts<'_>, texts: &[TextTrak<'_>], warnings: &mut Vec<String>) -> Vec<TextTrack> {
    let mut tracks = Vec::with_capacity(texts.len());
    for (number, text) in texts.iter().enumerate() {
        let mut track = TextTrack {
            codec: codec(text.trak),
            language: mdhd::language(text.trak),
            name: None,
            default: text.enabled,
            forced: false,
            samples: Vec::new(),
            layout: SampleLayout::Ranges,
        };
        if !matches!(track.codec, TextCodec::Other(_)) {
            match samples(movie, text, warnings) {
                Ok(samples) => track.samples = samples,
                Err(error) => warnings.push(format!("subtitle track {number} is not read: {error}")),
            }
        }
        tracks.push(track);
    }
    tracks
}

/// The codec by the first sample entry.
fn codec(trak: &[u8]) -> TextCodec {
    let entry = || -> Option<[u8; 4]> {
        let stsd = find_path(trak, &[b"mdia", b"minf", b"stbl", b"stsd"])?;
        let (_, _, mut c) = full_box(stsd, "stsd box").ok()?;
        c.u32().ok()?;
        children(c.rest()).next().map(|entry| entry.fourcc)
    };
    match entry() {
        Some(code) => match &code {
            b"tx3g" | b"text" => TextCodec::Tx3g,
            b"wvtt" => TextCodec::Wvtt,
            _ => TextCodec::Other(fourcc_text(code)),
        },
        None => TextCodec::Other("unknown".into()),
    }
}

/// The samples that lie inside the file, on the clock of the movie.
fn samples(
    movie: &MovieParts<'_>,
    text: &TextTrak<'_>,
    warnings: &mut Vec<String>,
) -> Result<Vec<TextSample>, MediaError> {
    let limits = Limits { samples: MAX_SAMPLES, ..Limits::default() };
    let own = find_path(text.trak, &[b"mdia", b"minf", b"stbl"]).unwrap_or(&[]);
    let mut samples = stbl::read(own, &limits, warnings)?;
    samples.iter_mut().for_each(|sample| sample.offset = sample.offset.saturating_add(movie.start));
    let defaults = moof::defaults(movie.moov, text.id).unwrap_or_default();
    let mut fragments = Fragments::new(text.id, defaults, samples, &limits);
    for (moof, start) in movie.moofs.iter().zip(&movie.starts) {
        fragments.add(moof, *start)?;
    }
    let timescale = match mdhd::clock(text.trak).0 {
        0 => movie.timescale,
        own => own,
    };
    let seconds = |ticks: i64| ticks as f64 / f64::from(timescale.max(1));
    let shift = elst::shift(&elst::read(text.trak)?, movie.timescale, timescale);
    let inside = |offset: u64, size: u32| size > 0 && offset.saturating_add(u64::from(size)) <= movie.len;
    let sample = |s: &super::unedited_sample::UneditedSample| {
        let start = seconds(s.composition_time()) + shift;
        TextSample { offset: s.offset, size: s.size, start, end: Some(start + seconds(i64::from(s.duration))) }
    };
    Ok(fragments.samples.iter().filter(|s| inside(s.offset, s.size)).map(sample).collect())
}

/// The texts of the cues in a sample of `wvtt`: `payl` of each `vttc`.
pub(crate) fn vtt_payloads(sample: &[u8]) -> impl Iterator<Item = &[u8]> {
    children(sample).filter(|cue| cue.fourcc == *b"vttc").filter_map(|cue| find(cue.body, b"payl"))
}
