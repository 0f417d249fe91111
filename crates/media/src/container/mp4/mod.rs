//! ISO base media files: MP4 and QuickTime, whole or in fragments. One file per box or group of boxes.

mod boxes;
mod moof;
mod mvhd;
mod rotation_matrix;
mod stbl;
mod top_level;
mod trak;
mod unedited_sample;

use super::byte_source::ByteSource;
use super::movie::ParsedFile;
use super::ratio::reduced_ratio;
use super::sample_layout::SampleLayout;
use super::track::{Sample, VideoTrack};
use crate::error::{MediaError, malformed};
use crate::limits::{Limits, check_limit};
use boxes::{find, find_path};
use moof::Fragments;
use stbl::stsd::{self, VideoSampleEntry};
use top_level::TopLevelBox;
use trak::choose::{self, ChosenTrack};
use trak::edit_list::{self, Clocks};
use trak::tkhd::TrackHeader;
use trak::{elst, mdhd};
use unedited_sample::UneditedSample;

/// Whether the first bytes of a file of `len` bytes look like a box file with video.
pub(super) fn sniff(head: &[u8], len: u64) -> bool {
    top_level::sniff(head, len)
}

/// Reads the index of a box file.
pub(super) fn read(source: &ByteSource, limits: &Limits) -> Result<ParsedFile, MediaError> {
    let mut warnings = Vec::new();
    let boxes = top_level::list(source, limits, &mut warnings)?;
    let mut budget = limits.header_bytes;
    let Some(at) = boxes.iter().find(|b| b.fourcc == *b"moov") else {
        return Err(top_level::missing_moov(&boxes, source.len()));
    };
    let moov = top_level::load(source, at, &mut budget)?;
    if find(&moov, b"cmov").is_some() {
        return Err(MediaError::Unsupported {
            what: "a compressed movie header (cmov)".into(),
            remedy: "rewrite the file with `ffmpeg -i in.mov -c copy out.mp4`".into(),
        });
    }
    let explain = |error| top_level::explain_truncation(at, error);
    let chosen = choose::video_track(&moov).map_err(explain)?;
    let movie_header = mvhd::read(&moov);
    let media_timescale = media_timescale(&chosen, movie_header.timescale, &mut warnings);
    let mut edits = elst::read(chosen.trak)?;
    if movie_header.timescale.is_none() && !edits.is_empty() {
        warnings.push("no movie header, so the edit list has no clock and is not used".into());
        edits.clear();
    }
    let stbl = find_path(chosen.trak, &[b"mdia", b"minf", b"stbl"]).unwrap_or(&[]);
    let stsd = find(stbl, b"stsd").ok_or_else(|| malformed("stbl box", "no stsd"));
    let entry = stsd.and_then(stsd::read).map_err(explain)?;
    if entry.entries > 1 {
        warnings.push(format!("{} sample descriptions, the first is used for all frames", entry.entries));
    }
    let samples = stbl::read(stbl, limits, &mut warnings).map_err(explain)?;
    let defaults = moof::defaults(&moov, chosen.header.id);
    let fragmented = defaults.is_some() || boxes.iter().any(|b| b.fourcc == *b"moof");
    let mut fragments = Fragments::new(chosen.header.id, defaults.unwrap_or_default(), samples, limits);
    add_fragments(source, &boxes, &mut budget, &mut fragments)?;
    let mut unedited = fragments.samples;
    keep_present(&mut unedited, source.len(), limits, &mut warnings)?;
    let clocks = Clocks { movie: movie_header.timescale.unwrap_or(1), media: media_timescale, fragmented };
    let (samples, end) = edit_list::apply(&unedited, &edits, &clocks, limits)?;
    let rotation = rotation_matrix::rotation(chosen.header.matrix, movie_header.matrix).unwrap_or_else(|| {
        warnings.push("the display matrix is no quarter turn, pictures are shown as stored".into());
        0
    });
    let track = assemble(entry, &chosen.header, rotation, media_timescale, samples, end);
    let (audio_tracks, sub_tracks) = (chosen.audio, chosen.subtitles);
    Ok(ParsedFile { track, warnings, audio_tracks, sub_tracks, layout: SampleLayout::Ranges })
}

/// The media clock of the track, or the movie's when the track has none.
fn media_timescale(chosen: &ChosenTrack<'_>, movie: Option<u32>, warnings: &mut Vec<String>) -> u32 {
    match (mdhd::timescale(chosen.trak), movie.unwrap_or(1)) {
        (0, movie) => {
            warnings.push(format!("the track's clock is 0 ticks per second, the movie's {movie} is used"));
            movie
        }
        (n, _) => n,
    }
}

fn add_fragments(
    source: &ByteSource,
    boxes: &[TopLevelBox],
    budget: &mut u64,
    fragments: &mut Fragments<'_>,
) -> Result<(), MediaError> {
    for top in boxes.iter().filter(|b| b.fourcc == *b"moof") {
        let moof = top_level::load(source, top, budget)?;
        fragments.add(&moof, top.start)?;
    }
    Ok(())
}

fn assemble(
    entry: VideoSampleEntry,
    header: &TrackHeader,
    rotation: u16,
    timescale: u32,
    samples: Vec<Sample>,
    end: i64,
) -> VideoTrack {
    let start = samples.iter().filter(|s| s.shown).map(|s| s.pts).min();
    let sar = entry.sar.unwrap_or_else(|| display_aspect(header.size, (entry.width, entry.height)));
    VideoTrack {
        codec: entry.codec,
        extradata: entry.extradata,
        length_prefixed: entry.length_prefixed,
        width: entry.width,
        height: entry.height,
        rotation,
        sar,
        color: entry.color,
        timescale,
        duration: start.map(|s| end.saturating_sub(s)),
        samples,
    }
}

/// Sample aspect ratio from the display size of the track header (16.16), where it differs from the coded size.
fn display_aspect(display: (u32, u32), coded: (u32, u32)) -> (u32, u32) {
    let (w, h) = (u64::from(display.0 >> 16), u64::from(display.1 >> 16));
    let (coded_w, coded_h) = (u64::from(coded.0), u64::from(coded.1));
    if w == 0 || h == 0 || coded_w == 0 || coded_h == 0 || (w, h) == (coded_w, coded_h) {
        return (1, 1);
    }
    reduced_ratio(w * coded_h, h * coded_w)
}

/// Drops empty samples (the frame before stays on screen) and samples that reach past the end of the file. Checks the
/// size of the others.
fn keep_present(
    samples: &mut Vec<UneditedSample>,
    len: u64,
    limits: &Limits,
    warnings: &mut Vec<String>,
) -> Result<(), MediaError> {
    samples.retain(|s| s.size > 0);
    let all = samples.len();
    samples.retain(|s| s.offset.saturating_add(u64::from(s.size)) <= len);
    if samples.is_empty() && all > 0 {
        let text = format!("none of its {all} frames lies inside the file, it is cut at byte {len}");
        return Err(malformed("mp4 file", text));
    }
    if samples.is_empty() {
        return Err(malformed("video track", "it holds no frame"));
    }
    if samples.len() < all {
        warnings.push(format!("the file is cut: {} of {all} frames are there", samples.len()));
    }
    let largest = samples.iter().map(|s| u64::from(s.size)).max().unwrap_or(0);
    check_limit("bytes of a coded frame", largest, limits.sample_bytes)
}
