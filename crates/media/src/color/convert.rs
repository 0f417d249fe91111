//! Color conversion from YUV to RGB.
//!
//! - High dynamic range is shown as standard dynamic range (`hdr.rs`), unless the caller wants its signal.
//! - RGB and YCgCo coded as planes take the definition of their matrix (`matrix.rs`).
//! - 8-bit 4:2:0 and 4:2:2 take FFmpeg's short path: nearest chroma, 13-bit coefficients, floor shifts.
//! - Everything else takes FFmpeg's general path (`general.rs`).
//!
//! The last two are byte-identical to FFmpeg 8, except for frames of odd width and odd height, and for interlaced
//! frames on the general path.

use zoetrope_kernels::image::yuv::{Coefficients, nearest_row};

use super::coefficients::coefficients;
use super::description::Color;
use super::general;
use super::hdr::{ToneMap, Transfer};
use super::matrix::{Affine, Matrix, to_byte};
use super::yuv::{Plane, YuvImage};
use crate::frame::Rgb;

/// Converts `yuv` to 8-bit RGB. `tone_map` says whether high dynamic range is shown as standard dynamic range;
/// otherwise its signal is converted as if it were.
pub(crate) fn to_rgb(yuv: &YuvImage, color: Color, tone_map: bool) -> Rgb {
    let mut data = vec![0u8; yuv.width * yuv.height * 3];
    let matrix = Matrix::new(color, yuv.subsampling() != "4:4:4");
    let affine = Affine::new(matrix, color.full_range, yuv.bit_depth);
    if let Some(transfer) = Transfer::new(color.transfer).filter(|_| tone_map) {
        let map = ToneMap::new(transfer, affine, color.primaries);
        general::map_pixels(yuv, &mut data, |y, u, v| map.pixel(y, u, v));
    } else if let Matrix::Luma { .. } = matrix {
        match &yuv.planes {
            [Plane::U8(y), Plane::U8(u), Plane::U8(v)] if yuv.half_width_chroma && yuv.height.is_multiple_of(2) => {
                short_path(yuv, coefficients(color), [y, u, v], &mut data);
            }
            _ => general::convert(yuv, color, &mut data),
        }
    } else {
        general::map_pixels(yuv, &mut data, |y, u, v| affine.rgb(y, u, v).map(to_byte));
    }
    Rgb { width: yuv.width as u32, height: yuv.height as u32, data }
}

