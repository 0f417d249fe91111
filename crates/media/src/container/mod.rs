//! Container readers: from the bytes of a file to a list of coded frames with exact times.
//!
//! No codec runs here. `bitstream/` reads the headers of coded frames and corrects what a container states wrongly.
//! For a truncated file, a reader gives the frames that are present and a warning.

pub mod byte_source;
pub mod choice;
pub mod movie;
pub mod track;

pub(crate) use mp4::items;

/// Text tracks, as containers describe them.
pub(crate) mod text {
    pub(crate) use super::mp4::text::vtt_payloads;
    pub(crate) use super::sample::text::{TextCodec, TextTrack};
}

mod avi;
mod bitstream;

mod join;
mod mkv;
mod mp4;
pub(crate) mod nal;
mod sample;
mod streams;
mod ts;

use crate::error::{MediaError, malformed};
use crate::options::limits::{Limits, check_limit};
use byte_source::ByteSource;
use choice::TrackChoice;
use movie::Movie;
use streams::{flv, ivf, y4m};
use track::Container;

/// The container format by the first bytes of the file; `None` when no reader takes it.
pub fn sniff(source: &ByteSource) -> Option<Container> {
    let mut head = [0; 2048];
    let n = source.read_some(0, &mut head).ok()?;
    let head = &head[..n];
    if head.starts_with(&[0x1a, 0x45, 0xdf, 0xa3]) {
        return Some(Container::Matroska);
    }
    if head.len() >= 12 && (&head[..4] == b"RIFF" || &head[..4] == b"ON2 ") && head[8..11] == *b"AVI" {
        return Some(Container::Avi);
    }
    if mp4::sniff(head, source.len()) {
        return Some(Container::Mp4);
    }
    if ivf::sniff(head) {
        return Some(Container::Ivf);
    }
    if flv::sniff(head) {
        return Some(Container::Flv);
    }
    if y4m::sniff(head) {
        return Some(Container::Y4m);
    }
    ts::sniff(head).then_some(Container::Ts)
}

/// The items of a still picture in the box format (HEIC, AVIF); `None` for any other file.
///
/// # Errors
/// `Malformed` lists, `Limit` before a list larger than `limits` is expanded.
pub(crate) fn picture_items(source: &ByteSource, limits: &Limits) -> Result<Option<items::Items>, MediaError> {
    if mp4::is_picture(source, limits) { items::read(source, limits).map(Some) } else { Ok(None) }
}

/// Reads the index of `source`, of the video track that is chosen without knowing decoders.
///
/// # Errors
/// What [`read_track`] says.
pub fn read(source: &ByteSource, container: Container, limits: &Limits) -> Result<Movie, MediaError> {
    read_track(source, container, limits, &TrackChoice::default())
}

/// Reads the index of `source`, of the video track that `choice` prefers.
///
/// # Errors
/// `Malformed` when no frame can be listed, `Unsupported` for encrypted or compressed files, `Limit` before a table
/// larger than `limits` is expanded, `Caller` for a forced track that is not there.
pub fn read_track(
    source: &ByteSource,
    container: Container,
    limits: &Limits,
    choice: &TrackChoice<'_>,
) -> Result<Movie, MediaError> {
    if source.is_empty() {
        return Err(malformed("file", "it is empty (0 bytes)"));
    }
    check_limit("bytes of the file", source.len(), limits.file_bytes)?;
    let mut parsed = match container {
        Container::Mp4 => mp4::read(source, limits, choice)?,
        Container::Matroska => mkv::read(source, limits, choice)?,
        Container::Avi => avi::read(source, limits, choice)?,
        Container::Ts => ts::read(source, limits, choice)?,
        Container::Flv => flv::read(source, limits, choice)?,
        Container::Ivf => ivf::read(source, limits, choice)?,
        Container::Y4m => y4m::read(source, limits, choice)?,
    };
    bitstream::correct(source, &parsed.layout, &mut parsed.track, &mut parsed.warnings)?;
    Movie::new(container, parsed, limits)
}
