//! ISO base media files: MP4 and QuickTime, whole or in fragments. One file per box or group of boxes.

pub(crate) mod items;

mod boxes;
mod descriptions;
mod moof;
mod mvhd;
mod parts;
mod rotation_matrix;
mod stbl;
mod summary;
pub(super) mod text;
mod top_level;
mod trak;
mod unedited_sample;

use super::bitstream;
use super::byte_source::ByteSource;
use super::choice::{TrackChoice, choose};
use super::join;
use super::movie::ParsedFile;
use super::nal::framing;
use super::sample::text::TextTrack;
use super::track::ratio::reduced_ratio;
use super::track::{Orientation, Sample, TrackSummary, VideoTrack};
use crate::error::{MediaError, malformed};
use crate::options::limits::{Limits, check_limit};
use boxes::{find, find_path};
use moof::Fragments;
use parts::Part;
use stbl::stsd::{self, VideoSampleEntry};
use top_level::TopLevelBox;
use trak::edit_list::{self, Clocks};
use trak::list::{self, TextTrak, VideoTrak};
use trak::tkhd::TrackHeader;
use trak::{elst, mdhd};
use unedited_sample::UneditedSample;

/// Whether the first bytes of a file of `len` bytes look like a box file with video.
pub(super) fn sniff(head: &[u8], len: u64) -> bool {
    top_level::sniff(head, len)
}

/// Whether the file is a still picture (HEIC, AVIF).
pub(super) fn is_picture(source: &ByteSource, limits: &Limits) -> bool {
    top_level::is_picture(source, limits)
}

/// Reads the index of a box file. Several files joined one after the other are read as one.
pub(super) fn read(source: &ByteSource, limits: &Limits, choice: &TrackChoice<'_>) -> Result<ParsedFile, MediaError> {
    let mut warnings = Vec::new();
    let boxes = top_level::list(source, limits, &mut warnings)?;
    let mut budget = limits.header_bytes;
    let (first, others) = parts::split(&boxes);
    let mut file = read_part(source, &first, &mut budget, limits, choice)?;
    file.warnings.splice(0..0, warnings);
    for part in others.into_iter().take(join::MAX_PARTS) {
        let joined = read_part(source, &part, &mut budget, limits, choice);
        let joined = joined.map_err(|e| e.to_string()).and_then(|next| join::append(&mut file, next, limits));
        if let Err(why) = joined {
            file.warnings.push(join::not_read(source.len() - part.start, &why));
            break;
        }
    }
    Ok(file)
}

/// Reads the boxes that belong to one `moov`.
fn read_part(
    source: &ByteSource,
    part: &Part<'_>,
    budget: &mut u64,
    limits: &Limits,
    choice: &TrackChoice<'_>,
) -> Result<ParsedFile, MediaError> {
    let mut warnings = Vec::new();
    let Some(at) = part.boxes.iter().find(|b| b.fourcc == *b"moov") else {
        return Err(top_level::missing_moov(part.boxes, source.len()));
    };
    let moov = top_level::load(source, at, budget)?;
    if find(&moov, b"cmov").is_some() {
        return Err(MediaError::Unsupported {
            what: "a compressed movie header (cmov)".into(),
            remedy: "rewrite the file with `ffmpeg -i in.mov -c copy out.mp4`".into(),
        });
    }
    let explain = |error| top_level::explain_truncation(at, error);
    let list = list::read(&moov).map_err(explain)?;
    let moofs = load_fragments(source, part.boxes, budget)?;
    let movie_header = mvhd::read(&moov);
    let tracks: Vec<TrackSummary> =
        list.videos.iter().map(|video| summary::of_track(video, movie_header.timescale, &moofs)).collect();
    let chosen = choose(&tracks, choice)?;
    let video = &list.videos[chosen];
    let media_timescale = media_timescale(video, movie_header.timescale, &mut warnings);
    let mut edits = elst::read(video.trak)?;
    if movie_header.timescale.is_none() && !edits.is_empty() {
        warnings.push("no movie header, so the edit list has no clock and is not used".into());
        edits.clear();
    }
    let stbl = find_path(video.trak, &[b"mdia", b"minf", b"stbl"]).unwrap_or(&[]);
    let stsd = find(stbl, b"stsd").ok_or_else(|| malformed("stbl box", "no stsd"));
    let mut entries = stsd.and_then(stsd::read).map_err(explain)?;
    if list.without_alpha {
        warnings.push("its alpha channel is not read, transparent parts are shown as stored".into());
    }
    let mut samples = stbl::read(stbl, limits, &mut warnings).map_err(explain)?;
    samples.iter_mut().for_each(|s| s.offset = s.offset.saturating_add(part.start));
    let defaults = moof::defaults(&moov, video.header.id);
    let fragmented = defaults.is_some() || !moofs.is_empty();
    let mut fragments = Fragments::new(video.header.id, defaults.unwrap_or_default(), samples, limits);
    let starts = part.boxes.iter().filter(|b| b.fourcc == *b"moof").map(|b| b.start);
    for (moof, start) in moofs.iter().zip(starts) {
        fragments.add(moof, start)?;
    }
    let mut unedited = fragments.samples;
    keep_present(&mut unedited, source.len(), limits, &mut warnings)?;
    let layout = descriptions::apply(&entries, &mut unedited, &mut warnings);
    let entry = entries.swap_remove(0);
    if !edits.is_empty() {
        correct_keyframes(source, &entry, &mut unedited, &mut warnings)?;
    }
    let clocks = Clocks { movie: movie_header.timescale.unwrap_or(1), media: media_timescale, fragmented };
    let (samples, end) = edit_list::apply(&unedited, &edits, &clocks, limits)?;
    let orientation = rotation_matrix::orientation(video.header.matrix, movie_header.matrix);
    if orientation.is_none() {
        warnings.push("the display matrix is no quarter turn, pictures are shown as stored".into());
    }
    warnings.extend(entry.crop_warning.clone());
    let orientation = orientation.unwrap_or_default();
    let track = assemble(entry, &video.header, orientation, media_timescale, samples, end);
    let texts = texts(&moov, &moofs, part, source.len(), &list.texts, &mut warnings);
    let (audio_tracks, sub_tracks) = (list.audio, list.subtitles);
    let mut file = ParsedFile { track, tracks, chosen, warnings, audio_tracks, sub_tracks, texts, layout };
    framing::correct(source, &mut file);
    Ok(file)
}

