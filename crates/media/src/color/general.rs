//! FFmpeg's general path of color conversion: depths above 8 bits, odd heights and full-resolution chroma.
//!
//! - Subsampled chroma is interpolated between rows: bilinear, 12-bit weights.
//! - Left-sited chroma is moved right by a quarter of a chroma pixel: 14-bit weights.
//! - Values are brought to 8 bits. RGB comes from tables in which chroma shifts the index of luma. 8-bit white is
//!   therefore 253 here, as in the tools of the reference models.
//! - Full-resolution chroma takes the direct formula with 13-bit coefficients and rounding.
//! - Where the width is odd as well, chroma comes from the nearest column instead of being interpolated.

use std::ops::Range;

use zoetrope_kernels::image::yuv::{Coefficients, Levels, blend_rows, filter_row, table_row};

use super::coefficients::{chroma_factors, coefficients};
use super::description::Color;
use super::yuv::{Plane, YuvImage};

/// A filter tap: the first source position, and the weights of the positions from there on.
type Tap = (usize, [i32; 3]);

/// Converts `yuv` to RGB by the general path, into rows of `data` without padding.
pub(super) fn convert(yuv: &YuvImage, color: Color, data: &mut [u8]) {
    if nearest_column(yuv) {
        let direct = Direct { c: coefficients(color) };
        map_pixels(yuv, data, |y, u, v| direct.pixel(y, u, v));
    } else {
        let levels = levels(color);
        map_rows(yuv, data, |luma, u, v, out| table_row(luma, u, v, &levels, out));
    }
}

/// Whether chroma is of full width, or taken from the nearest column because the width is odd.
fn nearest_column(yuv: &YuvImage) -> bool {
    !yuv.half_width_chroma || yuv.width % 2 == 1
}

/// Calls `pixel` with luma and interpolated chroma of every pixel on the 15-bit scale, and writes the RGB that it gives
/// into rows of `data` without padding.
pub(super) fn map_pixels(yuv: &YuvImage, data: &mut [u8], pixel: impl Fn(i32, i32, i32) -> [u8; 3]) {
    let each = if yuv.half_width_chroma { 2 } else { 1 };
    map_rows(yuv, data, |luma, u, v, out| {
        for ((out, luma), (&u, &v)) in out.chunks_mut(3 * each).zip(luma.chunks(each)).zip(u.iter().zip(v)) {
            for (out, &y) in out.chunks_exact_mut(3).zip(luma) {
                out.copy_from_slice(&pixel(y, u, v));
            }
        }
    });
}

/// Calls `convert` for every row with luma, U and V on the 15-bit scale (chroma interpolated between rows, in its own
/// number of columns) and the row's RGB in `data`.
fn map_rows(yuv: &YuvImage, data: &mut [u8], convert: impl Fn(&[i32], &[i32], &[i32], &mut [u8])) {
    let rows = if yuv.half_height_chroma { row_taps(yuv.chroma_height(), yuv.height) } else { identity(yuv.height) };
    let (width, columns) = (yuv.width, yuv.chroma_width());
    let shift = 15 - i32::from(yuv.bit_depth.clamp(8, 15));
    let mono = yuv.planes[1].len() == 0;
    let shifted = yuv.left_sited_chroma && yuv.half_width_chroma && !nearest_column(yuv);
    let column_shift = shifted.then(|| ColumnTaps::new(columns));
    let mut lines = [1, 2].map(|plane| ChromaLines::new(&yuv.planes[plane], columns, shift, column_shift.as_ref()));
    let mut chroma = [vec![1 << 14; columns], vec![1 << 14; columns]];
    let mut luma = vec![0; width];
    for (row, out) in data.chunks_exact_mut(width * 3).enumerate() {
        widen(&yuv.planes[0], row * width, shift, &mut luma);
        if !mono {
            lines.iter_mut().zip(&mut chroma).for_each(|(lines, out)| lines.blend(&rows[row], out));
        }
        convert(&luma, &chroma[0], &chroma[1], out);
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
    columns: Option<&'a ColumnTaps>,
    /// The latest rows after the move, by row number modulo their count.
    latest: [(usize, Vec<i32>); 3],
    raw: Vec<i32>,
}

impl<'a> ChromaLines<'a> {
    fn new(plane: &'a Plane, columns: usize, shift: i32, taps: Option<&'a ColumnTaps>) -> Self {
        let latest = std::array::from_fn(|_| (usize::MAX, vec![0; columns]));
        ChromaLines { plane, shift, columns: taps, latest, raw: vec![0; columns + 2] }
    }

    /// Reads row `row` onto the 15-bit scale. Kept, because up to four rows of luma need it.
    fn row(&mut self, row: usize) {
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
                    taps.filter(&self.raw, self.shift, line);
                }
            }
        }
    }

    /// A weighted sum of two rows that follow each other: one of the outer weights is always zero.
    fn blend(&mut self, &(first, [a, b, c]): &Tap, out: &mut [i32]) {
        let (first, a, b) = if a == 0 { (first + 1, b, c) } else { (first, a, b) };
        let second = if b == 0 { first } else { first + 1 };
        self.row(first);
        self.row(second);
        let line = |row: usize| &self.latest[row % 3].1[..];
        blend_rows(line(first), a, line(second), b, out);
    }
}

