//! Subtitles: SRT, WebVTT and ASS files beside a film, and the text tracks inside MP4 and Matroska.
//!
//! Words come without tags and styling, on one line. Parsers are ours: they go on after what is damaged and count it,
//! and none takes more memory than the file has bytes. Nobody here believes the words: they are text that strangers
//! wrote.

mod ass;
mod cues;
mod encoding;
mod file;
mod markup;
mod srt;
mod timestamp;
mod track;
mod vtt;

#[cfg(test)]
mod tests;

pub use cues::{Subtitle, Subtitles};
pub use file::{beside, parse, read_file};
pub use track::SubtitleTrack;

pub(crate) use track::{describe, read_track};

use std::path::PathBuf;

/// Which subtitles of a film are wanted.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum SubtitleChoice {
    /// The file beside the film (`film.srt`, `film.en.srt`), else the text track that the film marks as default.
    #[default]
    Auto,
    /// None.
    None,
    /// This file.
    File(PathBuf),
    /// The text track with this number, from 0.
    Track(usize),
}
