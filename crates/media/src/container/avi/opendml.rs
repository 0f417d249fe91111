//! The OpenDML indexes: the super index `indx` and the standard indexes `ix##`.

use super::super::byte_source::ByteSource;
use super::super::byte_source::cursor::Cursor;
use super::chunk_ref::ChunkRef;
use super::hdrl::{StreamHeader, chunks};
use crate::error::MediaError;
use crate::options::limits::{Limits, check_limit};

/// Reads the chunks that `indx` of the stream header lists; `None` when there is none or it makes no sense.
pub(super) fn read(
    source: &ByteSource,
    stream: &StreamHeader,
    limits: &Limits,
    budget: &mut u64,
) -> Result<Option<Vec<ChunkRef>>, MediaError> {
    let Some(indx) = &stream.indx else { return Ok(None) };
    let mut out = Vec::new();
    let mut c = Cursor::new(indx, "indx chunk");
    let (Ok(_), Ok(_), Ok(index_type), Ok(count)) = (c.u16_le(), c.u8(), c.u8(), c.u32_le()) else { return Ok(None) };
    match index_type {
        0 => {
            if c.skip(16).is_err() {
                return Ok(None);
            }
            for _ in 0..count {
                let (Ok(offset), Ok(size), Ok(_)) = (c.u64_le(), c.u32_le(), c.u32_le()) else { return Ok(None) };
                check_limit("bytes of headers", u64::from(size), *budget)?;
                *budget -= u64::from(size);
                let Some(data) = standard_index_at(source, offset, u64::from(size))? else { return Ok(None) };
                if read_standard(&data, limits, &mut out)?.is_none() {
                    return Ok(None);
                }
            }
            Ok(Some(out))
        }
        1 => Ok(read_standard(indx, limits, &mut out)?.map(|()| out)),
        _ => Ok(None),
    }
}

/// The contents of the `ix##` chunk at `offset`, of `size` bytes with its header; `None` when it is not there.
fn standard_index_at(source: &ByteSource, offset: u64, size: u64) -> Result<Option<Vec<u8>>, MediaError> {
    let inside = size >= 8 && offset.checked_add(size).is_some_and(|end| end <= source.len());
    if !inside {
        return Ok(None);
    }
    let data = source.read_vec(offset, size as usize)?;
    let is_index = |fourcc: &[u8; 4]| fourcc.starts_with(b"ix") || fourcc.ends_with(b"ix");
    Ok(chunks(&data).next().filter(|(fourcc, _)| is_index(fourcc)).map(|c| c.1.to_vec()))
}

/// Adds the entries of a standard index to `out`; `None` when it makes no sense.
fn read_standard(data: &[u8], limits: &Limits, out: &mut Vec<ChunkRef>) -> Result<Option<()>, MediaError> {
    let mut c = Cursor::new(data, "ix chunk");
    let (Ok(2), Ok(0), Ok(1), Ok(count)) = (c.u16_le(), c.u8(), c.u8(), c.u32_le()) else { return Ok(None) };
    let (Ok(_), Ok(base), Ok(_)) = (c.fourcc(), c.u64_le(), c.u32_le()) else { return Ok(None) };
    let count = u64::from(count).min(c.left() as u64 / 8);
    check_limit("frames of the track", out.len() as u64 + count, limits.samples)?;
    for _ in 0..count {
        let (offset, size) = (c.u32_le()?, c.u32_le()?);
        let keyframe = Some(size >> 31 == 0);
        out.push(ChunkRef { offset: base.saturating_add(u64::from(offset)), size: size & 0x7fff_ffff, keyframe });
    }
    Ok(Some(()))
}
