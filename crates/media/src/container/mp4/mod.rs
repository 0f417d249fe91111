//! ISO base media files: MP4 and QuickTime, whole or in fragments.

mod boxes;
mod edits;
mod fragment;
mod header;
mod stsd;
mod table;

use super::bytes::{bad, code_text};
use super::source::{Source, Window};
use super::{Found, Layout, limit};
use crate::track::{Sample, VideoTrack};
use crate::{Limits, MediaError};
use boxes::{children, find, find_path};
use fragment::Fragments;
use table::Raw;

/// Brands of still pictures that share the box format; they are the image door's.
const PICTURES: [&[u8; 4]; 6] = [b"avif", b"avis", b"heic", b"heix", b"mif1", b"msf1"];

/// Whether the first bytes look like a box file with video.
pub(super) fn sniff(head: &[u8], len: u64) -> bool {
    let Some((size, kind)) = head.first_chunk::<8>().map(|h| (u32::from_be_bytes([h[0], h[1], h[2], h[3]]), &h[4..8]))
    else {
        return false;
    };
    let plausible = size == 1 || size == 0 || (size >= 8 && u64::from(size) <= len);
    match kind {
        b"ftyp" | b"styp" => !head.get(8..12).is_some_and(|b| PICTURES.iter().any(|p| *p == b)),
        b"moov" | b"moof" | b"sidx" => true,
        b"mdat" | b"free" | b"skip" | b"wide" | b"pnot" | b"uuid" => plausible || kind == b"mdat",
        _ => false,
    }
}

/// A top-level box: where it starts, where its contents lie.
struct Top {
    start: u64,
    kind: [u8; 4],
    body: u64,
    end: u64,
    /// End as the header says, before it was cut at the end of the file.
    said: u64,
}

/// Reads a box file.
pub(super) fn read(source: &Source, limits: &Limits) -> Result<Found, MediaError> {
    let mut warnings = Vec::new();
    let tops = top_level(source, limits, &mut warnings)?;
    let mut budget = limits.header_bytes;
    let Some(at) = tops.iter().find(|t| t.kind == *b"moov") else {
        return Err(no_index(&tops, source.len()));
    };
    let moov = load(source, at, &mut budget)?;
    if find(&moov, b"cmov").is_some() {
        return Err(MediaError::Unsupported {
            what: "a compressed movie header (cmov)".into(),
            remedy: "rewrite the file with `ffmpeg -i in.mov -c copy out.mp4`".into(),
        });
    }
    let choice = choose(&moov).map_err(|e| in_index(at, e))?;
    let (movie_scale, movie_matrix) = header::movie_header(&moov);
    let media_scale = match (header::media_scale(choice.trak), movie_scale.unwrap_or(1)) {
        (0, movie) => {
            warnings.push(format!("the track's clock is 0 ticks a second, the movie's {movie} is used"));
            movie
        }
        (n, _) => n,
    };
    let mut edits = header::edits(choice.trak)?;
    if movie_scale.is_none() && !edits.is_empty() {
        warnings.push("no movie header, so the edit list has no clock and is not used".into());
        edits.clear();
    }
    let stbl = find_path(choice.trak, &[b"mdia", b"minf", b"stbl"]).unwrap_or(&[]);
    let stsd = find(stbl, b"stsd").ok_or_else(|| bad("stbl box", "no stsd"));
    let entry = stsd.and_then(stsd::read).map_err(|e| in_index(at, e))?;
    if entry.entries > 1 {
        warnings.push(format!("{} sample descriptions, the first is used for all frames", entry.entries));
    }
    let mut raws = table::read(stbl, limits, &mut warnings).map_err(|e| in_index(at, e))?;
    let defaults = fragment::defaults(&moov, choice.header.id);
    let has_moof = tops.iter().any(|t| t.kind == *b"moof");
    let fragmented = defaults.is_some() || has_moof;
    if has_moof {
        let mut fragments = Fragments::new(choice.header.id, defaults.unwrap_or_default(), raws, limits);
        for top in tops.iter().filter(|t| t.kind == *b"moof") {
            let moof = load(source, top, &mut budget)?;
            fragments.add(&moof, top.start)?;
        }
        raws = fragments.samples;
    }
    keep_present(&mut raws, source.len(), limits, &mut warnings)?;
    let clocks = edits::Clocks { movie: movie_scale.unwrap_or(1), media: media_scale, fragmented };
    let (samples, end) = edits::apply(&raws, &edits, &clocks, limits)?;
    let rotation = header::rotation(choice.header.matrix, movie_matrix).unwrap_or_else(|| {
        warnings.push("the display matrix is no quarter turn, pictures are shown as stored".into());
        0
    });
    let track = assemble(entry, &choice.header, rotation, media_scale, samples, end);
    Ok(Found { track, warnings, audio_tracks: choice.audio, sub_tracks: choice.subs, layout: Layout::Ranges })
}

fn assemble(
    entry: stsd::Entry,
    header: &header::TrackHeader,
    rotation: u16,
    timescale: u32,
    samples: Vec<Sample>,
    end: i64,
) -> VideoTrack {
    let start = samples.iter().filter(|s| s.shown).map(|s| s.pts).min();
    let sar = entry.sar.unwrap_or_else(|| shape(header.size, (entry.width, entry.height)));
    VideoTrack {
        codec: entry.codec,
        extradata: entry.extradata,
        length_prefixed: entry.length_prefixed,
        width: entry.width,
        height: entry.height,
        rotation,
        sar,
        colour: entry.colour,
        timescale,
        duration: start.map(|s| end.saturating_sub(s)),
        samples,
    }
}