/// FFmpeg's short path: 8 bits, chroma of half the width, an even number of rows.
fn short_path(yuv: &YuvImage, c: Coefficients, planes: [&[u8]; 3], data: &mut [u8]) {
    let [luma, u, v] = planes;
    let (width, columns) = (yuv.width, yuv.chroma_width());
    let neutral = vec![128; if u.is_empty() { columns } else { 0 }];
    for (row, (out, luma)) in data.chunks_exact_mut(width * 3).zip(luma.chunks_exact(width)).enumerate() {
        let chroma_row = match (yuv.half_height_chroma, yuv.interlaced && yuv.height.is_multiple_of(4)) {
            (true, true) => row / 4 * 2 + row % 2,
            (true, false) => row / 2,
            (false, _) => row,
        };
        let chroma = chroma_row * columns..(chroma_row + 1) * columns;
        let [u, v] = if u.is_empty() { [&neutral[..]; 2] } else { [&u[chroma.clone()], &v[chroma]] };
        nearest_row(luma, u, v, &c, out);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn color(matrix: u8, full: bool) -> Color {
        Color { matrix: Some(matrix), full_range: Some(full), ..Color::default() }
    }

    /// A progressive 4:2:0 image whose chroma is sited between the columns.
    fn yuv420(width: usize, height: usize, bit_depth: u8, planes: [Plane; 3]) -> YuvImage {
        YuvImage {
            width,
            height,
            bit_depth,
            half_width_chroma: true,
            half_height_chroma: true,
            interlaced: false,
            left_sited_chroma: false,
            planes,
        }
    }

    /// Every matrix, both ranges, against what FFmpeg gives (reference/make_codec_goldens.py).
    #[test]
    fn single_pixels_equal_those_of_ffmpeg() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/golden/codec/color.txt");
        let text = std::fs::read_to_string(path).unwrap();
        let mut lines = 0;
        for line in text.lines() {
            let n: Vec<u8> = line.split(' ').map(|w| w.parse().unwrap()).collect();
            let planes = [vec![n[2]; 4], vec![n[3]], vec![n[4]]].map(Plane::U8);
            let yuv = yuv420(2, 2, 8, planes);
            let rgb = to_rgb(&yuv, color(n[0], n[1] == 1), true);
            assert_eq!(rgb.data[..3], n[5..8], "{line}");
            lines += 1;
        }
        assert!(lines > 3000);
    }

    #[test]
    fn gray_stays_gray_at_every_depth() {
        for (depth, black, white) in [(8u8, 16u16, 235u16), (10, 64, 940), (12, 256, 3760)] {
            let neutral = 128u16 << (depth - 8);
            for (level, expect) in [(black, 0u8), (white, 254)] {
                let planes = if depth == 8 {
                    [vec![level as u8; 8], vec![128; 2], vec![128; 2]].map(Plane::U8)
                } else {
                    [vec![level; 8], vec![neutral; 2], vec![neutral; 2]].map(Plane::U16)
                };
                let yuv = yuv420(4, 2, depth, planes);
                let rgb = to_rgb(&yuv, color(1, false), true);
                assert!(rgb.data.iter().all(|&v| v.abs_diff(expect) <= 1), "{depth} bits: {:?}", rgb.data);
            }
        }
    }

    /// Planes of RGB and of YCgCo do not reach the paths for luma and color differences.
    #[test]
    fn planes_of_rgb_and_of_ycgco_take_their_own_matrix() {
        let image = |planes: [u16; 3], depth: u8| {
            let planes = planes.map(|v| if depth == 8 { Plane::U8(vec![v as u8; 4]) } else { Plane::U16(vec![v; 4]) });
            YuvImage { half_width_chroma: false, half_height_chroma: false, ..yuv420(2, 2, depth, planes) }
        };
        for (depth, full, codes) in [(8, true, [0, 0, 255]), (10, false, [64, 64, 940]), (12, true, [0, 0, 4095])] {
            let rgb = to_rgb(&image(codes, depth), color(0, full), true);
            assert_eq!(rgb.data[..3], [255, 0, 0], "{depth} bits");
        }
        // Red in YCgCo: a quarter of luma, a negative quarter of green difference, half of orange difference.
        let rgb = to_rgb(&image([64, 64, 255], 8), color(8, true), true);
        assert!(rgb.data[0] >= 253 && rgb.data[1] <= 2 && rgb.data[2] <= 2, "{:?}", rgb.data);
        let planes = [vec![64u8; 4], vec![64], vec![255]].map(Plane::U8);
        assert_eq!(to_rgb(&yuv420(2, 2, 8, planes), color(8, true), true).data, rgb.data);
    }

    #[test]
    fn high_dynamic_range_is_tone_mapped_or_left() {
        let planes = || [vec![502; 4], vec![512], vec![512]].map(Plane::U16);
        let pq = Color { transfer: Some(16), primaries: Some(9), ..color(9, false) };
        let [mapped, kept, plain] = [(pq, true), (pq, false), (color(9, false), true)]
            .map(|(color, tone_map)| to_rgb(&yuv420(2, 2, 10, planes()), color, tone_map).data);
        assert_eq!(kept, plain);
        // Half of the PQ signal is 92 cd/m2: the signal itself is 127, on a display with a white of 203 cd/m2 it is
        // 184.
        assert!(kept[0].abs_diff(127) <= 2 && mapped[0].abs_diff(184) <= 2, "{} {}", kept[0], mapped[0]);
    }

    #[test]
    fn odd_widths_use_the_last_chroma_column() {
        let planes = [vec![128u8; 6], vec![128, 255], vec![128, 128]].map(Plane::U8);
        let yuv = yuv420(3, 2, 8, planes);
        let rgb = to_rgb(&yuv, color(6, true), true);
        assert_eq!(rgb.data[..6], [128u8; 6]);
        assert_eq!((rgb.data[6], rgb.data[8], rgb.data[17]), (128, 255, 255));
    }

    #[test]
    fn monochrome_is_gray() {
        let planes = [vec![128u8; 4], Vec::new(), Vec::new()].map(Plane::U8);
        let yuv = YuvImage { half_width_chroma: false, half_height_chroma: false, ..yuv420(2, 2, 8, planes) };
        for matrix in [0, 6, 8] {
            let rgb = to_rgb(&yuv, color(matrix, true), true);
            assert!(rgb.data.iter().all(|&v| v == 128), "{:?}", rgb.data);
        }
    }
}
