//! FFmpeg's general path of color conversion: depths above 8 bits, odd heights and full-resolution chroma.
//!
//! - Subsampled chroma is interpolated between rows: bilinear, 12-bit weights.
//! - Left-sited chroma is moved right by a quarter of a chroma pixel: 14-bit weights.
//! - Values are brought to 8 bits. RGB comes from tables in which chroma shifts the index of luma. 8-bit white is
//!   therefore 253 here, as in the tools of the reference models.
//! - Full-resolution chroma takes the direct formula with 13-bit coefficients and rounding.
//! - Where the width is odd as well, chroma comes from the nearest column instead of being interpolated.

use super::coefficients::{Coefficients, chroma_factors};
use super::description::Color;
use super::yuv::{Plane, YuvImage};

/// A filter tap: the first source position, and the weights of the positions from there on.
type Tap = (usize, [i32; 3]);

/// Converts `yuv` to RGB by the general path, into rows of `data` without padding.
pub(super) fn convert(yuv: &YuvImage, color: Color, data: &mut [u8]) {
    if nearest_column(yuv) {
        let direct = Direct { c: Coefficients::new(color) };
        map_pixels(yuv, data, |y, u, v| direct.pixel(y, u, v));
    } else {
        let tables = Tables::new(color);
        map_pixels(yuv, data, |y, u, v| tables.pixel(y, u, v));
    }
}

/// Whether chroma is of full width, or taken from the nearest column because the width is odd.
fn nearest_column(yuv: &YuvImage) -> bool {
    !yuv.half_width_chroma || yuv.width % 2 == 1
}

/// Calls `pixel` with luma and interpolated chroma of every pixel on the 15-bit scale, and writes the RGB that it gives
/// into rows of `data` without padding.
pub(super) fn map_pixels(yuv: &YuvImage, data: &mut [u8], pixel: impl Fn(i32, i32, i32) -> [u8; 3]) {
    let rows = if yuv.half_height_chroma { row_taps(yuv.chroma_height(), yuv.height) } else { identity(yuv.height) };
    let (width, columns) = (yuv.width, yuv.chroma_width());
    let shift = 15 - i32::from(yuv.bit_depth.clamp(8, 15));
    let mono = yuv.planes[1].len() == 0;
    let shifted = yuv.left_sited_chroma && yuv.half_width_chroma && !nearest_column(yuv);
    let column_shift = shifted.then(|| column_taps(columns));
    let mut lines = [1, 2].map(|plane| ChromaLines::new(&yuv.planes[plane], columns, shift, column_shift.as_deref()));
    let mut chroma = [vec![1 << 14; columns], vec![1 << 14; columns]];
    let mut luma = vec![0; width];
    for (row, out) in data.chunks_exact_mut(width * 3).enumerate() {
        widen(&yuv.planes[0], row * width, shift, &mut luma);
        if !mono {
            lines.iter_mut().zip(&mut chroma).for_each(|(lines, out)| lines.blend(&rows[row], out));
        }
        let each = if yuv.half_width_chroma { 2 } else { 1 };
        let chroma = chroma[0].iter().zip(&chroma[1]);
        for ((out, luma), (&u, &v)) in out.chunks_mut(3 * each).zip(luma.chunks(each)).zip(chroma) {
            for (out, &y) in out.chunks_exact_mut(3).zip(luma) {
                out.copy_from_slice(&pixel(y, u, v));
            }
        }
    }
}

/// Reads a row of values onto the 15-bit scale.
fn widen(plane: &Plane, start: usize, shift: i32, line: &mut [i32]) {
    match plane {
        Plane::U8(v) => line.iter_mut().zip(&v[start..]).for_each(|(out, &value)| *out = i32::from(value) << shift),
        Plane::U16(v) => line.iter_mut().zip(&v[start..]).for_each(|(out, &value)| *out = i32::from(value) << shift),
    }
}

