//! Coefficients of the conversion from YUV to RGB, in the fixed-point formats of FFmpeg's scaler.

use zoetrope_kernels::image::yuv::Coefficients;

use super::description::Color;

/// Coefficients for a color description. Like FFmpeg, takes an untagged stream as BT.601 limited range.
pub(super) fn coefficients(color: Color) -> Coefficients {
    let [rv, bu, gu, gv] = chroma_factors(color);
    let full = color.full_range == Some(true);
    // At most 140,363 / 8: it fits.
    let round = |x: i64| ((x * (1 << 13) + (1 << 15)) >> 16) as i16;
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

/// Factors of V to red, U to blue, U to green and V to green in 16.16 fixed point, for full-scale chroma of limited
/// range. The values are `ff_yuv2rgb_coeffs` of FFmpeg's libswscale.
pub(super) fn chroma_factors(color: Color) -> [i64; 4] {
    match color.matrix {
        Some(1) => [117_489, 138_438, 13_975, 34_925],
        Some(4) => [104_448, 132_798, 24_759, 53_109],
        Some(7) => [117_579, 136_230, 16_907, 35_559],
        Some(9 | 10) => [110_013, 140_363, 12_277, 42_626],
        _ => [104_597, 132_201, 25_675, 53_279],
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn coefficients_are_the_published_ones() {
        let c = coefficients(Color::default());
        assert_eq!((c.luma, c.luma_offset), (9539, 128));
        assert_eq!((c.red_v, c.blue_u, c.green_v, c.green_u), (13_075, 16_525, -6660, -3209));
        let c = coefficients(Color { matrix: Some(1), full_range: Some(false), ..Color::default() });
        assert_eq!((c.red_v, c.blue_u, c.green_v, c.green_u), (14_686, 17_305, -4366, -1747));
    }
}
