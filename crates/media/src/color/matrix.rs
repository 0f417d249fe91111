//! The linear definitions of the color matrices (ITU-T H.273, table 4), for what FFmpeg's integer arithmetic does not
//! cover: RGB and YCgCo coded as planes, and high dynamic range.

use super::description::Color;

/// How three planes make red, green and blue.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Matrix {
    /// The planes are green, blue and red.
    Identity,
    /// The planes are luma, green difference and orange difference.
    YCgCo,
    /// The planes are luma, blue difference and red difference. Luma weighs red with `kr` and blue with `kb`.
    Luma {
        /// Weight of red.
        kr: f64,
        /// Weight of blue.
        kb: f64,
    },
}

impl Matrix {
    /// The matrix of a color description. The identity needs chroma of full resolution (H.273). With subsampled chroma
    /// its code is a wrong tag, and like any unknown code it means BT.601.
    pub(super) fn new(color: Color, subsampled: bool) -> Matrix {
        let (kr, kb) = match color.matrix {
            Some(0) if !subsampled => return Matrix::Identity,
            Some(8) => return Matrix::YCgCo,
            Some(1) => (0.2126, 0.0722),
            Some(4) => (0.30, 0.11),
            Some(7) => (0.212, 0.087),
            Some(9 | 10) => (0.2627, 0.0593),
            _ => (0.299, 0.114),
        };
        Matrix::Luma { kr, kb }
    }

    /// Red, green and blue as weights of the three normalized planes.
    fn weights(self) -> [[f64; 3]; 3] {
        match self {
            Matrix::Identity => [[0.0, 0.0, 1.0], [1.0, 0.0, 0.0], [0.0, 1.0, 0.0]],
            Matrix::YCgCo => [[1.0, -1.0, 1.0], [1.0, 1.0, 0.0], [1.0, -1.0, -1.0]],
            Matrix::Luma { kr, kb } => {
                let (red, blue, kg) = (2.0 * (1.0 - kr), 2.0 * (1.0 - kb), 1.0 - kr - kb);
                [[1.0, 0.0, red], [1.0, -kb * blue / kg, -kr * red / kg], [1.0, blue, 0.0]]
            }
        }
    }
}

/// A matrix with the range of its planes: from values on the 15-bit scale to red, green and blue where 1 is white.
#[derive(Clone, Copy, Debug)]
pub(super) struct Affine {
    /// Weights of the planes, and the constant.
    rows: [[f32; 4]; 3],
}

impl Affine {
    /// The map for planes of `bit_depth` bits. RGB planes of unstated range are full, as encoders write them; all other
    /// planes of unstated range are limited.
    pub(super) fn new(matrix: Matrix, full_range: Option<bool>, bit_depth: u8) -> Affine {
        let rgb = matrix == Matrix::Identity;
        let full = full_range.unwrap_or(rgb);
        // On the 15-bit scale limited luma is 219 * 128 high above 16 * 128; full values reach the largest code.
        let largest = f64::from((1u32 << 15) - (1 << (15 - bit_depth.clamp(8, 15))));
        let luma = if full { (largest, 0.0) } else { (219.0 * 128.0, 16.0 * 128.0) };
        let chroma = (if full { largest } else { 224.0 * 128.0 }, f64::from(1 << 14));
        let planes = if rgb { [luma; 3] } else { [luma, chroma, chroma] };
        let rows = matrix.weights().map(|weights| {
            let mut row = [0.0f64; 4];
            for (plane, (weight, (height, zero))) in weights.into_iter().zip(planes).enumerate() {
                row[plane] = weight / height;
                row[3] -= weight * zero / height;
            }
            row.map(|x| x as f32)
        });
        Affine { rows }
    }

    /// Red, green and blue of three values on the 15-bit scale. 0 is black, 1 is white; values may lie outside.
    #[inline(always)]
    pub(super) fn rgb(&self, y: i32, u: i32, v: i32) -> [f32; 3] {
        let (y, u, v) = (y as f32, u as f32, v as f32);
        self.rows.map(|[a, b, c, d]| a * y + b * u + c * v + d)
    }
}

