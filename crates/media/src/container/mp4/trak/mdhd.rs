//! `mdhd`, the media header: the media clock and the length of the track.

use super::super::boxes::{find_path, full_box};
use crate::error::MediaError;

/// Ticks per second of the media clock of `trak`, and its length in ticks; zeros when missing.
pub(in super::super) fn clock(trak: &[u8]) -> (u32, u64) {
    let read = || -> Result<(u32, u64), MediaError> {
        let body = find_path(trak, &[b"mdia", b"mdhd"]).unwrap_or(&[]);
        let (version, _, mut c) = full_box(body, "mdhd box")?;
        c.skip(if version == 1 { 16 } else { 8 })?;
        let timescale = c.u32()?;
        let duration = if version == 1 { c.u64() } else { c.u32().map(u64::from) };
        // All ones mean unknown.
        let known = |&d: &u64| d != u64::MAX && d != u64::from(u32::MAX);
        Ok((timescale, duration.ok().filter(known).unwrap_or(0)))
    };
    read().unwrap_or((0, 0))
}

/// The language of `trak` as three letters (ISO 639-2); `None` when it is not stated, or undetermined.
pub(in super::super) fn language(trak: &[u8]) -> Option<String> {
    let body = find_path(trak, &[b"mdia", b"mdhd"])?;
    let (version, _, mut c) = full_box(body, "mdhd box").ok()?;
    c.skip(if version == 1 { 28 } else { 16 }).ok()?;
    let packed = c.u16().ok()?;
    let letter = |shift: u16| char::from(((packed >> shift & 31) + 0x60) as u8);
    let code: String = [10, 5, 0].map(letter).iter().collect();
    let sound = packed & 0x8000 == 0 && code.bytes().all(|byte| byte.is_ascii_lowercase());
    (sound && code != "und").then_some(code)
}
