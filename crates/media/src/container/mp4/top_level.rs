//! The boxes at the top level of the file, walked by their headers.

use super::super::byte_source::{ByteSource, PeekReader};
use super::super::track::fourcc_text;
use crate::error::{MediaError, malformed};
use crate::options::limits::{Limits, check_limit};

/// Brands of still pictures that share the box format. Brands of image sequences (`avis`, `msf1`, `hevc`) are not among
/// them: those have a track.
const PICTURE_BRANDS: [&[u8; 4]; 9] = [b"avif", b"heic", b"heix", b"heim", b"heis", b"mif1", b"mif2", b"miaf", b"jpeg"];

fn is_picture_brand(brand: &[u8]) -> bool {
    PICTURE_BRANDS.iter().any(|picture| *picture == brand)
}

/// Whether the file is a still picture: by its major brand, or by any brand when there is no `moov`.
pub(super) fn is_picture(source: &ByteSource, limits: &Limits) -> bool {
    let mut head = [0; 256];
    let Ok(read) = source.read_some(0, &mut head) else { return false };
    let head = &head[..read];
    let Some(size) = head.first_chunk::<4>().filter(|_| head.get(4..8) == Some(b"ftyp")) else { return false };
    if head.get(8..12).is_some_and(is_picture_brand) {
        return true;
    }
    let end = (u32::from_be_bytes(*size) as usize).min(head.len());
    let compatible = head.get(16..end).unwrap_or(&[]);
    let has_moov = || list(source, limits, &mut Vec::new()).is_ok_and(|all| all.iter().any(|b| b.fourcc == *b"moov"));
    compatible.chunks_exact(4).any(is_picture_brand) && !has_moov()
}

/// Whether the first bytes of a file of `len` bytes look like a box file with video.
pub(super) fn sniff(head: &[u8], len: u64) -> bool {
    let Some((size, fourcc)) =
        head.first_chunk::<8>().map(|h| (u32::from_be_bytes([h[0], h[1], h[2], h[3]]), &h[4..8]))
    else {
        return false;
    };
    let plausible = size == 1 || size == 0 || (size >= 8 && u64::from(size) <= len);
    match fourcc {
        b"ftyp" | b"styp" => !head.get(8..12).is_some_and(is_picture_brand),
        b"moov" | b"moof" | b"sidx" => true,
        b"mdat" | b"free" | b"skip" | b"wide" | b"pnot" | b"uuid" => plausible || fourcc == b"mdat",
        _ => false,
    }
}

/// A box at the top level. Offsets are bytes from the start of the file.
pub(super) struct TopLevelBox {
    /// Offset of the header.
    pub(super) start: u64,
    pub(super) fourcc: [u8; 4],
    /// Offset of the contents.
    pub(super) body: u64,
    /// End of the contents, cut at the end of the file.
    pub(super) end: u64,
    /// End of the contents as the header states it.
    pub(super) stated_end: u64,
}

