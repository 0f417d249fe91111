//! Luma and chroma to RGB with the integer arithmetic of FFmpeg's scaler, so that pictures equal those of the tools
//! the reference models were trained and tested with.
//!
//! For 8-bit 4:2:0 the result is byte-identical to FFmpeg's (nearest chroma, 13-bit coefficients, floor shifts).
//! Deeper samples keep their extra bits until the last shift; tests state how far FFmpeg's slower path is from that.

use crate::frame::Rgb;
use crate::track::Colour;
use crate::yuv::{Samples, Yuv};

/// The integer coefficients of one matrix and range.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Coefficients {
    luma: i32,
    luma_offset: i32,
    red_v: i32,
    green_u: i32,
    green_v: i32,
    blue_u: i32,
}

impl Coefficients {
    /// Coefficients for a colour description; untagged is BT.601 limited range, as FFmpeg takes it.
    pub(crate) fn new(colour: Colour) -> Self {
        // 16.16 factors of v to red, u to blue, u to green, v to green, for full-scale chroma of limited range.
        let [rv, bu, gu, gv]: [i64; 4] = match colour.matrix {
            Some(1) => [117_489, 138_438, 13_975, 34_925],
            Some(4) => [104_448, 132_798, 24_759, 53_109],
            Some(7) => [117_579, 136_230, 16_907, 35_559],
            Some(9 | 10) => [110_013, 140_363, 12_277, 42_626],
            _ => [104_597, 132_201, 25_675, 53_279],
        };
        let full = colour.full_range == Some(true);
        let round = |x: i64| ((x * (1 << 13) + (1 << 15)) >> 16) as i32;
        let chroma = |x: i64| round(if full { x * 224 / 255 } else { x });
        Coefficients {
            luma: round(if full { 1 << 16 } else { (1 << 16) * 255 / 219 }),
            luma_offset: if full { 0 } else { 128 },
            red_v: chroma(rv),
            green_u: chroma(-gu),
            green_v: chroma(-gv),
            blue_u: chroma(bu),
        }
    }
}

/// Additions of one chroma sample to red, green and blue.
#[derive(Clone, Copy, Default)]
struct Tint {
    red: i32,
    green: i32,
    blue: i32,
}

/// `yuv` as RGB.
pub(crate) fn to_rgb(yuv: &Yuv, colour: Colour) -> Rgb {
    let c = Coefficients::new(colour);
    let mut data = vec![0u8; yuv.width * yuv.height * 3];
    match &yuv.planes {
        [Samples::Byte(y), Samples::Byte(u), Samples::Byte(v)] => convert(yuv, c, 0, [y, u, v], &mut data),
        [Samples::Word(y), Samples::Word(u), Samples::Word(v)] => {
            convert(yuv, c, u32::from(yuv.depth.clamp(8, 16) - 8), [y, u, v], &mut data);
        }
        // Decoders give all planes in one form; monochrome has empty chroma planes of the same form.
        _ => {}
    }
    Rgb { width: yuv.width as u32, height: yuv.height as u32, data }
}

/// The conversion for samples of `8 + extra` bits.
fn convert<T: Copy + Into<i32>>(yuv: &Yuv, c: Coefficients, extra: u32, planes: [&[T]; 3], data: &mut [u8]) {
    let [luma, u, v] = planes;
    let (width, columns) = (yuv.width, yuv.chroma_width());
    let mut tints = vec![Tint::default(); columns];
    let mut tinted = usize::MAX;
    for (row, (out, luma)) in data.chunks_exact_mut(width * 3).zip(luma.chunks_exact(width)).enumerate() {
        let chroma_row = if yuv.half_rows { row / 2 } else { row };
        if !u.is_empty() && tinted != chroma_row {
            let range = chroma_row * columns..(chroma_row + 1) * columns;
            tint(c, extra, &u[range.clone()], &v[range], &mut tints);
            tinted = chroma_row;
        }
        if yuv.half_columns {
            let (pairs, luma_pairs) = (out.chunks_mut(6), luma.chunks(2));
            for ((out, luma), tint) in pairs.zip(luma_pairs).zip(&tints) {
                for (out, &y) in out.chunks_exact_mut(3).zip(luma) {
                    pixel(c, extra, y.into(), *tint, out);
                }
            }
        } else {
            for ((out, &y), tint) in out.chunks_exact_mut(3).zip(luma).zip(&tints) {
                pixel(c, extra, y.into(), *tint, out);
            }
        }
    }
}

