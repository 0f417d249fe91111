//! Rows of YUV to rows of RGB, in the fixed-point arithmetic of FFmpeg's scaler (libswscale).
//!
//! Chroma has half the width: one value of U and V for two of luma. RGB rows have three bytes a pixel.

use crate::isa::per_isa;

/// Pixels converted at a time; an even number. Their channels stay in registers or the first cache.
const BLOCK: usize = 64;

/// Coefficients of 8-bit YUV in 3.13 fixed point.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Coefficients {
    /// Factor of luma.
    pub luma: i16,
    /// Black level of luma times 8.
    pub luma_offset: i16,
    /// Factor of V in red.
    pub red_v: i16,
    /// Factor of U in green.
    pub green_u: i16,
    /// Factor of V in green.
    pub green_v: i16,
    /// Factor of U in blue.
    pub blue_u: i16,
}

/// Coefficients of the table formula: chroma shifts the index of luma in a line of levels.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Levels {
    /// Level of index 0 in 16.16 fixed point.
    pub start: i32,
    /// Levels between two indices in 16.16 fixed point.
    pub step: i32,
    /// Indices that a step of V shifts red, in 16.16 fixed point.
    pub red_v: i32,
    /// Indices that a step of U shifts green.
    pub green_u: i32,
    /// Indices that a step of V shifts green.
    pub green_v: i32,
    /// Indices that a step of U shifts blue.
    pub blue_u: i32,
}

per_isa! {
    /// A row of 8-bit pixels, chroma of the nearest column: `(8 y - offset) luma >> 16` plus `8 (u - 128) factor >> 16`
    /// and the same of `v`.
    ///
    /// `luma` has one value a pixel, `u` and `v` one for two pixels (rounded up), `out` three bytes a pixel.
    ///
    /// # Panics
    /// When the lengths do not fit together.
    pub fn nearest_row / nearest_row_at(luma: &[u8], u: &[u8], v: &[u8], c: &Coefficients, out: &mut [u8]) {
        let columns = luma.len().div_ceil(2);
        assert!(u.len() == columns && v.len() == columns && out.len() == 3 * luma.len(), "a row of {}", luma.len());
        let chroma = u.chunks(BLOCK / 2).zip(v.chunks(BLOCK / 2));
        for ((luma, out), (u, v)) in luma.chunks(BLOCK).zip(out.chunks_mut(3 * BLOCK)).zip(chroma) {
            let high = |a: i16, b: i16| ((i32::from(a) * i32::from(b)) >> 16) as i16;
            let mut terms = [[0i16; BLOCK / 2]; 3];
            let [red, green, blue] = &mut terms;
            for ((((red, green), blue), &u), &v) in red.iter_mut().zip(green).zip(blue).zip(u).zip(v) {
                let (u, v) = ((i16::from(u) << 3) - 1024, (i16::from(v) << 3) - 1024);
                *red = high(v, c.red_v);
                *green = high(u, c.green_u) + high(v, c.green_v);
                *blue = high(u, c.blue_u);
            }
            let mut levels = [0i16; BLOCK];
            for (level, &y) in levels.iter_mut().zip(luma) {
                *level = high((i16::from(y) << 3) - c.luma_offset, c.luma);
            }
            let mut planes = [[0u8; BLOCK]; 3];
            for (plane, terms) in planes.iter_mut().zip(&terms) {
                for ((out, levels), &term) in plane.chunks_exact_mut(2).zip(levels.chunks_exact(2)).zip(terms) {
                    out[0] = (levels[0] + term).clamp(0, 255) as u8;
                    out[1] = (levels[1] + term).clamp(0, 255) as u8;
                }
            }
            interleave(&planes, out);
        }
    }
}

