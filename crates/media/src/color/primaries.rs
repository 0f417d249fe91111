//! Color primaries: the conversion of linear RGB to the primaries of BT.709.

/// Chromaticities `(x, y)` of red, green and blue. All have the white D65.
type Primaries = [(f64, f64); 3];

const BT709: Primaries = [(0.64, 0.33), (0.30, 0.60), (0.15, 0.06)];
const BT601_625: Primaries = [(0.64, 0.33), (0.29, 0.60), (0.15, 0.06)];
const BT601_525: Primaries = [(0.63, 0.34), (0.31, 0.595), (0.155, 0.07)];
const BT2020: Primaries = [(0.708, 0.292), (0.170, 0.797), (0.131, 0.046)];
const P3_D65: Primaries = [(0.68, 0.32), (0.265, 0.69), (0.15, 0.06)];
const D65: (f64, f64) = (0.3127, 0.3290);

/// Linear RGB of the primaries with this code (ITU-T H.273, table 2) to linear RGB of BT.709. Primaries that are not
/// stated or not known are taken as those of BT.2020, which high dynamic range comes with.
pub(super) fn to_bt709(code: Option<u8>) -> [[f64; 3]; 3] {
    let source = match code {
        Some(1) => BT709,
        Some(5) => BT601_625,
        Some(6 | 7) => BT601_525,
        Some(12) => P3_D65,
        _ => BT2020,
    };
    product(inverse(to_xyz(BT709)), to_xyz(source))
}

/// Linear RGB to CIE XYZ, where (1, 1, 1) has the white D65.
fn to_xyz(primaries: Primaries) -> [[f64; 3]; 3] {
    let column = |(x, y): (f64, f64)| [x / y, 1.0, (1.0 - x - y) / y];
    let [r, g, b] = primaries.map(column);
    let unscaled = [0, 1, 2].map(|i| [r[i], g[i], b[i]]);
    let white = column(D65);
    let scale = inverse(unscaled).map(|row| row.iter().zip(white).map(|(a, w)| a * w).sum::<f64>());
    unscaled.map(|row| [0, 1, 2].map(|i| row[i] * scale[i]))
}

fn product(a: [[f64; 3]; 3], b: [[f64; 3]; 3]) -> [[f64; 3]; 3] {
    a.map(|row| [0, 1, 2].map(|j| (0..3).map(|k| row[k] * b[k][j]).sum()))
}

/// The inverse by cofactors. Matrices of primaries always have one.
fn inverse(m: [[f64; 3]; 3]) -> [[f64; 3]; 3] {
    let minor = |i: usize, j: usize| {
        let (a, b, c, d) = ((i + 1) % 3, (i + 2) % 3, (j + 1) % 3, (j + 2) % 3);
        m[a][c] * m[b][d] - m[a][d] * m[b][c]
    };
    let determinant: f64 = (0..3).map(|j| m[0][j] * minor(0, j)).sum();
    [0, 1, 2].map(|i| [0, 1, 2].map(|j| minor(j, i) / determinant))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_published_matrix_of_bt2020_comes_out() {
        // ITU-R BT.2087, table for BT.2020 to BT.709, to four digits.
        let published = [[1.6605, -0.5876, -0.0728], [-0.1246, 1.1329, -0.0083], [-0.0182, -0.1006, 1.1187]];
        for (got, want) in to_bt709(Some(9)).as_flattened().iter().zip(published.as_flattened()) {
            assert!((got - want).abs() < 1e-4, "{got}, not {want}");
        }
    }

    #[test]
    fn white_stays_white_and_bt709_stays_itself() {
        for code in [None, Some(1), Some(5), Some(6), Some(9), Some(12)] {
            for row in to_bt709(code) {
                assert!((row.iter().sum::<f64>() - 1.0).abs() < 1e-9, "{code:?}");
            }
        }
        let same = to_bt709(Some(1));
        assert!((0..9).all(|i| (same.as_flattened()[i] - f64::from(u8::from(i % 4 == 0))).abs() < 1e-9));
    }
}