/// Rows of one chroma plane, read in order.
struct ChromaLines<'a> {
    plane: &'a Plane,
    shift: i32,
    /// Taps that move chroma to the middle of its column pairs; `None` where it is there already.
    columns: Option<&'a [Tap]>,
    /// The latest rows after the move, by row number modulo their count.
    latest: [(usize, Vec<i32>); 3],
    raw: Vec<i32>,
}

impl<'a> ChromaLines<'a> {
    fn new(plane: &'a Plane, columns: usize, shift: i32, taps: Option<&'a [Tap]>) -> Self {
        let latest = std::array::from_fn(|_| (usize::MAX, vec![0; columns]));
        ChromaLines { plane, shift, columns: taps, latest, raw: vec![0; columns + 2] }
    }

    /// Row `row` on the 15-bit scale. Kept, because up to four rows of luma need it.
    fn row(&mut self, row: usize) -> &[i32] {
        let (number, line) = &mut self.latest[row % 3];
        if *number != row {
            *number = row;
            let start = row * line.len();
            match self.columns {
                None => widen(self.plane, start, self.shift, line),
                Some(taps) => {
                    // Two more values than columns, so that every tap has three; those beyond the end weigh nothing.
                    let columns = line.len();
                    widen(self.plane, start, 0, &mut self.raw[..columns]);
                    for (out, &(first, [a, b, c])) in line.iter_mut().zip(taps) {
                        let values = &self.raw[first..first + 3];
                        let sum = i64::from(values[0]) * i64::from(a)
                            + i64::from(values[1]) * i64::from(b)
                            + i64::from(values[2]) * i64::from(c);
                        *out = ((sum << self.shift) >> 14).min(32_767) as i32;
                    }
                }
            }
        }
        line
    }

    /// A weighted sum of rows.
    fn blend(&mut self, (first, weights): &Tap, out: &mut [i32]) {
        out.fill(0);
        for (j, &weight) in weights.iter().enumerate().filter(|(_, w)| **w != 0) {
            let line = self.row(first + j);
            out.iter_mut().zip(line).for_each(|(out, value)| *out += value * weight);
        }
        out.iter_mut().for_each(|out| *out >>= 12);
    }
}

fn identity(rows: usize) -> Vec<Tap> {
    (0..rows).map(|row| (row, [4096, 0, 0])).collect()
}

/// Taps of `to` rows over `from` rows of chroma, which is sited between the luma rows. Weights sum to 4096.
fn row_taps(from: usize, to: usize) -> Vec<Tap> {
    let step = (((from as i64) << 16) + (to as i64 >> 1)) / to as i64;
    taps(from, to, step, step - (1 << 16), 4096)
}

/// Taps that move chroma from the left of its column pair to the middle. Weights sum to 16384.
fn column_taps(columns: usize) -> Vec<Tap> {
    taps(columns, columns, 1 << 16, 1 << 15, 16_384)
}

/// Bilinear taps whose weights sum to `sum`, in FFmpeg's arithmetic (`initFilter` in libswscale).
///
/// `to` places over `from` values. The first place is at `position`, each next one `step` further. Values are 2^16
/// apart, and positions are doubled.
fn taps(from: usize, to: usize, step: i64, mut position: i64, sum: i64) -> Vec<Tap> {
    let size = 3.min(from.saturating_sub(2)).max(1) as i64;
    let last = from as i64 - 1;
    let mut taps = Vec::with_capacity(to);
    for _ in 0..to {
        let first = (position - (size - 2) * (1 << 16)) / (1 << 17);
        let raw = |j: i64| (1i64 << 30) - ((((first + j) * (1 << 17)) - position).abs() << 13);
        let weights: Vec<i64> = (0..size).map(|j| raw(j).max(0) << 24).collect();
        let one = ((weights.iter().sum::<i64>() + sum / 2) / sum).max(1);
        // Values beyond the edge count as the edge value.
        let base = first.clamp(0, last.saturating_sub(2).max(0));
        let (mut tap, mut error) = ([0i32; 3], 0);
        for (j, weight) in weights.iter().enumerate() {
            let value = weight + error;
            let rounded = (value + if value >= 0 { one >> 1 } else { -(one >> 1) }) / one;
            error = value - rounded * one;
            let at = (first + j as i64).clamp(0, last);
            tap[(at - base).clamp(0, 2) as usize] += rounded as i32;
        }
        taps.push((base as usize, tap));
        position += 2 * step;
    }
    taps
}

