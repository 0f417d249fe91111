//! `mdhd`, the media header: the media clock.

use super::super::boxes::{find_path, full_box};
use crate::error::MediaError;

/// Ticks per second of the media clock of `trak`; 0 when missing.
pub(in super::super) fn timescale(trak: &[u8]) -> u32 {
    let read = || -> Result<u32, MediaError> {
        let body = find_path(trak, &[b"mdia", b"mdhd"]).unwrap_or(&[]);
        let (version, _, mut c) = full_box(body, "mdhd box")?;
        c.skip(if version == 1 { 16 } else { 8 })?;
        c.u32()
    };
    read().unwrap_or(0)
}
