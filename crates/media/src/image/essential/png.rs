//! PNG (W3C, third edition): its chunks, and those that a still picture needs.
//!
//! Text and color profiles are compressed and not needed here; half a megabyte of them can inflate to hundreds.

use std::ops::Range;
use std::sync::Arc;

use image::metadata::Orientation;

use super::exif::exif_orientation;

/// The first bytes of every PNG.
pub(in super::super) const SIGNATURE: &[u8; 8] = b"\x89PNG\r\n\x1a\n";

/// A chunk: its type, where its contents lie (cut at the end of the file), and whether it is there in full.
pub(in super::super) struct Chunk {
    pub(in super::super) kind: [u8; 4],
    pub(in super::super) contents: Range<usize>,
    pub(in super::super) whole: bool,
}

impl Chunk {
    /// Length, type, contents and checksum.
    fn all(&self) -> Range<usize> {
        self.contents.start - 8..self.contents.end + 4
    }
}

/// The chunks of the file up to `IEND`.
pub(in super::super) fn chunks(bytes: &[u8]) -> impl Iterator<Item = Chunk> + '_ {
    let mut at = SIGNATURE.len();
    std::iter::from_fn(move || {
        let head = bytes.get(at..at.checked_add(8)?)?;
        let size = u32::from_be_bytes([head[0], head[1], head[2], head[3]]) as usize;
        let kind = [head[4], head[5], head[6], head[7]];
        let start = at + 8;
        let end = start.saturating_add(size);
        at = if kind == *b"IEND" { usize::MAX } else { end.saturating_add(4) };
        let whole = end.saturating_add(4) <= bytes.len();
        Some(Chunk { kind, contents: start..end.min(bytes.len()), whole })
    })
}

/// Whether the decoder gets this chunk: critical ones (first letter upper-case) and transparency.
fn is_needed(kind: [u8; 4]) -> bool {
    kind[0].is_ascii_uppercase() || kind == *b"tRNS"
}

/// The file with only the chunks that a still picture needs, and with the end chunk if that was missing. Also the
/// orientation that `eXIf` states.
pub(super) fn essential(bytes: Arc<[u8]>, warnings: &mut Vec<String>) -> (Arc<[u8]>, Option<Orientation>) {
    let mut kept = SIGNATURE.to_vec();
    let (mut ended, mut orientation) = (false, None);
    for chunk in chunks(&bytes) {
        if chunk.kind == *b"eXIf" && chunk.whole && orientation.is_none() {
            orientation = exif_orientation(&bytes[chunk.contents.clone()]);
        }
        if !is_needed(chunk.kind) {
            continue;
        }
        ended |= chunk.kind == *b"IEND";
        if chunk.whole {
            kept.extend(&bytes[chunk.all()]);
        } else if chunk.kind == *b"IDAT" || chunk.kind == *b"IEND" {
            push_chunk(&mut kept, chunk.kind, &[&bytes[chunk.contents]]);
        }
    }
    if !ended {
        push_chunk(&mut kept, *b"IEND", &[]);
        warnings.push("the end of the picture (IEND) is missing".into());
    }
    (if kept.len() == bytes.len() { bytes } else { kept.into() }, orientation)
}

/// Appends a chunk whose contents are `parts` in a row.
pub(in super::super) fn push_chunk(file: &mut Vec<u8>, kind: [u8; 4], parts: &[&[u8]]) {
    let size: usize = parts.iter().map(|part| part.len()).sum();
    file.extend((size as u32).to_be_bytes());
    let start = file.len();
    file.extend(kind);
    parts.iter().for_each(|part| file.extend(*part));
    let crc = crc32(&file[start..]);
    file.extend(crc.to_be_bytes());
}

/// The checksum of a chunk's type and contents (ISO 3309, reflected polynomial 0xedb88320).
fn crc32(bytes: &[u8]) -> u32 {
    const TABLE: [u32; 256] = {
        let mut table = [0u32; 256];
        let mut i = 0;
        while i < 256 {
            let mut c = i as u32;
            let mut bit = 0;
            while bit < 8 {
                c = (c >> 1) ^ (0xedb8_8320 & (c & 1).wrapping_neg());
                bit += 1;
            }
            table[i] = c;
            i += 1;
        }
        table
    };
    !bytes.iter().fold(!0u32, |crc, &byte| (crc >> 8) ^ TABLE[usize::from(crc as u8 ^ byte)])
}
