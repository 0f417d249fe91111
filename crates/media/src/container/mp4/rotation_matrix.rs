//! Display (transformation) matrices of `mvhd` and `tkhd`, and the flip and turn they mean.

use super::super::byte_source::cursor::Cursor;
use super::super::track::Orientation;
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

/// Flip and turn of the track matrix times the movie matrix.
///
/// A point moves to `(a * x + c * y, b * x + d * y)`; `y` points down. A negative determinant means mirrored. `None`
/// when the product is no quarter turn (skewed, or turned by another angle).
pub(super) fn orientation(track: RotationMatrix, movie: RotationMatrix) -> Option<Orientation> {
    let [a, b, c, d] = track.map(i128::from);
    let [e, f, g, h] = movie.map(i128::from);
    let product = [a * e + b * g, a * f + b * h, c * e + d * g, c * f + d * h];
    let (mirrored, rotation) = match product.map(i128::signum) {
        [1, 0, 0, 1] | [0, 0, 0, 0] => (false, 0),
        [0, 1, -1, 0] => (false, 90),
        [-1, 0, 0, -1] => (false, 180),
        [0, -1, 1, 0] => (false, 270),
        [-1, 0, 0, 1] => (true, 0),
        [0, -1, -1, 0] => (true, 90),
        [1, 0, 0, -1] => (true, 180),
        [0, 1, 1, 0] => (true, 270),
        _ => return None,
    };
    Some(Orientation { mirrored, rotation })
}