/// Lists the top-level boxes.
pub(super) fn list(
    source: &ByteSource,
    limits: &Limits,
    warnings: &mut Vec<String>,
) -> Result<Vec<TopLevelBox>, MediaError> {
    let mut reader = PeekReader::new(source, 64);
    let mut boxes: Vec<TopLevelBox> = Vec::new();
    let mut at = 0u64;
    let len = source.len();
    while len.saturating_sub(at) >= 8 {
        let head = reader.peek(at, 16)?;
        let short_size = u32::from_be_bytes([head[0], head[1], head[2], head[3]]);
        let fourcc = [head[4], head[5], head[6], head[7]];
        let (size, header) = match (short_size, head.get(8..16)) {
            (0, _) => (len - at, 8),
            // Recorders fill in the size of the data at the end, and some never come to that.
            (1, Some(&[0, 0, 0, 0, 0, 0, 0, 0])) if fourcc == *b"mdat" => (len - at, 16),
            (1, Some(&[a, b, c, d, e, f, g, h])) => (u64::from_be_bytes([a, b, c, d, e, f, g, h]), 16),
            (n, _) => (u64::from(n), 8),
        };
        let fits = size >= header && size <= len - at && fourcc.iter().all(|b| matches!(b, 0x20..0x7f | 0xa9));
        if !fits
            && boxes.iter().any(|b| b.fourcc == *b"moof")
            && let Some(next) = next_fragment(source, at + 1)?
        {
            warnings.push(format!("no box at byte {at}, {} bytes were passed over to the next fragment", next - at));
            at = next;
            continue;
        }
        if size < header {
            if !boxes.iter().any(|b| b.fourcc == *b"moov") {
                let text = format!("`{}` at byte {at} says it has {size} bytes", fourcc_text(fourcc));
                return Err(malformed("box", text));
            }
            warnings.push(format!("{} bytes at the end are no box", len - at));
            break;
        }
        let stated_end = at.saturating_add(size);
        let end = stated_end.min(len);
        check_limit("boxes at the top of the file", boxes.len() as u64 + 1, limits.samples)?;
        boxes.push(TopLevelBox { start: at, fourcc, body: at + header, end, stated_end });
        at = end;
    }
    if let Some(last) = boxes.last().filter(|b| b.stated_end > len) {
        let missing = last.stated_end - len;
        let text = format!("the file is cut: `{}` wants {missing} bytes more than there are", fourcc_text(last.fourcc));
        warnings.push(text);
    }
    Ok(boxes)
}

/// The first byte at or after `from` where a movie fragment starts: a `moof` whose first box is `mfhd`.
///
/// Only fragmented files are searched. There the index is spread over the file, and what lies between is short.
fn next_fragment(source: &ByteSource, from: u64) -> Result<Option<u64>, MediaError> {
    /// Bytes from the size of `moof` to the end of the word `mfhd`.
    const START: usize = 16;
    let mut window = vec![0; 1 << 16];
    let mut at = from;
    while at + START as u64 <= source.len() {
        let read = source.read_some(at, &mut window)?;
        let found = window[..read].windows(START).position(|w| w[4..8] == *b"moof" && w[12..] == *b"mfhd");
        if let Some(found) = found {
            return Ok(Some(at + found as u64));
        }
        at += (read + 1).saturating_sub(START).max(1) as u64;
    }
    Ok(None)
}

/// Reads the contents of a top-level box and takes its size off the header budget.
pub(super) fn load(source: &ByteSource, top: &TopLevelBox, budget: &mut u64) -> Result<Vec<u8>, MediaError> {
    let size = top.end.saturating_sub(top.body);
    check_limit("bytes of headers", size, *budget)?;
    *budget -= size;
    source.read_vec(top.body, size as usize)
}

/// The error for a file without `moov`: it is cut, it is one segment of a stream, or its recording was not finished.
pub(super) fn missing_moov(boxes: &[TopLevelBox], len: u64) -> MediaError {
    let has = |fourcc: &[u8; 4]| boxes.iter().any(|b| b.fourcc == *fourcc);
    let what = match boxes.last() {
        Some(last) if last.stated_end > len => {
            format!(
                "the index (moov) is missing because the file is cut: it ends at byte {len} inside `{}`, \
                 which needs {} bytes more, and the index comes after it",
                fourcc_text(last.fourcc),
                last.stated_end - len
            )
        }
        _ if has(b"moof") || has(b"styp") || has(b"sidx") => {
            "it is a media segment without its init segment (no moov): join the two, init segment first".into()
        }
        _ if has(b"mdat") => "the recording was not finished: the index (moov) that is written last is missing; \
                              a tool like untrunc can rebuild it from another file of the same camera"
            .into(),
        _ => format!("no index (moov) among its {} boxes", boxes.len()),
    };
    malformed("mp4 file", what)
}

/// Adds to an error about `moov` that the file is cut inside it, where that is so.
pub(super) fn explain_truncation(moov: &TopLevelBox, error: MediaError) -> MediaError {
    match error {
        MediaError::Malformed { part, what } if moov.stated_end > moov.end => {
            malformed(part, format!("{what}; the file is cut inside the index (moov)"))
        }
        other => other,
    }
}