per_isa! {
    /// A row by the table formula. `luma`, `u` and `v` are on the 15-bit scale; `u` and `v` have one value for two
    /// pixels, `out` three bytes a pixel.
    ///
    /// # Panics
    /// When the lengths do not fit together.
    pub fn table_row / table_row_at(luma: &[i32], u: &[i32], v: &[i32], c: &Levels, out: &mut [u8]) {
        let columns = luma.len().div_ceil(2);
        assert!(u.len() == columns && v.len() == columns && out.len() == 3 * luma.len(), "a row of {}", luma.len());
        let chroma = u.chunks(BLOCK / 2).zip(v.chunks(BLOCK / 2));
        for ((luma, out), (u, v)) in luma.chunks(BLOCK).zip(out.chunks_mut(3 * BLOCK)).zip(chroma) {
            let shift = |chroma: i32, factor: i32| ((chroma * factor) >> 16) - (factor >> 9);
            let mut terms = [[0i32; BLOCK / 2]; 3];
            let [red, green, blue] = &mut terms;
            for ((((red, green), blue), &u), &v) in red.iter_mut().zip(green).zip(blue).zip(u).zip(v) {
                let (u, v) = (((u + 64) >> 7).clamp(0, 255), ((v + 64) >> 7).clamp(0, 255));
                *red = shift(v, c.red_v);
                *green = shift(u, c.green_u) + shift(v, c.green_v);
                *blue = shift(u, c.blue_u);
            }
            let mut indices = [0i32; BLOCK];
            for (index, &y) in indices.iter_mut().zip(luma) {
                *index = (y + 64) >> 7;
            }
            let mut planes = [[0u8; BLOCK]; 3];
            for (plane, terms) in planes.iter_mut().zip(&terms) {
                for ((out, indices), &term) in plane.chunks_exact_mut(2).zip(indices.chunks_exact(2)).zip(terms) {
                    out[0] = ((c.start + (indices[0] + term) * c.step) >> 16).clamp(0, 255) as u8;
                    out[1] = ((c.start + (indices[1] + term) * c.step) >> 16).clamp(0, 255) as u8;
                }
            }
            interleave(&planes, out);
        }
    }
}

per_isa! {
    /// A filter of three taps: `out[x] = min((a values[x] + b values[x + 1] + c values[x + 2]) << shift >> 14, 32767)`.
    ///
    /// Weights sum to 16384, and values have `15 - shift` bits, so that no sum leaves 31 bits.
    ///
    /// # Panics
    /// When `values` is not two longer than `out`.
    pub fn filter_row / filter_row_at(values: &[i32], weights: &[i32; 3], shift: u32, out: &mut [i32]) {
        assert!(values.len() == out.len() + 2, "{} values for {}", values.len(), out.len());
        let [a, b, c] = *weights;
        for (out, values) in out.iter_mut().zip(values.windows(3)) {
            *out = (((values[0] * a + values[1] * b + values[2] * c) << shift) >> 14).min(32_767);
        }
    }
}

per_isa! {
    /// A weighted sum of two rows of one length, weights in 12 bits: `out = (a first + b second) >> 12`.
    ///
    /// # Panics
    /// When the lengths differ.
    pub fn blend_rows / blend_rows_at(first: &[i32], a: i32, second: &[i32], b: i32, out: &mut [i32]) {
        assert!(first.len() == out.len() && second.len() == out.len(), "rows of one length");
        for ((out, first), second) in out.iter_mut().zip(first).zip(second) {
            *out = (first * a + second * b) >> 12;
        }
    }
}

