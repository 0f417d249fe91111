//! Container readers: from the bytes of a file to a list of coded frames with exact times.
//!
//! No codec runs here. Payloads are touched only where a format forces it (transport streams, AVI without an index).
//! For a truncated file, a reader gives the frames that are present and a warning.

pub mod byte_source;
pub mod movie;
pub mod track;

mod avi;
mod cursor;
mod fourcc;
mod mkv;
mod mp4;
mod nal;
mod ratio;
mod sample_layout;
mod ts;

use crate::error::{MediaError, malformed};
use crate::limits::{Limits, check_limit};
use byte_source::ByteSource;
use movie::Movie;
use track::Container;

/// The container format by the first bytes of the file; `None` when none of the four readers takes it.
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
    ts::sniff(head).then_some(Container::Ts)
}

/// Reads the index of `source`.
///
/// # Errors
/// `Malformed` when no frame can be listed, `Unsupported` for encrypted or compressed files, `Limit` before a table
/// larger than `limits` is expanded.
pub fn read(source: &ByteSource, container: Container, limits: &Limits) -> Result<Movie, MediaError> {
    if source.is_empty() {
        return Err(malformed("file", "it is empty (0 bytes)"));
    }
    check_limit("bytes of the file", source.len(), limits.file_bytes)?;
    let parsed = match container {
        Container::Mp4 => mp4::read(source, limits)?,
        Container::Matroska => mkv::read(source, limits)?,
        Container::Avi => avi::read(source, limits)?,
        Container::Ts => ts::read(source, limits)?,
    };
    Movie::new(container, parsed, limits)
}
