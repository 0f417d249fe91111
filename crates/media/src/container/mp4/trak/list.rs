//! The tracks of a movie: its video tracks, and how many there are of other kinds.

use super::super::boxes::children;
use super::tkhd::TrackHeader;
use super::{hdlr, tkhd, tref};
use crate::error::{MediaError, malformed};

/// A video track as `moov` holds it.
pub(in super::super) struct VideoTrak<'a> {
    /// Contents of its `trak` box.
    pub(in super::super) trak: &'a [u8],
    pub(in super::super) header: TrackHeader,
    /// Whether it holds the pictures of chapters.
    pub(in super::super) chapters: bool,
}

/// A text track as `moov` holds it.
pub(in super::super) struct TextTrak<'a> {
    /// Contents of its `trak` box.
    pub(in super::super) trak: &'a [u8],
    pub(in super::super) id: u32,
    pub(in super::super) enabled: bool,
}

/// The tracks of a movie.
pub(in super::super) struct TrackList<'a> {
    /// Video tracks in the order of the file, at least one.
    pub(in super::super) videos: Vec<VideoTrak<'a>>,
    pub(in super::super) audio: usize,
    pub(in super::super) subtitles: usize,
    /// Subtitle tracks that have a header and name no chapters, in the order of the file.
    pub(in super::super) texts: Vec<TextTrak<'a>>,
    /// Whether they are an image sequence whose alpha channel is another track, which is not read.
    pub(in super::super) without_alpha: bool,
}

/// Text tracks listed at most; more are only counted.
const MAX_TEXTS: usize = 64;

/// Lists the tracks of `moov`. Image sequences (animated AVIF) count when there is no video.
///
/// # Errors
/// `Malformed` without a video track.
pub(in super::super) fn read(moov: &[u8]) -> Result<TrackList<'_>, MediaError> {
    let chapter_tracks = tref::chapter_tracks(moov);
    let mut list = TrackList { videos: Vec::new(), audio: 0, subtitles: 0, texts: Vec::new(), without_alpha: false };
    let (mut sequences, mut auxiliary) = (Vec::new(), false);
    for trak in children(moov).filter(|c| c.fourcc == *b"trak") {
        match &hdlr::handler_type(trak.body) {
            b"soun" => list.audio += 1,
            b"text" | b"sbtl" | b"subt" | b"clcp" | b"subp" => {
                list.subtitles += 1;
                if let Ok(header) = tkhd::read(trak.body)
                    && !chapter_tracks.contains(&header.id)
                    && list.texts.len() < MAX_TEXTS
                {
                    list.texts.push(TextTrak { trak: trak.body, id: header.id, enabled: header.enabled });
                }
            }
            b"auxv" => auxiliary = true,
            handler @ (b"vide" | b"pict") => {
                let Ok(header) = tkhd::read(trak.body) else { continue };
                let chapters = chapter_tracks.contains(&header.id);
                let own = if handler == b"vide" { &mut list.videos } else { &mut sequences };
                own.push(VideoTrak { trak: trak.body, header, chapters });
            }
            _ => {}
        }
        if trak.truncated {
            break;
        }
    }
    if list.videos.is_empty() && !sequences.is_empty() {
        list.videos = sequences;
        list.without_alpha = auxiliary;
    }
    if list.videos.is_empty() {
        let text = format!("no video track ({} audio, {} text)", list.audio, list.subtitles);
        return Err(malformed("moov box", text));
    }
    Ok(list)
}
