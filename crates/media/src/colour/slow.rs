//! FFmpeg's general path, taken for samples of more than 8 bits, odd heights and full-resolution chroma.
//!
//! Subsampled chroma is interpolated between rows (bilinear, 12-bit weights) and, where it is sited on the left of its
//! two columns, moved by a quarter of a sample (14-bit weights); samples are brought to 8 bits, and RGB comes from
//! tables in which chroma shifts the index of luma; so 8-bit white is 253 here, and that is what the tools of the
//! reference models see. Full-resolution chroma takes the direct formula with 13-bit coefficients and rounding. Widths
//! that are odd as well take their chroma from the nearest column instead of interpolating between columns.

use super::{Coefficients, factors};
use crate::track::Colour;
use crate::yuv::{Samples, Yuv};

/// Weights of one row: first source row and the weights of the rows from there on (sum 4096).
type Tap = (usize, [i32; 3]);

/// RGB of `yuv` by the general path, into dense rows of `data`.
pub(super) fn convert(yuv: &Yuv, colour: Colour, data: &mut [u8]) {
    let rows = if yuv.half_rows { row_taps(yuv.chroma_height(), yuv.height) } else { identity(yuv.height) };
    let tables = Tables::new(colour);
    let direct = Direct { c: Coefficients::new(colour) };
    let full = !yuv.half_columns || yuv.width % 2 == 1;
    let (width, columns) = (yuv.width, yuv.chroma_width());
    let shift = 15 - i32::from(yuv.depth.clamp(8, 15));
    let mono = yuv.planes[1].len() == 0;
    let mut chroma = [vec![1 << 14; columns], vec![1 << 14; columns]];
    let moves = (yuv.left && yuv.half_columns && !full).then(|| column_taps(columns));
    let (mut luma, mut scratch) = (vec![0; width], vec![0; columns]);
    for (row, out) in data.chunks_exact_mut(width * 3).enumerate() {
        widen(&yuv.planes[0], row * width, shift, &mut luma);
        if !mono {
            for (plane, line) in chroma.iter_mut().enumerate() {
                blend(&yuv.planes[plane + 1], &rows[row], shift, moves.as_deref(), &mut scratch, line);
            }
        }
        for (x, out) in out.chunks_exact_mut(3).enumerate() {
            let at = if yuv.half_columns { x / 2 } else { x };
            let (y, u, v) = (luma[x], chroma[0][at], chroma[1][at]);
            let rgb = if full { direct.pixel(y, u, v) } else { tables.pixel(y, u, v) };
            out.copy_from_slice(&rgb);
        }
    }
}

fn sample(samples: &Samples, at: usize) -> i32 {
    match samples {
        Samples::Byte(v) => i32::from(v[at]),
        Samples::Word(v) => i32::from(v[at]),
    }
}

/// A row of samples on the 15-bit scale.
fn widen(samples: &Samples, start: usize, shift: i32, line: &mut [i32]) {
    for (x, out) in line.iter_mut().enumerate() {
        *out = sample(samples, start + x) << shift;
    }
}

/// A row of chroma on the 15-bit scale, moved to the middle of its column pairs where `columns` says how.
fn chroma_row(samples: &Samples, row: usize, shift: i32, columns: Option<&[Tap]>, line: &mut [i32]) {
    let start = row * line.len();
    let Some(taps) = columns else { return widen(samples, start, shift, line) };
    for (out, (first, weights)) in line.iter_mut().zip(taps) {
        let parts = weights.iter().enumerate().filter(|(_, w)| **w != 0);
        let sum: i64 = parts.map(|(j, w)| i64::from(sample(samples, start + first + j)) * i64::from(*w)).sum();
        *out = ((sum << shift) >> 14).min(32_767) as i32;
    }
}

/// A weighted sum of rows.
fn blend(samples: &Samples, tap: &Tap, shift: i32, columns: Option<&[Tap]>, scratch: &mut [i32], line: &mut [i32]) {
    let (first, weights) = tap;
    line.fill(0);
    for (j, &weight) in weights.iter().enumerate().filter(|(_, w)| **w != 0) {
        chroma_row(samples, first + j, shift, columns, scratch);
        line.iter_mut().zip(&*scratch).for_each(|(out, value)| *out += value * weight);
    }
    line.iter_mut().for_each(|out| *out >>= 12);
}

fn identity(rows: usize) -> Vec<Tap> {
    (0..rows).map(|row| (row, [4096, 0, 0])).collect()
}

/// Weights of `to` rows over `from` rows of chroma that lies between the luma rows.
fn row_taps(from: usize, to: usize) -> Vec<Tap> {
    let step = (((from as i64) << 16) + (to as i64 >> 1)) / to as i64;
    taps(from, to, step, step - (1 << 16), 4096)
}

/// Weights that move chroma from the left of its column pair to the middle.
fn column_taps(columns: usize) -> Vec<Tap> {
    taps(columns, columns, 1 << 16, 1 << 15, 16_384)
}

/// Bilinear weights (sum `sum`) in FFmpeg's arithmetic: `to` places over `from` samples, the first at `position` and
/// the next ones `step` further (sample distance 2^16, positions doubled).
fn taps(from: usize, to: usize, step: i64, mut position: i64, sum: i64) -> Vec<Tap> {
    let size = 3.min(from.saturating_sub(2)).max(1) as i64;
    let last = from as i64 - 1;
    let mut taps = Vec::with_capacity(to);
    for _ in 0..to {
        let first = (position - (size - 2) * (1 << 16)) / (1 << 17);
        let raw = |j: i64| (1i64 << 30) - ((((first + j) * (1 << 17)) - position).abs() << 13);
        let weights: Vec<i64> = (0..size).map(|j| raw(j).max(0) << 24).collect();
        let one = ((weights.iter().sum::<i64>() + sum / 2) / sum).max(1);
        // Samples beyond the edge count as the edge sample.
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

/// The table path: chroma moves the index of luma in a table of 8-bit levels.
struct Tables {
    luma: i64,
    start: i64,
    red_v: i64,
    green_u: i64,
    green_v: i64,
    blue_u: i64,
}

impl Tables {
    fn new(colour: Colour) -> Self {
        let full = colour.full_range == Some(true);
        let luma = if full { 1 << 16 } else { (1 << 16) * 255 / 219 };
        let [rv, bu, gu, gv] = factors(colour);
        let part = |x: i64| ((if full { x * 224 / 255 } else { x }) * (1 << 16) + 0x8000) / luma;
        let (first, offset) = if full { (384, 0) } else { (326, 16 << 16) };
        let start = first * luma - (384 << 16) - offset + 0x8000;
        Tables { luma, start, red_v: part(rv), green_u: part(-gu), green_v: part(-gv), blue_u: part(bu) }
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

/// The direct path for full-resolution chroma.
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
    fn weights_always_sum_to_one_inside_the_picture() {
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
