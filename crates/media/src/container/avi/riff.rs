//! RIFF chunks: the layout of an AVI file, walked by chunk headers.

use super::super::byte_source::{ByteSource, PeekReader};
use crate::error::MediaError;
use crate::options::limits::{Limits, check_limit};

/// A chunk of the file. Offsets are bytes from the start of the file.
#[derive(Clone, Copy, Debug)]
pub(super) struct RiffChunk {
    pub(super) fourcc: [u8; 4],
    /// Offset of the contents.
    pub(super) body: u64,
    /// Bytes of the contents as the header states them.
    pub(super) size: u32,
    /// End of the contents, cut at the end of the file.
    pub(super) end: u64,
    /// Offset after the contents and their padding, not cut.
    pub(super) next: u64,
}

/// Where the lists of an AVI file lie.
#[derive(Default)]
pub(super) struct AviLayout {
    /// The header list (`hdrl`).
    pub(super) header: Option<RiffChunk>,
    /// Start and end of the contents of the `movi` lists.
    pub(super) movi: Vec<(u64, u64)>,
    /// Start and end of the contents of `idx1`.
    pub(super) idx1: Option<(u64, u64)>,
    /// Whether a chunk reaches past the end of the file.
    pub(super) truncated: bool,
}

impl AviLayout {
    /// Walks the chunks of the file down to the lists that matter.
    pub(super) fn read(source: &ByteSource, limits: &Limits) -> Result<AviLayout, MediaError> {
        let mut reader = PeekReader::new(source, 64);
        let len = source.len();
        let mut layout = AviLayout::default();
        let mut count = 0u64;
        let mut riff = 0;
        while let Some(outer) = chunk_at(&mut reader, riff)? {
            if outer.fourcc != *b"RIFF" && outer.fourcc != *b"ON2 " {
                break;
            }
            // A size of nothing or past the end: written by a recorder that was stopped.
            let end = if outer.end <= outer.body + 4 { len } else { outer.end };
            let mut at = outer.body + 4;
            while let Some(inner) = chunk_at(&mut reader, at)?.filter(|c| c.body <= end) {
                count += 1;
                check_limit("chunks of the file", count, limits.samples)?;
                let list_type = list_type(&mut reader, &inner)?;
                match (&inner.fourcc, list_type.as_ref()) {
                    (b"LIST", Some(b"hdrl")) if layout.header.is_none() => {
                        let body = (inner.body + 4).min(inner.end);
                        layout.header = Some(RiffChunk { body, ..inner });
                    }
                    (b"LIST", Some(b"movi")) => {
                        let empty = inner.end <= inner.body + 4;
                        layout.movi.push((inner.body + 4, if empty { len } else { inner.end }));
                    }
                    (b"idx1", _) if layout.idx1.is_none() => layout.idx1 = Some((inner.body, inner.end)),
                    _ => {}
                }
                layout.truncated |= inner.next > len + 1;
                at = inner.next;
            }
            riff = outer.next.max(at.min(end)).max(outer.body);
        }
        Ok(layout)
    }
}

/// The chunk whose header is at `at`; `None` at the end of the file.
pub(super) fn chunk_at(reader: &mut PeekReader<'_>, at: u64) -> Result<Option<RiffChunk>, MediaError> {
    let len = reader.len();
    let Some(&[a, b, c, d, w, x, y, z]) = reader.peek(at, 8)?.first_chunk::<8>() else {
        return Ok(None);
    };
    let stated = u32::from_le_bytes([w, x, y, z]);
    let (body, size) = (at + 8, u64::from(stated));
    let (end, next) = ((body + size).min(len), body + size + (size & 1));
    Ok(Some(RiffChunk { fourcc: [a, b, c, d], body, size: stated, end, next }))
}

/// The type of a list: the first four bytes of its contents.
fn list_type(reader: &mut PeekReader<'_>, chunk: &RiffChunk) -> Result<Option<[u8; 4]>, MediaError> {
    Ok(reader.peek(chunk.body, 4)?.first_chunk::<4>().copied())
}

/// Whether a chunk is a video frame of stream `number`.
pub(super) fn is_video_chunk(fourcc: [u8; 4], number: usize) -> bool {
    let [tens, ones, a, b] = fourcc;
    tens.is_ascii_digit()
        && ones.is_ascii_digit()
        && usize::from(tens - b'0') * 10 + usize::from(ones - b'0') == number
        && !matches!(&[a, b], b"wb" | b"pc" | b"tx" | b"ix")
}
