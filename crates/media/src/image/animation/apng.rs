//! Animated PNG (W3C PNG, third edition): its frames, listed from the chunks, and the file of one frame.

use std::ops::Range;

use super::super::essential::png::{SIGNATURE, chunks, push_chunk};
use super::canvas::{Blend, Dispose, Rect};
use super::coded_frame::{CodedFrame, check_rect, shows_canvas};
use crate::error::{MediaError, malformed};
use crate::options::limits::check_limit;

/// Bytes of the largest chunk that every frame needs: a palette of 256 colors.
const MAX_SHARED: usize = 768;

/// What the chunks of an animated PNG say.
pub(in super::super) struct Header {
    /// Canvas in pixels.
    pub(in super::super) size: (u32, u32),
    /// Whether there is an alpha channel or a transparent color.
    pub(in super::super) alpha: bool,
    /// Contents of the `eXIf` chunk.
    pub(in super::super) exif: Option<Range<usize>>,
    /// Contents of the chunks that every frame needs: `IHDR`, `PLTE` and `tRNS`.
    pub(in super::super) shared: Vec<Range<usize>>,
    pub(in super::super) frames: Vec<CodedFrame>,
    pub(in super::super) warnings: Vec<String>,
}

/// Lists the frames of an animated PNG; `None` for a still picture.
///
/// # Errors
/// `Malformed` when its first frame is, `Limit` for more than `max_frames` frames.
pub(in super::super) fn read(bytes: &[u8], max_frames: u64) -> Result<Option<Header>, MediaError> {
    let Some(size) = animation_size(bytes) else { return Ok(None) };
    let mut header =
        Header { size, alpha: false, exif: None, shared: Vec::new(), frames: Vec::new(), warnings: Vec::new() };
    let (mut ended, mut cut) = (false, false);
    for chunk in chunks(bytes) {
        let contents = chunk.contents.clone();
        if is_shared(chunk.kind) && contents.len() <= MAX_SHARED && header.shared.len() < 3 {
            header.shared.push(contents.clone());
        }
        match &chunk.kind {
            b"fcTL" => {
                let number = header.frames.len();
                check_limit("frames of the animation", number as u64 + 1, max_frames)?;
                match read_frame_control(&bytes[contents], number, size) {
                    Ok(frame) => header.frames.push(frame),
                    Err(error) if number == 0 => return Err(error),
                    Err(error) => {
                        header.warnings.push(format!("animation ends early after {number} frames: {error}"));
                        break;
                    }
                }
            }
            // Image data before the first frame control belongs to a picture for programs that do not animate.
            b"IDAT" | b"fdAT" => {
                cut |= !chunk.whole;
                let skip = if chunk.kind == *b"fdAT" { 4 } else { 0 };
                if let Some(frame) = header.frames.last_mut().filter(|_| contents.len() > skip) {
                    frame.data.push(contents.start + skip..contents.end);
                }
            }
            // Color types 4 and 6 have an alpha channel.
            b"IHDR" => header.alpha = bytes[contents].get(9).is_some_and(|color_type| color_type & 4 != 0),
            b"tRNS" => header.alpha = true,
            b"eXIf" if chunk.whole => header.exif = Some(contents),
            b"IEND" => ended = true,
            _ => {}
        }
    }
    let stated = header.frames.len();
    header.frames.retain(|frame| !frame.data.is_empty());
    if cut && header.frames.len() > 1 {
        header.frames.pop();
    }
    if !ended || header.frames.len() < stated {
        header.warnings.push(format!("the end of the animation is missing, it has {} frames", header.frames.len()));
    }
    if header.frames.is_empty() {
        return Err(malformed("animation", "it has no frame"));
    }
    header.alpha |= shows_canvas(&header.frames, size);
    Ok(Some(header))
}

/// Whether every frame needs this chunk.
fn is_shared(kind: [u8; 4]) -> bool {
    matches!(&kind, b"IHDR" | b"PLTE" | b"tRNS")
}

/// Width and height of a picture that announces an animation (`acTL`) before its image data.
fn animation_size(bytes: &[u8]) -> Option<(u32, u32)> {
    let mut size = None;
    for chunk in chunks(bytes).take_while(|c| c.kind != *b"IDAT") {
        let contents = &bytes[chunk.contents];
        match &chunk.kind {
            b"IHDR" => size = Some((word(contents, 0)?, word(contents, 4)?)),
            b"acTL" => return size.filter(|_| word(contents, 0).is_some_and(|frames| frames > 0)),
            _ => {}
        }
    }
    None
}

/// Reads `fcTL`.
fn read_frame_control(fctl: &[u8], number: usize, size: (u32, u32)) -> Result<CodedFrame, MediaError> {
    let Some(&[delay_a, delay_b, scale_a, scale_b, dispose, blend]) = fctl.get(20..26) else {
        return Err(malformed("animation", format!("frame control {number} has {} bytes, not 26", fctl.len())));
    };
    let field = |at| word(fctl, at).unwrap_or(0);
    let rect = Rect { width: field(4), height: field(8), x: field(12), y: field(16) };
    check_rect(number, rect, size)?;
    let scale = u16::from_be_bytes([scale_a, scale_b]);
    Ok(CodedFrame {
        rect,
        blend: if blend == 0 { Blend::Replace } else { Blend::Over },
        dispose: match dispose {
            0 => Dispose::Keep,
            // Before the first frame there is nothing to come back.
            2 if number > 0 => Dispose::Previous,
            _ => Dispose::Background,
        },
        delay: (
            u32::from(u16::from_be_bytes([delay_a, delay_b])) * 1000,
            if scale == 0 { 100 } else { u32::from(scale) },
        ),
        data: Vec::new(),
    })
}

/// A PNG file that holds one frame of the animation as a still picture.
pub(super) fn frame_file(bytes: &[u8], shared: &[Range<usize>], frame: &CodedFrame) -> Vec<u8> {
    let mut file = SIGNATURE.to_vec();
    for range in shared {
        // The type stands in front of the contents.
        let (kind, contents) = (&bytes[range.start - 4..range.start], &bytes[range.clone()]);
        let kind = [kind[0], kind[1], kind[2], kind[3]];
        if kind == *b"IHDR" {
            let (width, height) = (frame.rect.width.to_be_bytes(), frame.rect.height.to_be_bytes());
            push_chunk(&mut file, kind, &[&width, &height, contents.get(8..).unwrap_or(&[])]);
        } else {
            push_chunk(&mut file, kind, &[contents]);
        }
    }
    let data: Vec<&[u8]> = frame.data.iter().map(|range| &bytes[range.clone()]).collect();
    push_chunk(&mut file, *b"IDAT", &data);
    push_chunk(&mut file, *b"IEND", &[]);
    file
}

/// The big-endian number at `at`.
fn word(bytes: &[u8], at: usize) -> Option<u32> {
    let field = bytes.get(at..at + 4)?;
    Some(u32::from_be_bytes([field[0], field[1], field[2], field[3]]))
}
