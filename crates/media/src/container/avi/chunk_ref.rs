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

/// Whether nine entries, first and last among them, point at chunks of stream `number` with the listed size.
pub(super) fn index_agrees(source: &ByteSource, chunks: &[ChunkRef], number: usize) -> Result<bool, MediaError> {
    if chunks.is_empty() {
        return Ok(false);
    }
    let mut reader = PeekReader::new(source, 8);
    for k in 0..=8 {
        let chunk = chunks[(chunks.len() - 1) * k / 8];
        let Some(at) = chunk.offset.checked_sub(8) else { return Ok(false) };
        match chunk_at(&mut reader, at)? {
            Some(c) if is_video_chunk(c.fourcc, number) && c.size == chunk.size => {}
            _ => return Ok(false),
        }
    }
    Ok(true)
}