/// Pixels of three channels; `out` may end earlier than a block.
#[inline(always)]
fn interleave(planes: &[[u8; BLOCK]; 3], out: &mut [u8]) {
    let [red, green, blue] = planes;
    if let Ok(out) = <&mut [u8; 3 * BLOCK]>::try_from(&mut *out) {
        for x in 0..BLOCK {
            out[3 * x] = red[x];
            out[3 * x + 1] = green[x];
            out[3 * x + 2] = blue[x];
        }
        return;
    }
    for (((out, &red), &green), &blue) in out.chunks_exact_mut(3).zip(red).zip(green).zip(blue) {
        out.copy_from_slice(&[red, green, blue]);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::isa::Isa;

    /// Values that repeat late and reach both ends.
    fn noise(count: usize, limit: u32) -> Vec<i32> {
        (0..count as u32).map(|i| ((i.wrapping_mul(2_654_435_761) >> 8) % limit) as i32).collect()
    }

    fn bytes(count: usize) -> Vec<u8> {
        noise(count, 256).into_iter().map(|v| v as u8).collect()
    }

    const NEAREST: Coefficients =
        Coefficients { luma: 9539, luma_offset: 128, red_v: 13_075, green_u: -3209, green_v: -6660, blue_u: 16_525 };

    #[test]
    fn every_isa_takes_the_nearest_chroma_at_every_width() {
        let c = NEAREST;
        for width in (1..200).chain([1280, 1919]) {
            let (luma, u, v) =
                (bytes(width), bytes(width.div_ceil(2)), bytes(3 * width)[width..][..width.div_ceil(2)].to_vec());
            let pixel = |x: usize| {
                let [y, u, v] = [luma[x], u[x / 2], v[x / 2]].map(i32::from);
                let high = |a: i32, b: i16| (a * i32::from(b)) >> 16;
                let (y, u, v) = (high(8 * y - i32::from(c.luma_offset), c.luma), 8 * u - 1024, 8 * v - 1024);
                [y + high(v, c.red_v), y + (high(u, c.green_u) + high(v, c.green_v)), y + high(u, c.blue_u)]
            };
            let expected: Vec<u8> = (0..width).flat_map(pixel).map(|v| v.clamp(0, 255) as u8).collect();
            for isa in Isa::available() {
                let mut out = vec![0; 3 * width];
                nearest_row_at(isa, &luma, &u, &v, &c, &mut out);
                assert!(out == expected, "{isa:?} at {width}");
            }
        }
    }

    #[test]
    fn every_isa_takes_the_table_formula_at_every_width() {
        let c = Levels {
            start: -6_029_312,
            step: 76_309,
            red_v: 89_830,
            green_u: -22_050,
            green_v: -45_757,
            blue_u: 113_538,
        };
        for width in (1..200).chain([1280, 1919]) {
            let luma = noise(width, 1 << 15);
            let (u, v) = (noise(width.div_ceil(2), 1 << 15), noise(width.div_ceil(2) + 7, 1 << 15)[7..].to_vec());
            let pixel = |x: usize| {
                let eight = |value: i32| i64::from((value + 64) >> 7);
                let (y, u, v) = (eight(luma[x]), eight(u[x / 2]).clamp(0, 255), eight(v[x / 2]).clamp(0, 255));
                let shift = |chroma: i64, factor: i32| ((chroma * i64::from(factor)) >> 16) - i64::from(factor >> 9);
                [shift(v, c.red_v), shift(u, c.green_u) + shift(v, c.green_v), shift(u, c.blue_u)]
                    .map(|term| ((i64::from(c.start) + (y + term) * i64::from(c.step)) >> 16).clamp(0, 255) as u8)
            };
            let expected: Vec<u8> = (0..width).flat_map(pixel).collect();
            for isa in Isa::available() {
                let mut out = vec![0; 3 * width];
                table_row_at(isa, &luma, &u, &v, &c, &mut out);
                assert!(out == expected, "{isa:?} at {width}");
            }
        }
    }

    /// The largest sums stay inside 31 bits at every depth.
    #[test]
    fn every_isa_filters_and_blends() {
        for depth in 8..=15 {
            let (values, weights) = ([noise(70, 1 << depth), vec![(1 << depth) - 1; 5]].concat(), [12_288, 4096, 0]);
            let shift = 15 - depth;
            let expected: Vec<i32> = (0..73)
                .map(|x| (0..3).map(|j| i64::from(values[x + j]) * i64::from(weights[j])).sum::<i64>())
                .map(|sum| ((sum << shift) >> 14).min(32_767) as i32)
                .collect();
            let (first, second) = (noise(73, 1 << 15), vec![32_767; 73]);
            let blended: Vec<i32> = first.iter().zip(&second).map(|(a, b)| (a * 1024 + b * 3072) >> 12).collect();
            for isa in Isa::available() {
                let mut out = vec![0; 73];
                filter_row_at(isa, &values, &weights, shift, &mut out);
                assert_eq!(out, expected, "{isa:?} at {depth} bits");
                blend_rows_at(isa, &first, 1024, &second, 3072, &mut out);
                assert_eq!(out, blended, "{isa:?}");
            }
        }
    }
}
