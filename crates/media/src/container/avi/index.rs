//! Where the frames are: OpenDML indexes, `idx1`, or a scan over the chunk headers.

use super::super::bytes::Cursor;
use super::super::limit;
use super::super::source::{Source, Window};
use super::header::{Stream, index_chunk};
use super::{Places, is_frame, part};
use crate::{Limits, MediaError};

/// One chunk of the stream.
#[derive(Clone, Copy, Debug)]
pub(super) struct Chunk {
    pub(super) offset: u64,
    pub(super) size: u32,
    /// Whether the index calls it a keyframe; `None` when found by scanning.
    pub(super) key: Option<bool>,
}

/// The chunks by an index that holds; `None` when there is none.
pub(super) fn read(
    source: &Source,
    places: &Places,
    stream: &Stream,
    limits: &Limits,
) -> Result<Option<Vec<Chunk>>, MediaError> {
    let mut budget = limits.header_bytes;
    if let Some(chunks) = open_dml(source, stream, limits, &mut budget)?
        && agrees(source, &chunks, stream)?
    {
        return Ok(Some(chunks));
    }
    // `idx1` covers the first list only.
    if places.movi.len() != 1 {
        return Ok(None);
    }
    idx1(source, places, stream, limits, &mut budget)
}

/// Whether a handful of entries, first and last among them, point at chunks of that size.
fn agrees(source: &Source, chunks: &[Chunk], stream: &Stream) -> Result<bool, MediaError> {
    if chunks.is_empty() {
        return Ok(false);
    }
    let mut window = Window::new(source, 8);
    for k in 0..=8 {
        let chunk = chunks[(chunks.len() - 1) * k / 8];
        let Some(at) = chunk.offset.checked_sub(8) else { return Ok(false) };
        match part(&mut window, at)? {
            Some(p) if is_frame(p.code, stream.number) && p.size == chunk.size => {}
            _ => return Ok(false),
        }
    }
    Ok(true)
}

/// The super index of the stream header and the indexes it names.
fn open_dml(
    source: &Source,
    stream: &Stream,
    limits: &Limits,
    budget: &mut u64,
) -> Result<Option<Vec<Chunk>>, MediaError> {
    let Some(indx) = &stream.indx else { return Ok(None) };
    let mut out = Vec::new();
    let mut c = Cursor::new(indx, "indx chunk");
    let (Ok(_), Ok(_), Ok(kind), Ok(count)) = (c.u16_le(), c.u8(), c.u8(), c.u32_le()) else { return Ok(None) };
    match kind {
        0 => {
            if c.skip(16).is_err() {
                return Ok(None);
            }
            for _ in 0..count {
                let (Ok(offset), Ok(size), Ok(_)) = (c.u64_le(), c.u32_le(), c.u32_le()) else { return Ok(None) };
                limit("bytes of headers", u64::from(size), *budget)?;
                *budget -= u64::from(size);
                let Some(data) = index_chunk(source, offset, u64::from(size))? else { return Ok(None) };
                if standard(&data, limits, &mut out)?.is_none() {
                    return Ok(None);
                }
            }
            Ok(Some(out))
        }
        1 => Ok(standard(indx, limits, &mut out)?.map(|()| out)),
        _ => Ok(None),
    }
}

/// Entries of a standard index.
fn standard(data: &[u8], limits: &Limits, out: &mut Vec<Chunk>) -> Result<Option<()>, MediaError> {
    let mut c = Cursor::new(data, "ix chunk");
    let (Ok(2), Ok(0), Ok(1), Ok(count)) = (c.u16_le(), c.u8(), c.u8(), c.u32_le()) else { return Ok(None) };
    let (Ok(_), Ok(base), Ok(_)) = (c.fourcc(), c.u64_le(), c.u32_le()) else { return Ok(None) };
    let count = u64::from(count).min(c.left() as u64 / 8);
    limit("frames of the track", out.len() as u64 + count, limits.samples)?;
    for _ in 0..count {
        let (offset, size) = (c.u32_le()?, c.u32_le()?);
        let key = Some(size >> 31 == 0);
        out.push(Chunk { offset: base.saturating_add(u64::from(offset)), size: size & 0x7fff_ffff, key });
    }
    Ok(Some(()))
}

/// The old index: offsets from the list or from the start of the file, whichever the chunks bear out.
fn idx1(
    source: &Source,
    places: &Places,
    stream: &Stream,
    limits: &Limits,
    budget: &mut u64,
) -> Result<Option<Vec<Chunk>>, MediaError> {
    let (Some((from, to)), Some(&(movi, _))) = (places.idx1, places.movi.first()) else { return Ok(None) };
    limit("bytes of headers", to - from, *budget)?;
    limit("entries of the index", (to - from) / 16, limits.samples.saturating_mul(4))?;
    let table = source.read_vec(from, (to - from) as usize)?;
    let mut out = Vec::new();
    for entry in table.chunks_exact(16) {
        let mut c = Cursor::new(entry, "idx1 chunk");
        let (code, flags, offset, size) = (c.fourcc()?, c.u32_le()?, c.u32_le()?, c.u32_le()?);
        if is_frame(code, stream.number) {
            out.push(Chunk { offset: u64::from(offset) + 8, size, key: Some(flags & 0x10 != 0) });
        }
    }
    limit("frames of the track", out.len() as u64, limits.samples)?;
    // From the word `movi` (the rule), or from the start of the file.
    let start = movi - 4;
    out.iter_mut().for_each(|c| c.offset += start);
    if agrees(source, &out, stream)? {
        return Ok(Some(out));
    }
    out.iter_mut().for_each(|c| c.offset -= start);
    Ok(if agrees(source, &out, stream)? { Some(out) } else { None })
}

/// Scans the headers of all chunks, into `rec ` lists too.
pub(super) fn scan(
    source: &Source,
    places: &Places,
    stream: &Stream,
    limits: &Limits,
) -> Result<Vec<Chunk>, MediaError> {
    let mut window = Window::new(source, 64);
    let mut out = Vec::new();
    let mut steps = 0u64;
    for &(from, to) in &places.movi {
        let mut at = from;
        while let Some(p) = part(&mut window, at)?.filter(|p| p.body <= to) {
            steps += 1;
            limit("chunks of the file", steps, limits.samples.saturating_mul(8))?;
            if p.code == *b"LIST" {
                at = p.body + 4;
                continue;
            }
            if !p.code.iter().all(|b| (0x20..0x7f).contains(b)) {
                // Lost: look for the next chunk on an even byte.
                at += 2;
                continue;
            }
            if is_frame(p.code, stream.number) {
                limit("frames of the track", out.len() as u64 + 1, limits.samples)?;
                out.push(Chunk { offset: p.body, size: p.size, key: None });
            }
            at = p.next;
        }
    }
    Ok(out)
}