/// A value where 1 is white as 8 bits, rounded. The cast clamps.
#[inline(always)]
pub(super) fn to_byte(value: f32) -> u8 {
    (value * 255.0 + 0.5) as u8
}

#[cfg(test)]
mod tests {
    use super::*;

    const DEPTHS: [u8; 3] = [8, 10, 12];

    /// H.273, equations 11 to 27, in float64: normalized planes from codes.
    fn normalized(code: f64, depth: u8, full: bool, chroma: bool) -> f64 {
        let (unit, largest) = (f64::from(1u32 << (depth - 8)), f64::from((1u32 << depth) - 1));
        match (full, chroma) {
            (true, false) => code / largest,
            (true, true) => (code - 128.0 * unit) / largest,
            (false, false) => (code / unit - 16.0) / 219.0,
            (false, true) => (code / unit - 128.0) / 224.0,
        }
    }

    fn byte(value: f64) -> u8 {
        (value * 255.0).clamp(0.0, 255.0).round() as u8
    }

    /// A few hundred triples of codes over the whole range.
    fn codes(depth: u8) -> impl Iterator<Item = [i32; 3]> {
        let step = (1 << depth) / 7 - 1;
        (0..512).map(move |i| [i % 8 * step, i / 8 % 8 * step, i / 64 * step])
    }

    fn check(matrix: Matrix, definition: impl Fn([f64; 3]) -> [f64; 3]) {
        for (depth, full) in DEPTHS.into_iter().flat_map(|depth| [(depth, false), (depth, true)]) {
            let affine = Affine::new(matrix, Some(full), depth);
            for triple in codes(depth) {
                let is_chroma = |plane: usize| plane > 0 && matrix != Matrix::Identity;
                let planes = [0, 1, 2].map(|p| normalized(f64::from(triple[p]), depth, full, is_chroma(p)));
                let [y, u, v] = triple.map(|code| code << (15 - depth));
                let (got, want) = (affine.rgb(y, u, v).map(to_byte), definition(planes).map(byte));
                let off = (0..3).map(|c| got[c].abs_diff(want[c])).max().unwrap();
                assert!(off <= 1, "{matrix:?}, {depth} bits, full {full}, {triple:?}: {got:?}, not {want:?}");
            }
        }
    }

    #[test]
    fn planes_are_green_blue_and_red_under_the_identity() {
        check(Matrix::Identity, |[g, b, r]| [r, g, b]);
    }

    #[test]
    fn eight_full_bits_of_rgb_are_unchanged() {
        let affine = Affine::new(Matrix::Identity, None, 8);
        for code in 0..=255u8 {
            let value = i32::from(code) << 7;
            assert_eq!(affine.rgb(value, 0, 255 << 7).map(to_byte), [255, code, 0]);
        }
    }

    #[test]
    fn ycgco_follows_its_equations() {
        check(Matrix::YCgCo, |[y, cg, co]| {
            let t = y - cg;
            [t + co, y + cg, t - co]
        });
    }

    #[test]
    fn luma_is_the_weighted_sum() {
        for (code, kr, kb) in [(1, 0.2126, 0.0722), (6, 0.299, 0.114), (9, 0.2627, 0.0593)] {
            let color = Color { matrix: Some(code), ..Color::default() };
            check(Matrix::new(color, true), |[y, cb, cr]| {
                let (r, b) = (y + 2.0 * (1.0 - kr) * cr, y + 2.0 * (1.0 - kb) * cb);
                [r, (y - kr * r - kb * b) / (1.0 - kr - kb), b]
            });
        }
    }

    #[test]
    fn the_identity_needs_full_chroma() {
        let color = Color { matrix: Some(0), ..Color::default() };
        assert_eq!(Matrix::new(color, false), Matrix::Identity);
        assert_eq!(Matrix::new(color, true), Matrix::new(Color::default(), true));
    }
}
