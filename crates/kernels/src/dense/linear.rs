//! Linear layer `y = x W^T + b` with f32 weights in plain row-major order, and its gradients.
//!
//! Shapes: `x` is `[t, input]`, `w` `[output, input]`, `b` `[output]`, `y` `[t, output]`.

use super::gemm_crate::{Parallelism, StridedMatrix, matmul};

/// Writes `x W^T + b` (without `b`: `x W^T`) to `y`.
///
/// # Panics
/// When the slices do not have the sizes that `t` and `input` say.
pub fn linear(x: &[f32], w: &[f32], b: Option<&[f32]>, t: usize, input: usize, y: &mut [f32]) {
    let output = output_width(x, w, t, input);
    assert_eq!(y.len(), t * output, "result size");
    if let Some(b) = b {
        assert_eq!(b.len(), output, "bias size");
        for row in y.chunks_exact_mut(output) {
            row.copy_from_slice(b);
        }
    }
    let (x, w) =
        (StridedMatrix::row_major(x, 0, t, input, input), StridedMatrix::row_major(w, 0, output, input, input));
    matmul(Parallelism::Pool, y, 0, output, x, w.t(), b.is_some());
}

/// Gradient of [`linear`] with respect to `x`: writes `dy W` to `dx` `[t, input]`; `dy` is `[t, output]`.
///
/// # Panics
/// When the slices do not have the sizes that `t` and `input` say.
pub fn linear_backward_input(dy: &[f32], w: &[f32], t: usize, input: usize, dx: &mut [f32]) {
    let output = w.len() / input;
    assert_eq!((dy.len(), dx.len()), (t * output, t * input), "gradient sizes");
    let (dy, w) =
        (StridedMatrix::row_major(dy, 0, t, output, output), StridedMatrix::row_major(w, 0, output, input, input));
    matmul(Parallelism::Pool, dx, 0, input, dy, w, false);
}

/// Gradient of [`linear`] with respect to `w`: writes `dy^T x` to `dw` `[output, input]`, or adds it to what is there
/// when it is to `accumulate`; `dy` is `[t, output]`.
///
/// # Panics
/// When the slices do not have the sizes that `t` and `input` say.
pub fn linear_backward_weight(dy: &[f32], x: &[f32], t: usize, input: usize, dw: &mut [f32], accumulate: bool) {
    let output = output_width(x, dw, t, input);
    assert_eq!(dy.len(), t * output, "gradient size");
    if t == 0 {
        if !accumulate {
            dw.fill(0.0);
        }
        return;
    }
    let (dy, x) = (StridedMatrix::row_major(dy, 0, t, output, output), StridedMatrix::row_major(x, 0, t, input, input));
    matmul(Parallelism::Pool, dw, 0, input, dy.t(), x, accumulate);
}

/// Gradient of [`linear`] with respect to `b`: writes the sum of the rows of `dy` `[t, output]` to `db` `[output]`.
pub fn linear_backward_bias(dy: &[f32], db: &mut [f32]) {
    db.fill(0.0);
    for row in dy.chunks_exact(db.len()) {
        db.iter_mut().zip(row).for_each(|(sum, value)| *sum += value);
    }
}

/// Checks the sizes of `x` and `w`; returns `output`.
fn output_width(x: &[f32], w: &[f32], t: usize, input: usize) -> usize {
    assert!(input > 0 && x.len() == t * input && w.len().is_multiple_of(input), "input sizes");
    w.len() / input
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wave(n: usize, phase: f32) -> Vec<f32> {
        (0..n).map(|i| (i as f32 * 0.73 + phase).sin()).collect()
    }

    fn definition(x: &[f32], w: &[f32], b: &[f32], t: usize, input: usize) -> Vec<f64> {
        let output = w.len() / input;
        let one = |r: usize, o: usize| {
            let sum = |i: usize| f64::from(x[r * input + i]) * f64::from(w[o * input + i]);
            (0..input).map(sum).sum::<f64>() + b.get(o).map_or(0.0, |b| f64::from(*b))
        };
        (0..t).flat_map(|r| (0..output).map(move |o| (r, o))).map(|(r, o)| one(r, o)).collect()
    }

    fn close(got: &[f32], want: &[f64]) {
        assert_eq!(got.len(), want.len());
        // A sum of at most 40 products of values below 1: 40 roundings of at most 40 * 2^-24.
        assert!(got.iter().zip(want).all(|(g, w)| (f64::from(*g) - w).abs() < 1e-4), "{got:?} {want:?}");
    }

    #[test]
    fn values_and_gradients_match_the_definition() {
        for (t, input, output) in [(1, 1, 1), (5, 7, 3), (17, 40, 33), (0, 4, 4)] {
            let (x, w, b, dy) =
                (wave(t * input, 0.1), wave(output * input, 0.5), wave(output, 0.9), wave(t * output, 1.7));
            let mut y = vec![f32::NAN; t * output];
            linear(&x, &w, Some(&b), t, input, &mut y);
            close(&y, &definition(&x, &w, &b, t, input));
            linear(&x, &w, None, t, input, &mut y);
            close(&y, &definition(&x, &w, &[], t, input));
            let transposed = |m: &[f32], rows: usize, cols: usize| -> Vec<f32> {
                (0..cols).flat_map(|c| (0..rows).map(move |r| r * cols + c)).map(|at| m[at]).collect()
            };
            let mut dx = vec![f32::NAN; t * input];
            linear_backward_input(&dy, &w, t, input, &mut dx);
            close(&dx, &definition(&dy, &transposed(&w, output, input), &[], t, output));
            let mut db = vec![f32::NAN; output];
            linear_backward_bias(&dy, &mut db);
            if t == 0 {
                assert_eq!(db, vec![0.0; output]);
                let mut dw = vec![f32::NAN; output * input];
                linear_backward_weight(&dy, &x, t, input, &mut dw, false);
                linear_backward_weight(&dy, &x, t, input, &mut dw, true);
                assert_eq!(dw, vec![0.0; output * input]);
            } else {
                close(&db, &definition(&vec![1.0; t], &transposed(&dy, t, output), &[], 1, t));
                let mut dw = vec![f32::NAN; output * input];
                linear_backward_weight(&dy, &x, t, input, &mut dw, false);
                let once = definition(&transposed(&dy, t, output), &transposed(&x, t, input), &[], output, t);
                close(&dw, &once);
                linear_backward_weight(&dy, &x, t, input, &mut dw, true);
                close(&dw, &once.iter().map(|value| 2.0 * value).collect::<Vec<_>>());
            }
        }
    }
}