/// Pixel shape from the track header's display size (16.16), when it differs from the coded one.
fn shape(display: (u32, u32), coded: (u32, u32)) -> (u32, u32) {
    let (w, h) = (u64::from(display.0 >> 16), u64::from(display.1 >> 16));
    let (cw, ch) = (u64::from(coded.0), u64::from(coded.1));
    if w == 0 || h == 0 || cw == 0 || ch == 0 || (w, h) == (cw, ch) {
        return (1, 1);
    }
    super::ratio(w * ch, h * cw)
}

/// Walks the top-level boxes by their headers.
fn top_level(source: &Source, limits: &Limits, warnings: &mut Vec<String>) -> Result<Vec<Top>, MediaError> {
    let mut window = Window::new(source, 64);
    let mut tops: Vec<Top> = Vec::new();
    let mut at = 0u64;
    let len = source.len();
    while len.saturating_sub(at) >= 8 {
        let head = window.peek(at, 16)?;
        let short = u32::from_be_bytes([head[0], head[1], head[2], head[3]]);
        let kind = [head[4], head[5], head[6], head[7]];
        let (said, header) = match (short, head.get(8..16)) {
            (0, _) => (len - at, 8),
            (1, Some(&[a, b, c, d, e, f, g, h])) => (u64::from_be_bytes([a, b, c, d, e, f, g, h]), 16),
            (n, _) => (u64::from(n), 8),
        };
        if said < header {
            if !tops.iter().any(|t| t.kind == *b"moov") {
                let text = format!("`{}` at byte {at} says it has {said} bytes", code_text(kind));
                return Err(bad("box", text));
            }
            warnings.push(format!("{} bytes at the end are no box", len - at));
            break;
        }
        let said = at.saturating_add(said);
        let end = said.min(len);
        limit("boxes at the top of the file", tops.len() as u64 + 1, limits.samples)?;
        tops.push(Top { start: at, kind, body: at + header, end, said });
        at = end;
    }
    if let Some(last) = tops.last().filter(|t| t.said > len) {
        let text =
            format!("the file is cut: `{}` wants {} bytes more than there are", code_text(last.kind), last.said - len);
        warnings.push(text);
    }
    Ok(tops)
}

/// Why there is no `moov`: cut, or never there.
fn no_index(tops: &[Top], len: u64) -> MediaError {
    match tops.last() {
        Some(last) if last.said > len => {
            let text = format!(
                "the index (moov) is missing because the file is cut: it ends at byte {len} inside `{}`, \
                 which needs {} bytes more, and the index comes after it",
                code_text(last.kind),
                last.said - len
            );
            bad("mp4 file", text)
        }
        _ => bad("mp4 file", format!("no index (moov) among its {} boxes", tops.len())),
    }
}

/// Says of a malformed index that the file is cut inside it, where it is.
fn in_index(moov: &Top, error: MediaError) -> MediaError {
    match error {
        MediaError::Malformed { part, what } if moov.said > moov.end => {
            bad(part, format!("{what}; the file is cut inside the index (moov)"))
        }
        other => other,
    }
}

/// Reads the contents of a top-level box, within the header budget.
fn load(source: &Source, top: &Top, budget: &mut u64) -> Result<Vec<u8>, MediaError> {
    let size = top.end.saturating_sub(top.body);
    limit("bytes of headers", size, *budget)?;
    *budget -= size;
    source.read_vec(top.body, size as usize)
}

/// The chosen video track and counts of the others.
struct Choice<'a> {
    trak: &'a [u8],
    header: header::TrackHeader,
    audio: usize,
    subs: usize,
}

/// The first enabled video track that is no chapter picture; any other video track when there is none.
fn choose(moov: &[u8]) -> Result<Choice<'_>, MediaError> {
    let chapters = header::chapter_tracks(moov);
    let (mut audio, mut subs) = (0, 0);
    let mut best: Option<(u8, &[u8], header::TrackHeader)> = None;
    for trak in children(moov).filter(|c| c.kind == *b"trak") {
        match &header::handler(trak.body) {
            b"soun" => audio += 1,
            b"text" | b"sbtl" | b"subt" | b"clcp" | b"subp" => subs += 1,
            b"vide" => {
                let Ok(head) = header::track_header(trak.body) else { continue };
                let rank = u8::from(head.enabled) + 2 * u8::from(!chapters.contains(&head.id));
                if best.as_ref().is_none_or(|(have, ..)| *have < rank) {
                    best = Some((rank, trak.body, head));
                }
            }
            _ => {}
        }
        if trak.cut {
            break;
        }
    }
    match best {
        Some((_, trak, header)) => Ok(Choice { trak, header, audio, subs }),
        None => Err(bad("moov box", format!("no video track ({audio} audio, {subs} text)"))),
    }
}

/// Drops samples that reach past the end of the file and empty ones (the frame before stays), and checks the size of
/// the others.
fn keep_present(raws: &mut Vec<Raw>, len: u64, limits: &Limits, warnings: &mut Vec<String>) -> Result<(), MediaError> {
    raws.retain(|r| r.size > 0);
    let all = raws.len();
    raws.retain(|r| r.offset.saturating_add(u64::from(r.size)) <= len);
    if raws.is_empty() && all > 0 {
        return Err(bad("mp4 file", format!("none of its {all} frames lies inside the file, it is cut at byte {len}")));
    }
    if raws.is_empty() {
        return Err(bad("video track", "it holds no frame"));
    }
    if raws.len() < all {
        warnings.push(format!("the file is cut: {} of {all} frames are there", raws.len()));
    }
    let largest = raws.iter().map(|r| u64::from(r.size)).max().unwrap_or(0);
    limit("bytes of a coded frame", largest, limits.sample_bytes)
}
