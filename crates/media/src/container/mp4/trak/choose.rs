//! The choice of the video track among the tracks of a movie.

use super::super::boxes::children;
use super::tkhd::TrackHeader;
use super::{hdlr, tkhd, tref};
use crate::error::{MediaError, malformed};

/// The chosen video track, and how many tracks of other kinds there are.
pub(in super::super) struct ChosenTrack<'a> {
    /// Contents of its `trak` box.
    pub(in super::super) trak: &'a [u8],
    pub(in super::super) header: TrackHeader,
    pub(in super::super) audio: usize,
    pub(in super::super) subtitles: usize,
}

/// Chooses the first enabled video track that is no chapter image, or any other video track when there is none.
pub(in super::super) fn video_track(moov: &[u8]) -> Result<ChosenTrack<'_>, MediaError> {
    let chapters = tref::chapter_tracks(moov);
    let (mut audio, mut subtitles) = (0, 0);
    let mut best: Option<(u8, &[u8], TrackHeader)> = None;
    for trak in children(moov).filter(|c| c.fourcc == *b"trak") {
        match &hdlr::handler_type(trak.body) {
            b"soun" => audio += 1,
            b"text" | b"sbtl" | b"subt" | b"clcp" | b"subp" => subtitles += 1,
            b"vide" => {
                let Ok(header) = tkhd::read(trak.body) else { continue };
                let rank = u8::from(header.enabled) + 2 * u8::from(!chapters.contains(&header.id));
                if best.as_ref().is_none_or(|(best_rank, ..)| *best_rank < rank) {
                    best = Some((rank, trak.body, header));
                }
            }
            _ => {}
        }
        if trak.truncated {
            break;
        }
    }
    match best {
        Some((_, trak, header)) => Ok(ChosenTrack { trak, header, audio, subtitles }),
        None => Err(malformed("moov box", format!("no video track ({audio} audio, {subtitles} text)"))),
    }
}
