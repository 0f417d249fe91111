//! What is known of a video track before its samples are listed, for the choice among several.

use super::super::track::{Codec, TrackSummary};
use super::boxes::{find, find_path};
use super::moof;
use super::stbl::{self, stsd};
use super::trak::list::VideoTrak;
use super::trak::mdhd;

/// Describes `track`. `moofs` are the contents of all movie fragments; they are only counted when there is a choice.
pub(super) fn of_track(track: &VideoTrak<'_>, movie_timescale: Option<u32>, moofs: &[Vec<u8>]) -> TrackSummary {
    let stbl = find_path(track.trak, &[b"mdia", b"minf", b"stbl"]).unwrap_or(&[]);
    let entry = find(stbl, b"stsd").and_then(|body| stsd::read(body).ok()).map(|mut entries| entries.swap_remove(0));
    let (timescale, duration) = mdhd::clock(track.trak);
    let timescale = if timescale > 0 { timescale } else { movie_timescale.unwrap_or(1) };
    let fragments: u64 = moofs.iter().map(|moof| moof::count(moof, track.header.id)).sum();
    let (width, height) = entry.as_ref().map_or((0, 0), |e| (e.width, e.height));
    TrackSummary {
        width,
        height,
        frames: Some(stbl::count(stbl) + fragments).filter(|&n| n > 0),
        seconds: Some(duration as f64 / f64::from(timescale.max(1))).filter(|&s| s > 0.0),
        default: track.header.enabled,
        picture: track.chapters,
        readable: entry.is_some(),
        codec: entry.map_or(Codec::Other("not readable".into()), |e| e.codec),
    }
}
