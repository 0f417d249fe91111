//! `tkhd`, the track header: id, display matrix and display size.

use super::super::boxes::{find, full_box};
use super::super::rotation_matrix::{self, IDENTITY, RotationMatrix};
use crate::error::MediaError;

/// What `tkhd` says.
pub(in super::super) struct TrackHeader {
    pub(in super::super) enabled: bool,
    pub(in super::super) id: u32,
    pub(in super::super) matrix: RotationMatrix,
    /// Display width and height in 16.16 fixed point.
    pub(in super::super) size: (u32, u32),
}

/// Reads `tkhd` of `trak`. A short one keeps the fields it has.
pub(super) fn read(trak: &[u8]) -> Result<TrackHeader, MediaError> {
    let body = find(trak, b"tkhd").unwrap_or(&[]);
    let (version, flags, mut c) = full_box(body, "tkhd box")?;
    c.skip(if version == 1 { 16 } else { 8 })?;
    let id = c.u32()?;
    let mut header = TrackHeader { enabled: flags & 1 != 0, id, matrix: IDENTITY, size: (0, 0) };
    let before_matrix = if version == 1 { 12 } else { 8 } + 16;
    if c.skip(before_matrix).is_ok() {
        if let Ok(matrix) = rotation_matrix::read(&mut c) {
            header.matrix = matrix;
        }
        if let (Ok(width), Ok(height)) = (c.u32(), c.u32()) {
            header.size = (width, height);
        }
    }
    Ok(header)
}
