//! Matroska and WebM. All block headers are scanned: that is cheap, gives every presentation time, and needs no cues.

mod ebml;
mod scan;
mod tracks;

use super::bytes::bad;
use super::source::{Source, Window};
use super::{Found, Layout, limit};
use crate::track::VideoTrack;
use crate::{Limits, MediaError};
use ebml::{Element, element, id};
use scan::Scan;
use tracks::{Info, Tracks};

/// Bytes read ahead while walking headers: enough for a block's header, little enough to step over payloads.
const AHEAD: usize = 256;

/// Reads a Matroska file.
pub(super) fn read(source: &Source, limits: &Limits) -> Result<Found, MediaError> {
    let mut walk = Walk { window: Window::new(source, AHEAD), source, limits, budget: limits.header_bytes };
    let mut warnings = Vec::new();
    let (from, end) = walk.segment()?;
    let mut info = Info { scale: 1_000_000, duration: None };
    let mut found: Option<Tracks> = None;
    let mut scan: Option<Scan<'_>> = None;
    let mut at = from;
    let mut count = 0u64;
    while at < end {
        count += 1;
        limit("elements of the segment", count, limits.samples)?;
        let Some(child) = element(&mut walk.window, at)? else {
            warnings.push(format!("no element at byte {at}, the rest is not read"));
            break;
        };
        match child.id {
            id::INFO => info = tracks::info(&walk.load(child)?)?,
            id::TRACKS if found.is_none() => found = Some(tracks::tracks(&walk.load(child)?, &mut warnings)?),
            id::CLUSTER => {
                let Some(tracks) = &found else {
                    return Err(bad("matroska file", "frames before the list of tracks"));
                };
                let scan = scan.get_or_insert_with(|| {
                    let video = &tracks.video;
                    let lace = video.frame_ns.map_or(0, |ns| (ns / info.scale.max(1)).min(1 << 40) as i64);
                    let window = Window::new(source, AHEAD);
                    Scan::new(window, limits, video.number, lace, video.stripped.len() as u64)
                });
                at = scan.cluster(child, end)?.max(at + 1);
                continue;
            }
            id::EBML | id::SEGMENT => break,
            _ => {}
        }
        let Some(size) = child.size else {
            warnings.push(format!("an element of unknown size at byte {at}, the rest is not read"));
            break;
        };
        at = child.body.saturating_add(size);
    }
    if at > source.len() {
        warnings.push(format!("the file is cut: {} bytes are missing", at - source.len()));
    }
    let Some(tracks) = found else {
        return Err(bad("matroska file", "it has no list of tracks"));
    };
    let Some(scan) = scan.filter(|s| !s.samples.is_empty()) else {
        return Err(bad("matroska file", "it holds no frame of the video track"));
    };
    warnings.extend(scan.warnings);
    assemble(tracks, info, scan.samples, warnings)
}

/// Puts the parts together on a clock of whole ticks a second.
fn assemble(
    tracks: Tracks,
    info: Info,
    mut samples: Vec<crate::track::Sample>,
    mut warnings: Vec<String>,
) -> Result<Found, MediaError> {
    let Tracks { video, audio, subs } = tracks;
    let scale = if info.scale == 0 {
        warnings.push("the clock's tick is 0 ns, 1 ms is used".into());
        1_000_000
    } else {
        info.scale
    };
    let (timescale, each) = match 1_000_000_000 % scale {
        0 => (1_000_000_000 / scale, 1),
        _ => (1_000_000_000, scale as i64),
    };
    for sample in &mut samples {
        let time = sample.pts.checked_mul(each).filter(|t| t.abs() < i64::MAX / 8);
        sample.pts = time.ok_or_else(|| bad("matroska block", format!("a time of {} x {each} ns", sample.pts)))?;
    }
    super::fill_dts(&mut samples);
    if !samples.iter().any(|s| s.key) {
        warnings.push("no frame says it is a keyframe, decoding starts at the first".into());
        samples[0].key = true;
    }
    let duration = info.duration.map(|d| d * each as f64).filter(|d| *d < (i64::MAX / 8) as f64);
    let track = VideoTrack {
        codec: video.codec,
        extradata: video.extradata,
        length_prefixed: video.length_prefixed,
        width: video.width,
        height: video.height,
        rotation: video.rotation,
        sar: video.sar,
        colour: video.colour,
        timescale: timescale as u32,
        duration: duration.map(|d| d.round() as i64),
        samples,
    };
    let layout = if video.stripped.is_empty() { Layout::Ranges } else { Layout::Prefixed(video.stripped) };
    Ok(Found { track, warnings, audio_tracks: audio, sub_tracks: subs, layout })
}

struct Walk<'a> {
    window: Window<'a>,
    source: &'a Source,
    limits: &'a Limits,
    budget: u64,
}

impl Walk<'_> {
    /// Finds the segment: its contents' first byte and end.
    fn segment(&mut self) -> Result<(u64, u64), MediaError> {
        let mut at = 0;
        for _ in 0..self.limits.depth.max(4) {
            let Some(child) = element(&mut self.window, at)? else { break };
            let len = self.source.len();
            let end = child.size.map_or(len, |s| child.body.saturating_add(s));
            match child.id {
                id::SEGMENT => return Ok((child.body, end.min(len))),
                _ if child.size.is_none() => break,
                _ => at = end,
            }
        }
        Err(bad("matroska file", "no segment after the header"))
    }

    /// The contents of an element, cut at the end of the file, within the header budget.
    fn load(&mut self, element: Element) -> Result<Vec<u8>, MediaError> {
        let left = self.source.len().saturating_sub(element.body);
        let Some(size) = element.size else {
            return Err(bad("matroska file", format!("a header of unknown size at byte {}", element.body)));
        };
        let size = size.min(left);
        limit("bytes of headers", size, self.budget)?;
        self.budget -= size;
        self.source.read_vec(element.body, size as usize)
    }
}
