//! `idx1`, the index of AVI 1.0.

use super::super::byte_source::ByteSource;
use super::super::byte_source::cursor::Cursor;
use super::chunk_ref::{ChunkRef, index_agrees};
use super::hdrl::StreamHeader;
use super::riff::{AviLayout, is_video_chunk};
use crate::error::MediaError;
use crate::options::limits::{Limits, check_limit};

/// Reads the chunks that `idx1` lists; `None` when there is none or it disagrees with the chunks.
///
/// Offsets count from the `movi` list or from the start of the file. The chunks decide which.
pub(super) fn read(
    source: &ByteSource,
    layout: &AviLayout,
    stream: &StreamHeader,
    limits: &Limits,
    budget: &mut u64,
    warnings: &mut Vec<String>,
) -> Result<Option<Vec<ChunkRef>>, MediaError> {
    let (Some((from, to)), Some(&(movi, _))) = (layout.idx1, layout.movi.first()) else { return Ok(None) };
    check_limit("bytes of headers", to - from, *budget)?;
    check_limit("entries of the index", (to - from) / 16, limits.samples.saturating_mul(4))?;
    let table = source.read_vec(from, (to - from) as usize)?;
    let mut out = Vec::new();
    for entry in table.chunks_exact(16) {
        let mut c = Cursor::new(entry, "idx1 chunk");
        let (fourcc, flags, offset, size) = (c.fourcc()?, c.u32_le()?, c.u32_le()?, c.u32_le()?);
        if is_video_chunk(fourcc, stream.number) {
            out.push(ChunkRef { offset: u64::from(offset) + 8, size, keyframe: Some(flags & 0x10 != 0) });
        }
    }
    check_limit("frames of the track", out.len() as u64, limits.samples)?;
    // From the word `movi` (the rule), or from the start of the file.
    let start = movi - 4;
    out.iter_mut().for_each(|c| c.offset += start);
    if index_agrees(source, &out, stream.number, warnings)? {
        return Ok(Some(out));
    }
    out.iter_mut().for_each(|c| c.offset -= start);
    Ok(if index_agrees(source, &out, stream.number, warnings)? { Some(out) } else { None })
}
