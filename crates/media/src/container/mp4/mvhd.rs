//! `mvhd`, the movie header: movie clock and display matrix.

use super::boxes::{find, full_box};
use super::rotation_matrix::{self, IDENTITY, RotationMatrix};
use crate::error::MediaError;

/// What `mvhd` says.
pub(super) struct MovieHeader {
    /// Ticks per second of the movie clock, at least 1; `None` without a header.
    pub(super) timescale: Option<u32>,
    pub(super) matrix: RotationMatrix,
}

/// Reads `mvhd` of `moov`. A missing or short one gives no clock and the identity matrix.
pub(super) fn read(moov: &[u8]) -> MovieHeader {
    let fields = || -> Result<(u32, RotationMatrix), MediaError> {
        let body = find(moov, b"mvhd").unwrap_or(&[]);
        let (version, _, mut c) = full_box(body, "mvhd box")?;
        c.skip(if version == 1 { 16 } else { 8 })?;
        let timescale = c.u32()?;
        let before_matrix = if version == 1 { 8 } else { 4 } + 16;
        let matrix = c.skip(before_matrix).and_then(|()| rotation_matrix::read(&mut c));
        Ok((timescale, matrix.unwrap_or(IDENTITY)))
    };
    match fields() {
        Ok((timescale, matrix)) => MovieHeader { timescale: Some(timescale.max(1)), matrix },
        Err(_) => MovieHeader { timescale: None, matrix: IDENTITY },
    }
}
