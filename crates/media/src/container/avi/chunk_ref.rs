//! References to the video chunks of an AVI file, and the check of an index against the chunks it points at.

use super::super::byte_source::{ByteSource, PeekReader};
use super::riff::{chunk_at, is_video_chunk};
use crate::error::MediaError;

/// One chunk of the video stream, as an index or a scan lists it.
#[derive(Clone, Copy, Debug)]
pub(super) struct ChunkRef {
    /// Offset of the contents in the file.
    pub(super) offset: u64,
    /// Bytes.
    pub(super) size: u32,
    /// Whether the index calls it a keyframe; `None` when found by scanning.
    pub(super) keyframe: Option<bool>,
}

/// Entries of an index that are compared with the chunks, first and last among them.
const COMPARED: usize = 9;
/// Compared entries that may disagree: damage hits the chunks, an index that is wrong is so everywhere.
const DISAGREEING: usize = 2;

/// Whether compared entries point at chunks of stream `number` with the listed size. Notes where a few do not.
pub(super) fn index_agrees(
    source: &ByteSource,
    chunks: &[ChunkRef],
    number: usize,
    warnings: &mut Vec<String>,
) -> Result<bool, MediaError> {
    if chunks.is_empty() {
        return Ok(false);
    }
    let mut reader = PeekReader::new(source, 8);
    let mut wrong = 0;
    for k in 0..COMPARED {
        let chunk = chunks[(chunks.len() - 1) * k / (COMPARED - 1)];
        let found = match chunk.offset.checked_sub(8) {
            Some(at) => chunk_at(&mut reader, at)?,
            None => None,
        };
        let agrees = found.is_some_and(|c| is_video_chunk(c.fourcc, number) && c.size == chunk.size);
        wrong += usize::from(!agrees);
        // The first chunk tells what offsets count from.
        if (k == 0 && !agrees) || wrong > DISAGREEING {
            return Ok(false);
        }
    }
    if wrong > 0 {
        warnings
            .push(format!("{wrong} of {COMPARED} compared chunks are not what the index says, the file is damaged"));
    }
    Ok(true)
}
