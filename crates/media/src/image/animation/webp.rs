//! Animated WebP (RFC 9649): its frames, listed from the chunks, and the file of one frame.

use std::ops::Range;

use super::super::essential::webp::{ALPHA, ANIMATED, chunks};
use super::canvas::{Blend, Dispose, Rect};
use super::coded_frame::{CodedFrame, check_rect, shows_canvas};
use crate::error::{MediaError, malformed};
use crate::options::limits::check_limit;

/// What `VP8X` and the chunks after it say.
pub(in super::super) struct Header {
    /// Canvas in pixels.
    pub(in super::super) size: (u32, u32),
    pub(in super::super) alpha: bool,
    /// Contents of the `EXIF` chunk.
    pub(in super::super) exif: Option<Range<usize>>,
    pub(in super::super) frames: Vec<CodedFrame>,
    pub(in super::super) warnings: Vec<String>,
}

/// Lists the frames of an animated WebP; `None` for a still image.
///
/// # Errors
/// `Malformed` when its first frame is, `Limit` for more than `max_frames` frames.
pub(in super::super) fn read(bytes: &[u8], max_frames: u64) -> Result<Option<Header>, MediaError> {
    let mut all = chunks(bytes, 12..bytes.len());
    let Some(first) = all.next().filter(|c| c.fourcc == *b"VP8X" && c.contents.len() >= 10) else { return Ok(None) };
    let vp8x = &bytes[first.contents];
    if vp8x[0] & ANIMATED == 0 {
        return Ok(None);
    }
    let size = (u24(&vp8x[4..]) + 1, u24(&vp8x[7..]) + 1);
    let (frames, warnings) = (Vec::new(), Vec::new());
    let mut header = Header { size, alpha: vp8x[0] & ALPHA != 0, exif: None, frames, warnings };
    for chunk in all {
        match &chunk.fourcc {
            b"EXIF" if chunk.whole => header.exif = Some(chunk.contents),
            b"ANMF" => {
                check_limit("frames of the animation", header.frames.len() as u64 + 1, max_frames)?;
                let number = header.frames.len();
                let frame =
                    if chunk.whole { read_frame(bytes, chunk.contents, number, size) } else { Err(cut(number)) };
                match frame {
                    Ok(frame) => header.frames.push(frame),
                    Err(error) if number == 0 => return Err(error),
                    Err(error) => {
                        header.warnings.push(format!("animation ends early after {number} frames: {error}"));
                        break;
                    }
                }
            }
            _ => {}
        }
    }
    if header.frames.is_empty() {
        return Err(malformed("animation", "it has no frame"));
    }
    header.alpha |= shows_canvas(&header.frames, size);
    Ok(Some(header))
}

fn cut(frame: usize) -> MediaError {
    malformed("animation", format!("frame {frame} is cut short"))
}

/// Reads an `ANMF` chunk.
fn read_frame(bytes: &[u8], range: Range<usize>, number: usize, size: (u32, u32)) -> Result<CodedFrame, MediaError> {
    let Some(head) = bytes[range.clone()].first_chunk::<16>() else { return Err(cut(number)) };
    let (x, y) = (u24(&head[0..]) * 2, u24(&head[3..]) * 2);
    let rect = Rect { x, y, width: u24(&head[6..]) + 1, height: u24(&head[9..]) + 1 };
    check_rect(number, rect, size)?;
    let image = chunks(bytes, range.start + 16..range.end).filter(|c| c.whole);
    let image = image.filter(|c| matches!(&c.fourcc, b"ALPH" | b"VP8 " | b"VP8L"));
    let chunks: Vec<Range<usize>> = image.map(|c| c.contents.start - 8..c.contents.end).collect();
    if chunks.is_empty() || chunks.len() > 2 {
        return Err(malformed("animation", format!("frame {number} has {} image chunks", chunks.len())));
    }
    Ok(CodedFrame {
        rect,
        blend: if head[15] & 2 == 0 { Blend::Over } else { Blend::Replace },
        dispose: if head[15] & 1 == 0 { Dispose::Keep } else { Dispose::Background },
        delay: (u24(&head[12..]), 1),
        data: chunks,
    })
}

/// A WebP file that holds one frame of the animation as a still image.
pub(super) fn frame_file(bytes: &[u8], frame: &CodedFrame) -> Vec<u8> {
    let mut file = b"RIFF\0\0\0\0WEBP".to_vec();
    if frame.data.iter().any(|c| bytes[c.clone()].starts_with(b"ALPH")) {
        file.extend(b"VP8X\x0a\0\0\0");
        file.extend([ALPHA, 0, 0, 0]);
        file.extend(&(frame.rect.width - 1).to_le_bytes()[..3]);
        file.extend(&(frame.rect.height - 1).to_le_bytes()[..3]);
    }
    for chunk in &frame.data {
        file.extend(&bytes[chunk.clone()]);
        if file.len() % 2 == 1 {
            file.push(0);
        }
    }
    let size = (file.len() - 8) as u32;
    file[4..8].copy_from_slice(&size.to_le_bytes());
    file
}

/// A little-endian number of 24 bits. The caller has checked the length.
fn u24(bytes: &[u8]) -> u32 {
    u32::from_le_bytes([bytes[0], bytes[1], bytes[2], 0])
}
