//! Matroska and WebM (RFC 9559). All block headers are scanned: that is cheap, gives every presentation time, and needs
//! no cues.

mod assemble;
mod cluster;
mod content_encoding;
mod decode_times;
mod ebml;
mod ids;
mod info;
mod lacing;
mod segment;
mod text;
mod tracks;
mod video;
mod walk;

use super::byte_source::ByteSource;
use super::choice::TrackChoice;
use super::join;
use super::movie::ParsedFile;
use crate::error::MediaError;
use crate::options::limits::Limits;
use segment::SegmentReader;
use walk::read_segment;

/// Reads the index of a Matroska file. Several files joined one after the other are read as one.
pub(super) fn read(source: &ByteSource, limits: &Limits, choice: &TrackChoice<'_>) -> Result<ParsedFile, MediaError> {
    let mut reader = SegmentReader::new(source, limits);
    let (contents, mut next) = read_segment(source, &mut reader, 0, limits)?;
    let mut file = assemble::file(source, contents, limits, choice)?;
    for _ in 1..join::MAX_PARTS {
        let Some(start) = next else { break };
        let joined = read_segment(source, &mut reader, start, limits).and_then(|(contents, after)| {
            next = after;
            assemble::file(source, contents, limits, choice)
        });
        let joined = joined.map_err(|e| e.to_string()).and_then(|part| join::append(&mut file, part, limits));
        if let Err(why) = joined {
            file.warnings.push(join::not_read(source.len() - start, &why));
            break;
        }
    }
    Ok(file)
}