/// The text tracks of one part of a file of `len` bytes.
fn texts(
    moov: &[u8],
    moofs: &[Vec<u8>],
    part: &Part<'_>,
    len: u64,
    texts: &[TextTrak<'_>],
    warnings: &mut Vec<String>,
) -> Vec<TextTrack> {
    let starts = part.boxes.iter().filter(|b| b.fourcc == *b"moof").map(|b| b.start).collect();
    let timescale = mvhd::read(moov).timescale.unwrap_or(1);
    text::read(&text::MovieParts { moov, moofs, starts, timescale, start: part.start, len }, texts, warnings)
}

/// Corrects the keyframes before an edit list is applied, which begins at keyframes.
fn correct_keyframes(
    source: &ByteSource,
    entry: &VideoSampleEntry,
    unedited: &mut [UneditedSample],
    warnings: &mut Vec<String>,
) -> Result<(), MediaError> {
    let sample = |s: &UneditedSample| {
        let (pts, dts) = (s.composition_time(), s.dts);
        Sample { offset: s.offset, size: s.size, pts, dts, keyframe: s.keyframe, shown: true }
    };
    let mut samples: Vec<Sample> = unedited.iter().map(sample).collect();
    let configuration = (&entry.extradata[..], entry.length_prefixed);
    bitstream::correct_keyframes(source, &entry.codec, configuration, &mut samples, warnings)?;
    unedited.iter_mut().zip(samples).for_each(|(unedited, sample)| unedited.keyframe = sample.keyframe);
    Ok(())
}

/// The media clock of the track, or the movie's when the track has none.
fn media_timescale(video: &VideoTrak<'_>, movie: Option<u32>, warnings: &mut Vec<String>) -> u32 {
    match (mdhd::clock(video.trak).0, movie.unwrap_or(1)) {
        (0, movie) => {
            warnings.push(format!("the track's clock is 0 ticks per second, the movie's {movie} is used"));
            movie
        }
        (n, _) => n,
    }
}

/// The contents of all movie fragments.
fn load_fragments(source: &ByteSource, boxes: &[TopLevelBox], budget: &mut u64) -> Result<Vec<Vec<u8>>, MediaError> {
    let moofs = boxes.iter().filter(|b| b.fourcc == *b"moof");
    moofs.map(|top| top_level::load(source, top, budget)).collect()
}

fn assemble(
    entry: VideoSampleEntry,
    header: &TrackHeader,
    orientation: Orientation,
    timescale: u32,
    samples: Vec<Sample>,
    end: i64,
) -> VideoTrack {
    let start = samples.iter().filter(|s| s.shown).map(|s| s.pts).min();
    let sar = entry.sar.or_else(|| display_aspect(header.size, (entry.width, entry.height)));
    VideoTrack {
        codec: entry.codec,
        extradata: entry.extradata,
        length_prefixed: entry.length_prefixed,
        width: entry.width,
        height: entry.height,
        crop: entry.crop,
        orientation,
        sar,
        color: entry.color,
        timescale,
        duration: start.map(|s| end.saturating_sub(s)),
        samples,
    }
}

/// Sample aspect ratio from the display size of the track header (16.16), where it differs from the coded size.
fn display_aspect(display: (u32, u32), coded: (u32, u32)) -> Option<(u32, u32)> {
    let (w, h) = (u64::from(display.0 >> 16), u64::from(display.1 >> 16));
    let (coded_w, coded_h) = (u64::from(coded.0), u64::from(coded.1));
    if w == 0 || h == 0 || coded_w == 0 || coded_h == 0 || (w, h) == (coded_w, coded_h) {
        return None;
    }
    Some(reduced_ratio(w * coded_h, h * coded_w))
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
