//! Display (transformation) matrices of `mvhd` and `tkhd`, and the rotation they mean.

use super::super::cursor::Cursor;
use crate::error::MediaError;

/// The four numbers of a display matrix that rotate and scale: `[a, b, c, d]` in 16.16 fixed point.
pub(super) type RotationMatrix = [i32; 4];

/// The matrix that leaves a frame as it is.
pub(super) const IDENTITY: RotationMatrix = [1 << 16, 0, 0, 1 << 16];

/// Reads the nine numbers `a b u c d v x y w` of a matrix and keeps `a b c d`.
pub(super) fn read(c: &mut Cursor<'_>) -> Result<RotationMatrix, MediaError> {
    let first_a = c.i32()?;
    let first_b = c.i32()?;
    c.skip(4)?;
    let second_c = c.i32()?;
    let second_d = c.i32()?;
    c.skip(16)?;
    Ok([first_a, first_b, second_c, second_d])
}

/// Clockwise rotation of the track matrix times the movie matrix: 0, 90, 180 or 270 degrees.
///
/// `None` when the product is not a quarter turn (mirrored, skewed).
pub(super) fn rotation(track: RotationMatrix, movie: RotationMatrix) -> Option<u16> {
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
