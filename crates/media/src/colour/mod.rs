//! Luma and chroma to RGB with the integer arithmetic of FFmpeg's scaler, so that pictures equal those of the tools
//! the reference models were trained and tested with.
//!
//! 8-bit 4:2:0 and 4:2:2 take FFmpeg's short path (nearest chroma, 13-bit coefficients, floor shifts), everything else
//! its general one (slow.rs). Both are byte-identical to FFmpeg 8, but for pictures of odd width and odd height and for
//! interlaced pictures on the general path.

mod slow;

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
        let [rv, bu, gu, gv] = factors(colour);
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

/// 16.16 factors of v to red, u to blue, u to green and v to green, for full-scale chroma of limited range.
fn factors(colour: Colour) -> [i64; 4] {
    match colour.matrix {
        Some(1) => [117_489, 138_438, 13_975, 34_925],
        Some(4) => [104_448, 132_798, 24_759, 53_109],
        Some(7) => [117_579, 136_230, 16_907, 35_559],
        Some(9 | 10) => [110_013, 140_363, 12_277, 42_626],
        _ => [104_597, 132_201, 25_675, 53_279],
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
    let mut data = vec![0u8; yuv.width * yuv.height * 3];
    match &yuv.planes {
        [Samples::Byte(y), Samples::Byte(u), Samples::Byte(v)] if yuv.half_columns && yuv.height.is_multiple_of(2) => {
            fast(yuv, Coefficients::new(colour), [y, u, v], &mut data);
        }
        _ => slow::convert(yuv, colour, &mut data),
    }
    Rgb { width: yuv.width as u32, height: yuv.height as u32, data }
}

/// FFmpeg's short path: 8 bits, chroma of half the columns, an even number of rows.
fn fast(yuv: &Yuv, c: Coefficients, planes: [&[u8]; 3], data: &mut [u8]) {
    let [luma, u, v] = planes;
    let (width, columns) = (yuv.width, yuv.chroma_width());
    let mut tints = vec![Tint::default(); columns];
    let mut tinted = usize::MAX;
    for (row, (out, luma)) in data.chunks_exact_mut(width * 3).zip(luma.chunks_exact(width)).enumerate() {
        let chroma_row = match (yuv.half_rows, yuv.interlaced && yuv.height.is_multiple_of(4)) {
            (true, true) => row / 4 * 2 + row % 2,
            (true, false) => row / 2,
            (false, _) => row,
        };
        if !u.is_empty() && tinted != chroma_row {
            let range = chroma_row * columns..(chroma_row + 1) * columns;
            tint(c, &u[range.clone()], &v[range], &mut tints);
            tinted = chroma_row;
        }
        for ((out, luma), tint) in out.chunks_mut(6).zip(luma.chunks(2)).zip(&tints) {
            for (out, &y) in out.chunks_exact_mut(3).zip(luma) {
                pixel(c, y.into(), *tint, out);
            }
        }
    }
}

/// Additions of a row of chroma.
fn tint(c: Coefficients, u: &[u8], v: &[u8], tints: &mut [Tint]) {
    for ((tint, &u), &v) in tints.iter_mut().zip(u).zip(v) {
        let (u, v) = ((i32::from(u) << 3) - 1024, (i32::from(v) << 3) - 1024);
        tint.red = (v * c.red_v) >> 16;
        tint.green = ((u * c.green_u) >> 16) + ((v * c.green_v) >> 16);
        tint.blue = (u * c.blue_u) >> 16;
    }
}

#[inline(always)]
fn pixel(c: Coefficients, y: i32, tint: Tint, out: &mut [u8]) {
    let y = (((y << 3) - c.luma_offset) * c.luma) >> 16;
    out[0] = (y + tint.red).clamp(0, 255) as u8;
    out[1] = (y + tint.green).clamp(0, 255) as u8;
    out[2] = (y + tint.blue).clamp(0, 255) as u8;
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

    /// A progressive picture whose colours have half its width and height, sited in the middle.
    fn halved(width: usize, height: usize, depth: u8, planes: [Samples; 3]) -> Yuv {
        Yuv { width, height, depth, half_columns: true, half_rows: true, interlaced: false, left: false, planes }
    }

    /// Every matrix, both ranges, against what FFmpeg gives (reference/make_codec_goldens.py).
    #[test]
    fn single_pixels_equal_ffmpegs() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/data/codec/colour.txt");
        let text = std::fs::read_to_string(path).unwrap();
        let mut lines = 0;
        for line in text.lines() {
            let n: Vec<u8> = line.split(' ').map(|w| w.parse().unwrap()).collect();
            let planes = [vec![n[2]; 4], vec![n[3]], vec![n[4]]].map(Samples::Byte);
            let yuv = halved(2, 2, 8, planes);
            let rgb = to_rgb(&yuv, colour(n[0], n[1] == 1));
            assert_eq!(rgb.data[..3], n[5..8], "{line}");
            lines += 1;
        }
        assert!(lines > 3000);
    }

    #[test]
    fn grey_stays_grey_at_every_depth() {
        for (depth, black, white) in [(8u8, 16u16, 235u16), (10, 64, 940), (12, 256, 3760)] {
            let neutral = 128u16 << (depth - 8);
            for (level, expect) in [(black, 0u8), (white, 254)] {
                let planes = if depth == 8 {
                    [vec![level as u8; 8], vec![128; 2], vec![128; 2]].map(Samples::Byte)
                } else {
                    [vec![level; 8], vec![neutral; 2], vec![neutral; 2]].map(Samples::Word)
                };
                let yuv = halved(4, 2, depth, planes);
                let rgb = to_rgb(&yuv, colour(1, false));
                assert!(rgb.data.iter().all(|&v| v.abs_diff(expect) <= 1), "{depth} bits: {:?}", rgb.data);
            }
        }
    }

    #[test]
    fn odd_widths_use_the_last_chroma_sample() {
        let planes = [vec![128u8; 6], vec![128, 255], vec![128, 128]].map(Samples::Byte);
        let yuv = halved(3, 2, 8, planes);
        let rgb = to_rgb(&yuv, colour(6, true));
        assert_eq!(rgb.data[..6], [128u8; 6]);
        assert_eq!((rgb.data[6], rgb.data[8], rgb.data[17]), (128, 255, 255));
    }

    #[test]
    fn monochrome_is_grey() {
        let planes = [vec![128u8; 4], Vec::new(), Vec::new()].map(Samples::Byte);
        let yuv = Yuv {
            width: 2,
            height: 2,
            depth: 8,
            half_columns: false,
            half_rows: false,
            interlaced: false,
            left: false,
            planes,
        };
        let rgb = to_rgb(&yuv, colour(6, true));
        assert!(rgb.data.iter().all(|&v| v == 128), "{:?}", rgb.data);
    }
}
