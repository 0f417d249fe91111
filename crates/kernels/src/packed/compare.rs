//! Whether a product is right, for whoever measures one.

use super::Kind;

/// Places of a product that are compared, at most.
const PLACES: u64 = 1009;

/// Relative error of `y = x W^T` against f64, over at most 1,009 places spread over `y`: the root of the mean square of
/// the differences, as a share of that of the exact values. `x` is `[t, cols]`, `w` `[rows, cols]` before it was packed
/// as `kind`, `y` `[t, rows]`.
///
/// # Errors
/// The error, when it is more than `kind` allows where the values of `x` and `w` are spread evenly or like a sum of a
/// few even ones, or when it is no number.
///
/// Panics when the slices are empty or do not have the sizes that `cols` says.
pub fn relative_error(kind: Kind, x: &[f32], w: &[f32], cols: usize, y: &[f32]) -> Result<f64, f64> {
    assert!(cols > 0 && x.len().is_multiple_of(cols) && w.len().is_multiple_of(cols), "whole rows");
    let rows = w.len() / cols;
    assert!(!y.is_empty() && y.len() == x.len() / cols * rows, "result size");
    let (mut off, mut all) = (0.0f64, 0.0f64);
    for place in 0..PLACES.min(y.len() as u64) {
        // Multiples of the golden ratio fall evenly, and on every remainder of any width.
        let share = place.wrapping_mul(0x9e37_79b9_7f4a_7c15);
        let at = ((u128::from(share) * y.len() as u128) >> 64) as usize;
        let (x, w) = (&x[at / rows * cols..][..cols], &w[at % rows * cols..][..cols]);
        let exact: f64 = x.iter().zip(w).map(|(x, w)| f64::from(*x) * f64::from(*w)).sum();
        off += (f64::from(y[at]) - exact).powi(2);
        all += exact.powi(2);
    }
    let error = (off / all).sqrt();
    // Half a step of a value, uniform, on both sides: 0.0016 in bf16, 0.006 in int8, 0.11 in 4-bit; a mistake in a
    // panel, a scale or a remainder is far above.
    let most = match kind {
        Kind::F32 => 1e-5,
        Kind::Bf16 => 5e-3,
        Kind::Int8 => 0.02,
        Kind::Int4 => 0.15,
    };
    if error <= most { Ok(error) } else { Err(error) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::packed::Packed;

    fn even(n: usize, seed: usize) -> Vec<f32> {
        let one = |i: usize| ((i + seed).wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 40) as f32 / (1 << 23) as f32 - 1.0;
        (0..n).map(one).collect()
    }

    #[test]
    fn right_products_pass_and_wrong_ones_do_not() {
        let (t, cols, rows) = (9, 300, 70);
        let (x, w) = (even(t * cols, 1), even(rows * cols, 1 << 20));
        for kind in Kind::ALL {
            let mut y = vec![0.0; t * rows];
            Packed::pack(kind, &w, rows, cols).multiply(&x, t, None, &mut y);
            let error = relative_error(kind, &x, &w, cols, &y).unwrap();
            assert!(error > 0.0, "{kind:?}");
            let row: Vec<f32> = y.chunks(rows).flat_map(|y| y[1..].iter().chain(&y[..1]).copied()).collect();
            assert!(relative_error(kind, &x, &w, cols, &row).unwrap_err() > 0.5, "{kind:?}: rows shifted by one");
            y[0] = f32::NAN;
            assert!(relative_error(kind, &x, &w, cols, &y).unwrap_err().is_nan(), "{kind:?}");
        }
    }
}
