//! `hdrl`: the streams, and what the video one says.

use super::super::bytes::{Cursor, bad};
use super::super::source::Source;
use crate::MediaError;

/// The video stream as stored.
pub(super) struct Stream {
    /// Position among the streams: the number in its chunks' codes.
    pub(super) number: usize,
    pub(super) code: [u8; 4],
    pub(super) rate: u32,
    pub(super) scale: u32,
    pub(super) width: u32,
    pub(super) height: u32,
    pub(super) extradata: Vec<u8>,
    /// Contents of `indx`, when there is one.
    pub(super) indx: Option<Vec<u8>>,
}

/// What the header list says.
pub(super) struct Header {
    pub(super) frame_us: u32,
    pub(super) video: Stream,
    pub(super) audio: usize,
    pub(super) subs: usize,
}

/// Chunks inside a slice, the last one cut.
pub(super) fn chunks(mut data: &[u8]) -> impl Iterator<Item = ([u8; 4], &[u8])> {
    std::iter::from_fn(move || {
        let mut c = Cursor::new(data, "avi chunk");
        let code = c.fourcc().ok()?;
        let size = c.u32_le().ok()? as usize;
        let rest = c.rest();
        let body = &rest[..size.min(rest.len())];
        data = rest.get(size.saturating_add(size & 1)..).unwrap_or(&[]);
        Some((code, body))
    })
}

/// Reads the header list. Errors: no video stream.
pub(super) fn read(data: &[u8]) -> Result<Header, MediaError> {
    let (mut frame_us, mut video, mut audio, mut subs, mut number) = (0, None, 0, 0, 0);
    for (code, body) in chunks(data) {
        match &code {
            b"avih" => frame_us = Cursor::new(body, "avih chunk").u32_le()?,
            b"LIST" if body.starts_with(b"strl") => {
                let kind = chunks(&body[4..]).find(|c| c.0 == *b"strh").and_then(|c| c.1.first_chunk::<4>());
                match kind {
                    Some(b"vids") if video.is_none() => video = Some(stream(&body[4..], number)?),
                    Some(b"auds") => audio += 1,
                    Some(b"txts") => subs += 1,
                    Some(b"iavs") => return Err(interleaved()),
                    _ => {}
                }
                number += 1;
            }
            _ => {}
        }
    }
    match video {
        Some(video) => Ok(Header { frame_us, video, audio, subs }),
        None => Err(bad("avi header", format!("no video stream ({audio} audio)"))),
    }
}

fn interleaved() -> MediaError {
    MediaError::Unsupported {
        what: "a DV stream with sound and picture interleaved (iavs)".into(),
        remedy: "convert it with `ffmpeg -i in.avi out.mp4`".into(),
    }
}

fn stream(data: &[u8], number: usize) -> Result<Stream, MediaError> {
    let find = |code: &[u8; 4]| chunks(data).find(|c| c.0 == *code).map(|c| c.1);
    let mut c = Cursor::new(find(b"strh").unwrap_or(&[]), "strh chunk");
    c.skip(4)?;
    let handler = c.fourcc()?;
    c.skip(12)?;
    let scale = c.u32_le()?;
    let rate = c.u32_le()?;
    let mut c = Cursor::new(find(b"strf").unwrap_or(&[]), "strf chunk");
    c.skip(4)?;
    let width = c.u32_le()?;
    // A negative height means rows from the top.
    let height = (c.u32_le()? as i32).unsigned_abs();
    c.skip(4)?;
    let code = match c.fourcc()? {
        [0, 0, 0, 0] => handler,
        code => code,
    };
    // Colour tables of raw video are no configuration, but nobody here decodes raw video.
    let extradata = if c.skip(20).is_ok() { c.rest().to_vec() } else { Vec::new() };
    let indx = find(b"indx").map(<[u8]>::to_vec);
    Ok(Stream { number, code, rate, scale, width, height, extradata, indx })
}

/// Reads an `ix##` chunk's contents at `offset`, of `size` bytes with its header; `None` when it is not there.
pub(super) fn index_chunk(source: &Source, offset: u64, size: u64) -> Result<Option<Vec<u8>>, MediaError> {
    let inside = size >= 8 && offset.checked_add(size).is_some_and(|end| end <= source.len());
    if !inside {
        return Ok(None);
    }
    let data = source.read_vec(offset, size as usize)?;
    Ok(chunks(&data).next().filter(|(code, _)| code.starts_with(b"ix") || code.ends_with(b"ix")).map(|c| c.1.to_vec()))
}
