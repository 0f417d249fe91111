//! Movie and track headers: clocks, display matrix, edit list, handler.

use super::super::bytes::Cursor;
use super::super::limit;
use super::boxes::{children, find, find_path, full};
use crate::MediaError;

/// One entry of an edit list.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Edit {
    /// Length on the movie clock.
    pub(super) duration: u64,
    /// Where it starts on the media clock; -1 for an empty edit.
    pub(super) media_time: i64,
}

/// A display matrix, the four numbers that turn and scale: `[a, b, c, d]` in 16.16.
pub(super) type Matrix = [i32; 4];
const IDENTITY: Matrix = [1 << 16, 0, 0, 1 << 16];

/// Movie header: clock (`None` without a header, 1 instead of 0) and matrix.
pub(super) fn movie_header(moov: &[u8]) -> (Option<u32>, Matrix) {
    let read = || -> Result<(u32, Matrix), MediaError> {
        let body = find(moov, b"mvhd").unwrap_or(&[]);
        let (version, _, mut c) = full(body, "mvhd box")?;
        c.skip(if version == 1 { 16 } else { 8 })?;
        let scale = c.u32()?;
        let rest = c.skip(if version == 1 { 8 } else { 4 } + 16).and_then(|()| matrix(&mut c));
        Ok((scale, rest.unwrap_or(IDENTITY)))
    };
    match read() {
        Ok((scale, matrix)) => (Some(scale.max(1)), matrix),
        Err(_) => (None, IDENTITY),
    }
}

fn matrix(c: &mut Cursor<'_>) -> Result<Matrix, MediaError> {
    let a = c.i32()?;
    let b = c.i32()?;
    c.skip(4)?;
    let second = c.i32()?;
    let d = c.i32()?;
    c.skip(16)?;
    Ok([a, b, second, d])
}

/// What `tkhd` says.
pub(super) struct TrackHeader {
    pub(super) enabled: bool,
    pub(super) id: u32,
    pub(super) matrix: Matrix,
    /// Display width and height in 16.16.
    pub(super) size: (u32, u32),
}

/// Track header; a short one keeps what it has.
pub(super) fn track_header(trak: &[u8]) -> Result<TrackHeader, MediaError> {
    let body = find(trak, b"tkhd").unwrap_or(&[]);
    let (version, flags, mut c) = full(body, "tkhd box")?;
    c.skip(if version == 1 { 16 } else { 8 })?;
    let id = c.u32()?;
    let mut header = TrackHeader { enabled: flags & 1 != 0, id, matrix: IDENTITY, size: (0, 0) };
    let tail = if version == 1 { 12 } else { 8 } + 16;
    if c.skip(tail).is_ok() {
        if let Ok(m) = matrix(&mut c) {
            header.matrix = m;
        }
        if let (Ok(w), Ok(h)) = (c.u32(), c.u32()) {
            header.size = (w, h);
        }
    }
    Ok(header)
}

/// Ticks a second of the media; 0 when missing.
pub(super) fn media_scale(trak: &[u8]) -> u32 {
    let read = || -> Result<u32, MediaError> {
        let body = find_path(trak, &[b"mdia", b"mdhd"]).unwrap_or(&[]);
        let (version, _, mut c) = full(body, "mdhd box")?;
        c.skip(if version == 1 { 16 } else { 8 })?;
        c.u32()
    };
    read().unwrap_or(0)
}

/// The handler code (`vide`, `soun`, ...); zeros when missing.
pub(super) fn handler(trak: &[u8]) -> [u8; 4] {
    let read = || -> Result<[u8; 4], MediaError> {
        let body = find_path(trak, &[b"mdia", b"hdlr"]).unwrap_or(&[]);
        let (_, _, mut c) = full(body, "hdlr box")?;
        c.skip(4)?;
        c.fourcc()
    };
    read().unwrap_or([0; 4])
}

/// Entries an edit list may have.
const MOST_EDITS: u64 = 1 << 20;

/// Edit list, as many entries as are really there. Errors: more than a million.
pub(super) fn edits(trak: &[u8]) -> Result<Vec<Edit>, MediaError> {
    let Some(body) = find_path(trak, &[b"edts", b"elst"]) else { return Ok(Vec::new()) };
    limit("bytes of the edit list", body.len() as u64, 20 * MOST_EDITS)?;
    let mut out = Vec::new();
    let mut read = || -> Result<(), MediaError> {
        let (version, _, mut c) = full(body, "elst box")?;
        let count = c.u32()?;
        for _ in 0..count {
            let (duration, media_time) = match version {
                1 => (c.u64()?, c.u64()? as i64),
                _ => (u64::from(c.u32()?), i64::from(c.i32()?)),
            };
            c.skip(4)?; // rate: always taken as 1
            out.push(Edit { duration, media_time });
        }
        Ok(())
    };
    let _short_list_is_fine = read();
    Ok(out)
}

/// Chapter tracks looked at; more are ignored.
const MOST_CHAPTERS: usize = 64;

/// Ids of the tracks that only hold chapter names or pictures.
pub(super) fn chapter_tracks(moov: &[u8]) -> Vec<u32> {
    let mut out = Vec::new();
    for trak in children(moov).filter(|c| c.kind == *b"trak") {
        if let Some(chap) = find_path(trak.body, &[b"tref", b"chap"]) {
            out.extend(
                chap.chunks_exact(4)
                    .take(MOST_CHAPTERS - out.len())
                    .map(|b| u32::from_be_bytes([b[0], b[1], b[2], b[3]])),
            );
        }
    }
    out
}

/// Clockwise rotation of a track matrix after the movie's; `None` when it is not a quarter turn (mirrored, skewed).
pub(super) fn rotation(track: Matrix, movie: Matrix) -> Option<u16> {
    let [a, b, c, d] = track.map(i128::from);
    let [e, f, g, h] = movie.map(i128::from);
    let product = [a * e + b * g, a * f + b * h, c * e + d * g, c * f + d * h];
    match product.map(i128::signum) {
        [1, 0, 0, 1] | [0, 0, 0, 0] => Some(0),
        [0, 1, -1, 0] => Some(90),
        [-1, 0, 0, -1] => Some(180),
        [0, -1, 1, 0] => Some(270),
        _ => None,
    }
}