/// Additions of a row of chroma.
fn tint<T: Copy + Into<i32>>(c: Coefficients, extra: u32, u: &[T], v: &[T], tints: &mut [Tint]) {
    let (centre, shift) = (1024 << extra, 16 + extra);
    for ((tint, &u), &v) in tints.iter_mut().zip(u).zip(v) {
        let (u, v) = ((u.into() << 3) - centre, (v.into() << 3) - centre);
        tint.red = mul(v, c.red_v, shift);
        tint.green = mul(u, c.green_u, shift) + mul(v, c.green_v, shift);
        tint.blue = mul(u, c.blue_u, shift);
    }
}

#[inline(always)]
fn pixel(c: Coefficients, extra: u32, y: i32, tint: Tint, out: &mut [u8]) {
    let y = mul((y << 3) - (c.luma_offset << extra), c.luma, 16 + extra);
    out[0] = (y + tint.red).clamp(0, 255) as u8;
    out[1] = (y + tint.green).clamp(0, 255) as u8;
    out[2] = (y + tint.blue).clamp(0, 255) as u8;
}

/// `a * b >> shift`, without overflow for samples of up to 16 bits.
#[inline(always)]
fn mul(a: i32, b: i32, shift: u32) -> i32 {
    if shift == 16 { (a * b) >> 16 } else { ((i64::from(a) * i64::from(b)) >> shift) as i32 }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn colour(matrix: u8, full: bool) -> Colour {
        Colour { matrix: Some(matrix), full_range: Some(full), ..Colour::default() }
    }

    #[test]
    fn coefficients_are_the_published_ones() {
        let c = Coefficients::new(Colour::default());
        assert_eq!((c.luma, c.luma_offset), (9539, 128));
        assert_eq!((c.red_v, c.blue_u, c.green_v, c.green_u), (13_075, 16_525, -6660, -3209));
        let c = Coefficients::new(colour(1, false));
        assert_eq!((c.red_v, c.blue_u, c.green_v, c.green_u), (14_686, 17_305, -4366, -1747));
    }

    #[test]
    fn grey_stays_grey_at_every_depth() {
        for (depth, black, white) in [(8u8, 16u16, 235u16), (10, 64, 940), (12, 256, 3760)] {
            let neutral = 128u16 << (depth - 8);
            for (level, expect) in [(black, 0u8), (white, 254)] {
                let planes = if depth == 8 {
                    [vec![level as u8; 6], vec![128; 2], vec![128; 2]].map(Samples::Byte)
                } else {
                    [vec![level; 6], vec![neutral; 2], vec![neutral; 2]].map(Samples::Word)
                };
                let yuv = Yuv { width: 3, height: 2, depth, half_columns: true, half_rows: true, planes };
                let rgb = to_rgb(&yuv, colour(1, false));
                assert!(rgb.data.iter().all(|&v| v.abs_diff(expect) <= 1), "{depth} bits: {:?}", rgb.data);
            }
        }
    }

    #[test]
    fn odd_sizes_use_the_last_chroma_sample() {
        let planes = [vec![128u8; 9], vec![128, 128, 128, 255], vec![128; 4]].map(Samples::Byte);
        let yuv = Yuv { width: 3, height: 3, depth: 8, half_columns: true, half_rows: true, planes };
        let rgb = to_rgb(&yuv, colour(6, true));
        assert_eq!(&rgb.data[..24], &[128u8; 24][..]);
        assert_eq!(rgb.data[26], 255);
    }
}
