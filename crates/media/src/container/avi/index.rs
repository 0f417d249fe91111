//! Where the frames are: by an OpenDML index or `idx1` that agrees with the chunks, else by a scan of chunk headers.

use super::super::byte_source::{ByteSource, PeekReader};
use super::chunk_ref::{ChunkRef, index_agrees};
use super::hdrl::StreamHeader;
use super::riff::{AviLayout, chunk_at, is_video_chunk};
use super::{idx1, opendml};
use crate::error::MediaError;
use crate::options::limits::{Limits, check_limit};

/// The chunks of the video stream by an index that agrees with them; `None` when there is none.
pub(super) fn read(
    source: &ByteSource,
    layout: &AviLayout,
    stream: &StreamHeader,
    limits: &Limits,
    warnings: &mut Vec<String>,
) -> Result<Option<Vec<ChunkRef>>, MediaError> {
    let mut budget = limits.header_bytes;
    if let Some(chunks) = opendml::read(source, stream, limits, &mut budget)?
        && index_agrees(source, &chunks, stream.number, warnings)?
    {
        return Ok(Some(chunks));
    }
    // `idx1` covers the first list only.
    if layout.movi.len() != 1 {
        return Ok(None);
    }
    idx1::read(source, layout, stream, limits, &mut budget, warnings)
}

/// Scans the headers of all chunks, also inside `rec ` lists.
pub(super) fn scan(
    source: &ByteSource,
    layout: &AviLayout,
    stream: &StreamHeader,
    limits: &Limits,
) -> Result<Vec<ChunkRef>, MediaError> {
    let mut reader = PeekReader::new(source, 64);
    let mut out = Vec::new();
    let mut steps = 0u64;
    for &(from, to) in &layout.movi {
        let mut at = from;
        while let Some(chunk) = chunk_at(&mut reader, at)?.filter(|c| c.body <= to) {
            steps += 1;
            check_limit("chunks of the file", steps, limits.samples.saturating_mul(8))?;
            if chunk.fourcc == *b"LIST" {
                at = chunk.body + 4;
                continue;
            }
            if !chunk.fourcc.iter().all(|b| (0x20..0x7f).contains(b)) {
                // Lost: look for the next chunk on an even byte.
                at += 2;
                continue;
            }
            if is_video_chunk(chunk.fourcc, stream.number) {
                check_limit("frames of the track", out.len() as u64 + 1, limits.samples)?;
                out.push(ChunkRef { offset: chunk.body, size: chunk.size, keyframe: None });
            }
            at = chunk.next;
        }
    }
    Ok(out)
}
