//! `clap`, the clean aperture: the part of a coded frame that is meant to be shown (ISO/IEC 14496-12, 12.1.4).

use super::super::super::byte_source::cursor::Cursor;
use super::super::super::track::Crop;

/// Reads `clap` for a frame of `size`. Fractions of a pixel are rounded.
///
/// # Errors
/// A sentence for the user when the aperture is not inside the frame.
pub(super) fn read(body: &[u8], size: (u32, u32)) -> Result<Crop, String> {
    let mut c = Cursor::new(body, "clap box");
    let mut words = [0u32; 8];
    for word in &mut words {
        *word = c.u32().map_err(|_| format!("a clap box of {} bytes is too short, it is not applied", body.len()))?;
    }
    let [w, w_unit, h, h_unit, x, x_unit, y, y_unit] = words;
    // Offsets are signed.
    let columns = edges(size.0, [w, w_unit], [x as i32, x_unit as i32]);
    let rows = edges(size.1, [h, h_unit], [y as i32, y_unit as i32]);
    match (columns, rows) {
        (Some((left, right)), Some((top, bottom))) => Ok(Crop { left, top, right, bottom }),
        _ => Err(format!(
            "the clean aperture {w}/{w_unit} x {h}/{h_unit} is not inside the {}x{} picture, it is not applied",
            size.0, size.1
        )),
    }
}

/// Pixels before and after an aperture of `length`, whose middle is `offset` away from the middle of `size`. Lengths
/// and offsets are fractions.
fn edges(size: u32, length: [u32; 2], offset: [i32; 2]) -> Option<(u32, u32)> {
    let ([n, unit], [x, x_unit]) = (length.map(i128::from), offset.map(i128::from));
    if unit == 0 || x_unit == 0 {
        return None;
    }
    let rounded = |n: i128, d: i128| (2 * n * d.signum() + d.abs()).div_euclid(2 * d.abs());
    let size = i128::from(size);
    let kept = rounded(n, unit);
    let before = rounded(2 * x * unit + x_unit * (size * unit - n), 2 * x_unit * unit);
    let after = size - before - kept;
    (kept > 0).then_some((u32::try_from(before).ok()?, u32::try_from(after).ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn clap(words: [i32; 8], size: (u32, u32)) -> Result<Crop, String> {
        read(&words.map(i32::to_be_bytes).concat(), size)
    }

    #[test]
    fn the_aperture_lies_around_its_middle() {
        // 100x80 in the middle of 160x120, then 10 to the left and 5.5 down.
        let middle = Crop { left: 30, top: 20, right: 30, bottom: 20 };
        assert_eq!(clap([100, 1, 80, 1, 0, 1, 0, 1], (160, 120)), Ok(middle));
        let moved = Crop { left: 20, top: 26, right: 40, bottom: 15 };
        assert_eq!(clap([100, 1, 79, 1, -10, 1, 11, 2], (160, 120)), Ok(moved));
        assert_eq!(clap([160, 1, 120, 1, 0, 1, 0, 1], (160, 120)), Ok(Crop::default()));
        assert_eq!(moved.size((160, 120)), Some((100, 79)));
    }

    #[test]
    fn an_aperture_outside_of_the_frame_is_named() {
        for words in [[161, 1, 80, 1, 0, 1, 0, 1], [100, 1, 80, 1, 31, 1, 0, 1], [0, 1, 80, 1, 0, 1, 0, 1]] {
            assert!(clap(words, (160, 120)).unwrap_err().contains("not inside the 160x120"));
        }
        assert!(clap([100, 0, 80, 1, 0, 1, 0, 1], (160, 120)).is_err());
        assert!(clap([i32::MIN, -1, i32::MAX, 1, i32::MIN, i32::MIN, 7, -1], (u32::MAX, 1)).is_err());
        assert!(read(&[0; 31], (160, 120)).unwrap_err().contains("31 bytes"));
    }
}
