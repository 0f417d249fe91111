//! `hdlr`, the handler: whether a track is video, audio or text.

use super::super::boxes::{find_path, full_box};
use crate::error::MediaError;

/// The handler type of `trak` (`vide`, `soun`, ...); zeros when missing.
pub(super) fn handler_type(trak: &[u8]) -> [u8; 4] {
    let read = || -> Result<[u8; 4], MediaError> {
        let body = find_path(trak, &[b"mdia", b"hdlr"]).unwrap_or(&[]);
        let (_, _, mut c) = full_box(body, "hdlr box")?;
        c.skip(4)?;
        c.fourcc()
    };
    read().unwrap_or([0; 4])
}
