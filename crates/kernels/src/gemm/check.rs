//! Correctness check of a product, for benchmarks.

use super::weight_type::WeightType;

/// Most elements of a product that are compared.
const SAMPLES: u64 = 1009;

/// Relative RMS error of `y = x W^T` against f64, over at most 1,009 elements spread over `y`: `rms(y - exact) /
/// rms(exact)`. `x` is `[t, cols]`, `w` is `[rows, cols]` before packing, `y` is `[t, rows]`.
///
/// # Errors
/// The error itself, when it is NaN or exceeds the tolerance of `weight_type`. The tolerances hold for values that are
/// uniformly distributed or sums of a few uniform ones.
///
/// # Panics
/// When the slices are empty or do not have the sizes that `cols` says.
pub fn relative_error(weight_type: WeightType, x: &[f32], w: &[f32], cols: usize, y: &[f32]) -> Result<f64, f64> {
    assert!(cols > 0 && x.len().is_multiple_of(cols) && w.len().is_multiple_of(cols), "whole rows");
    let rows = w.len() / cols;
    assert!(!y.is_empty() && y.len() == x.len() / cols * rows, "result size");
    let (mut off, mut all) = (0.0f64, 0.0f64);
    for sample in 0..SAMPLES.min(y.len() as u64) {
        // Multiples of the golden ratio are spread evenly and hit every remainder of any width.
        let fraction = sample.wrapping_mul(0x9e37_79b9_7f4a_7c15);
        let at = ((u128::from(fraction) * y.len() as u128) >> 64) as usize;
        let (x, w) = (&x[at / rows * cols..][..cols], &w[at % rows * cols..][..cols]);
        let exact: f64 = x.iter().zip(w).map(|(x, w)| f64::from(*x) * f64::from(*w)).sum();
        off += (f64::from(y[at]) - exact).powi(2);
        all += exact.powi(2);
    }
    let error = (off / all).sqrt();
    // Uniform rounding errors of at most half a step on both sides give 0.0016 in bf16, 0.006 in int8 and 0.07 in int4.
    // A wrong panel, scale or remainder gives far more.
    let most = match weight_type {
        WeightType::F32 => 1e-5,
        WeightType::Bf16 => 5e-3,
        WeightType::Int8 => 0.02,
        WeightType::Int4 => 0.1,
    };
    if error <= most { Ok(error) } else { Err(error) }
}

#[cfg(test)]
mod tests {
    use super::super::matrix::PackedMatrix;
    use super::*;

    fn uniform(n: usize, seed: usize) -> Vec<f32> {
        let one = |i: usize| ((i + seed).wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 40) as f32 / (1 << 23) as f32 - 1.0;
        (0..n).map(one).collect()
    }

    #[test]
    fn right_products_pass_and_wrong_ones_do_not() {
        let (t, cols, rows) = (9, 300, 70);
        let (x, w) = (uniform(t * cols, 1), uniform(rows * cols, 1 << 20));
        for weight_type in WeightType::ALL {
            let mut y = vec![0.0; t * rows];
            PackedMatrix::pack(weight_type, &w, rows, cols).matmul(&x, t, None, &mut y);
            let error = relative_error(weight_type, &x, &w, cols, &y).unwrap();
            assert!(error > 0.0, "{weight_type:?}");
            let shifted: Vec<f32> = y.chunks(rows).flat_map(|y| y[1..].iter().chain(&y[..1]).copied()).collect();
            assert!(
                relative_error(weight_type, &x, &w, cols, &shifted).unwrap_err() > 0.5,
                "{weight_type:?}: rows shifted by one"
            );
            y[0] = f32::NAN;
            assert!(relative_error(weight_type, &x, &w, cols, &y).unwrap_err().is_nan(), "{weight_type:?}");
        }
    }
}