/// The table formula for subsampled chroma: chroma shifts the index of luma in a table of 8-bit levels.
struct Tables {
    luma: i64,
    start: i64,
    red_v: i64,
    green_u: i64,
    green_v: i64,
    blue_u: i64,
}

impl Tables {
    fn new(color: Color) -> Self {
        let full = color.full_range == Some(true);
        let luma = if full { 1 << 16 } else { (1 << 16) * 255 / 219 };
        let [rv, bu, gu, gv] = chroma_factors(color);
        let factor = |x: i64| ((if full { x * 224 / 255 } else { x }) * (1 << 16) + 0x8000) / luma;
        let (first, offset) = if full { (384, 0) } else { (326, 16 << 16) };
        let start = first * luma - (384 << 16) - offset + 0x8000;
        Tables { luma, start, red_v: factor(rv), green_u: factor(-gu), green_v: factor(-gv), blue_u: factor(bu) }
    }

    /// `y`, `u`, `v` on the 15-bit scale.
    fn pixel(&self, y: i32, u: i32, v: i32) -> [u8; 3] {
        let eight = |x: i32| i64::from((x + 64) >> 7);
        let (y, u, v) = (eight(y), eight(u).clamp(0, 255), eight(v).clamp(0, 255));
        let shift = |chroma: i64, factor: i64| ((chroma * factor) >> 16) - (factor >> 9);
        let level = |index: i64| ((self.start + index * self.luma) >> 16).clamp(0, 255) as u8;
        [
            level(y + shift(v, self.red_v)),
            level(y + shift(u, self.green_u) + shift(v, self.green_v)),
            level(y + shift(u, self.blue_u)),
        ]
    }
}

/// The direct formula for full-resolution chroma.
struct Direct {
    c: Coefficients,
}

impl Direct {
    /// `y`, `u`, `v` on the 15-bit scale. Sums beyond 31 bits wrap around, as they do in FFmpeg.
    fn pixel(&self, y: i32, u: i32, v: i32) -> [u8; 3] {
        let c = self.c;
        let y = (y * 4 - (c.luma_offset << 6)).wrapping_mul(c.luma).wrapping_add(1 << 21);
        let (u, v) = ((u - (128 << 7)) * 4, (v - (128 << 7)) * 4);
        let cut = |x: i32| if x < 0 { 0 } else { (x >> 22).min(255) as u8 };
        let add = |a: i32, factor: i32| factor.wrapping_mul(a);
        [
            cut(y.wrapping_add(add(v, c.red_v))),
            cut(y.wrapping_add(add(v, c.green_v)).wrapping_add(add(u, c.green_u))),
            cut(y.wrapping_add(add(u, c.blue_u))),
        ]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn doubled_rows_weigh_a_quarter_and_three_quarters() {
        let taps = row_taps(8, 16);
        assert_eq!(taps[0], (0, [4096, 0, 0]));
        let weights = |row: usize| -> Vec<(usize, i32)> {
            let (first, w) = taps[row];
            (0..3).filter(|&j| w[j] != 0).map(|j| (first + j, w[j])).collect()
        };
        assert_eq!(weights(5), [(2, 3072), (3, 1024)]);
        assert_eq!(weights(6), [(2, 1024), (3, 3072)]);
        assert_eq!(weights(15), [(7, 4096)]);
    }

    #[test]
    fn weights_always_sum_to_one_inside_the_image() {
        for to in 1..70usize {
            let from = to.div_ceil(2);
            for (first, weights) in row_taps(from, to) {
                assert_eq!(weights.iter().sum::<i32>(), 4096, "{from} to {to}");
                let used = (0..3).filter(|&j| weights[j] != 0).max().unwrap_or(0);
                assert!(first + used < from, "{from} to {to}");
            }
        }
    }
}