/// Taps that move chroma from the left of its column pair to the middle. Between the edges they are all alike.
struct ColumnTaps {
    taps: Vec<Tap>,
    /// Columns whose taps have the same weights, one value further each.
    alike: Range<usize>,
}

impl ColumnTaps {
    fn new(columns: usize) -> Self {
        let taps = taps(columns, columns, 1 << 16, 1 << 15, 16_384);
        let follows = |pair: &[Tap]| pair[1] == (pair[0].0 + 1, pair[0].1);
        let start = taps.windows(2).position(follows).unwrap_or(columns);
        let length = taps[start..].windows(2).take_while(|pair| follows(pair)).count();
        let alike = start..(start + length + 1).min(columns);
        ColumnTaps { taps, alike }
    }

    /// Filters a row of `raw` values, two longer than `line`, onto the 15-bit scale.
    fn filter(&self, raw: &[i32], shift: i32, line: &mut [i32]) {
        let alike = self.alike.clone();
        for (out, (first, weights)) in line.iter_mut().zip(&self.taps).take(alike.start) {
            filter_row(&raw[*first..first + 3], weights, shift as u32, std::slice::from_mut(out));
        }
        if let Some((first, weights)) = self.taps.get(alike.start) {
            filter_row(&raw[*first..first + alike.len() + 2], weights, shift as u32, &mut line[alike.clone()]);
        }
        for (out, (first, weights)) in line.iter_mut().zip(&self.taps).skip(alike.end) {
            filter_row(&raw[*first..first + 3], weights, shift as u32, std::slice::from_mut(out));
        }
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

/// The table formula for subsampled chroma.
fn levels(color: Color) -> Levels {
    let full = color.full_range == Some(true);
    let luma = if full { 1 << 16 } else { (1 << 16) * 255 / 219 };
    let [rv, bu, gu, gv] = chroma_factors(color);
    // At most twice 16.16: everything fits into 31 bits.
    let factor = |x: i64| (((if full { x * 224 / 255 } else { x }) * (1 << 16) + 0x8000) / luma) as i32;
    let (first, offset) = if full { (384, 0) } else { (326, 16 << 16) };
    let start = (first * luma - (384 << 16) - offset + 0x8000) as i32;
    let (green_u, green_v) = (factor(-gu), factor(-gv));
    Levels { start, step: luma as i32, red_v: factor(rv), green_u, green_v, blue_u: factor(bu) }
}

/// The direct formula for full-resolution chroma.
struct Direct {
    c: Coefficients,
}

impl Direct {
    /// `y`, `u`, `v` on the 15-bit scale. Sums beyond 31 bits wrap around, as they do in FFmpeg.
    fn pixel(&self, y: i32, u: i32, v: i32) -> [u8; 3] {
        let c = self.c;
        let y = (y * 4 - (i32::from(c.luma_offset) << 6)).wrapping_mul(c.luma.into()).wrapping_add(1 << 21);
        let (u, v) = ((u - (128 << 7)) * 4, (v - (128 << 7)) * 4);
        let cut = |x: i32| if x < 0 { 0 } else { (x >> 22).min(255) as u8 };
        let add = |a: i32, factor: i16| i32::from(factor).wrapping_mul(a);
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
                assert!(weights[0] == 0 || weights[2] == 0, "{from} to {to}");
                let used = (0..3).filter(|&j| weights[j] != 0).max().unwrap_or(0);
                assert!(first + used < from, "{from} to {to}");
            }
        }
    }
}
