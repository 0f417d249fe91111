//! `hdrl`, the header list: the streams (`strl`), and what the headers of the video stream say.

use super::super::byte_source::cursor::Cursor;
use crate::error::{MediaError, malformed};

/// The video stream as `strh` and `strf` describe it.
pub(super) struct StreamHeader {
    /// Position among the streams: the number in its chunks' FourCC.
    pub(super) number: usize,
    pub(super) fourcc: [u8; 4],
    /// Frames per second are `rate / scale`.
    pub(super) rate: u32,
    pub(super) scale: u32,
    pub(super) width: u32,
    pub(super) height: u32,
    pub(super) extradata: Vec<u8>,
    /// Frames that the header announces.
    pub(super) frames: u32,
    /// Whether the header marks it as one that players should not show.
    pub(super) disabled: bool,
    /// Contents of the OpenDML index `indx`, when there is one.
    pub(super) indx: Option<Vec<u8>>,
}

/// What the header list says.
pub(super) struct AviHeader {
    /// Microseconds per frame.
    pub(super) frame_us: u32,
    /// Video streams in the order of the file.
    pub(super) videos: Vec<StreamHeader>,
    pub(super) audio: usize,
    pub(super) subtitles: usize,
}

/// The chunks inside a slice: FourCC and contents, the last one cut at the end.
pub(super) fn chunks(mut data: &[u8]) -> impl Iterator<Item = ([u8; 4], &[u8])> {
    std::iter::from_fn(move || {
        let mut c = Cursor::new(data, "avi chunk");
        let fourcc = c.fourcc().ok()?;
        let size = c.u32_le().ok()? as usize;
        let rest = c.rest();
        let body = &rest[..size.min(rest.len())];
        data = rest.get(size.saturating_add(size & 1)..).unwrap_or(&[]);
        Some((fourcc, body))
    })
}

/// Reads the header list.
///
/// # Errors
/// `Malformed` without a video stream, `Unsupported` for interleaved DV.
pub(super) fn read(data: &[u8]) -> Result<AviHeader, MediaError> {
    let (mut frame_us, mut videos, mut audio, mut subtitles, mut number) = (0, Vec::new(), 0, 0, 0);
    for (fourcc, body) in chunks(data) {
        match &fourcc {
            b"avih" => frame_us = Cursor::new(body, "avih chunk").u32_le()?,
            b"LIST" if body.starts_with(b"strl") => {
                let stream_type = chunks(&body[4..]).find(|c| c.0 == *b"strh").and_then(|c| c.1.first_chunk::<4>());
                match stream_type {
                    // A damaged stream beside a whole one does no harm.
                    Some(b"vids") => videos.push(read_stream(&body[4..], number)),
                    Some(b"auds") => audio += 1,
                    Some(b"txts") => subtitles += 1,
                    Some(b"iavs") => return Err(interleaved_dv()),
                    _ => {}
                }
                number += 1;
            }
            _ => {}
        }
    }
    if videos.iter().any(Result::is_ok) {
        videos.retain(Result::is_ok);
    }
    match videos.into_iter().collect::<Result<Vec<_>, _>>()? {
        videos if videos.is_empty() => Err(malformed("avi header", format!("no video stream ({audio} audio)"))),
        videos => Ok(AviHeader { frame_us, videos, audio, subtitles }),
    }
}

fn interleaved_dv() -> MediaError {
    MediaError::Unsupported {
        what: "a DV stream with sound and picture interleaved (iavs)".into(),
        remedy: "convert it with `ffmpeg -i in.avi out.mp4`".into(),
    }
}

/// Reads a stream list (`strl`).
fn read_stream(data: &[u8], number: usize) -> Result<StreamHeader, MediaError> {
    let find = |fourcc: &[u8; 4]| chunks(data).find(|c| c.0 == *fourcc).map(|c| c.1);
    let mut c = Cursor::new(find(b"strh").unwrap_or(&[]), "strh chunk");
    c.skip(4)?;
    let handler = c.fourcc()?;
    let disabled = c.u32_le()? & 1 != 0;
    c.skip(8)?;
    let scale = c.u32_le()?;
    let rate = c.u32_le()?;
    // Start, then length.
    let frames = c.skip(4).and_then(|()| c.u32_le()).unwrap_or(0);
    let mut c = Cursor::new(find(b"strf").unwrap_or(&[]), "strf chunk");
    c.skip(4)?;
    let width = c.u32_le()?;
    // A negative height means rows from the top.
    let height = (c.u32_le()? as i32).unsigned_abs();
    c.skip(4)?;
    let fourcc = match c.fourcc()? {
        [0, 0, 0, 0] => handler,
        compression => compression,
    };
    // Color tables of raw video are no configuration, but nothing here decodes raw video.
    let extradata = if c.skip(20).is_ok() { c.rest().to_vec() } else { Vec::new() };
    let indx = find(b"indx").map(<[u8]>::to_vec);
    Ok(StreamHeader { number, fourcc, rate, scale, width, height, extradata, frames, disabled, indx })
}
