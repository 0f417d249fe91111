//! Linear layer `y = x W^T + b` whose weights are f32 and whose products are of bf16 values, and its gradients: both
//! factors of every product are rounded to bf16, products are exact, sums are f32. That is training in mixed precision
//! (arXiv 1710.03740) with f32 master weights.
//!
//! Shapes: `x` is `[t, input]`, `w` `[output, input]`, `b` `[output]`, `y` `[t, output]`.

use crate::gemm::{PackedMatrix, WeightType};
use crate::threads::par_new_rows;

/// Writes `x W^T + b` (without `b`: `x W^T`) to `y`.
///
/// # Panics
/// When the slices do not have the sizes that `t` and `input` say.
pub fn linear_bf16(x: &[f32], w: &[f32], b: Option<&[f32]>, t: usize, input: usize, y: &mut [f32]) {
    PackedMatrix::pack(WeightType::Bf16, w, w.len() / input, input).matmul(x, t, b, y);
}

/// Gradient of [`linear_bf16`] with respect to `x`: writes `dy W` to `dx` `[t, input]`; `dy` is `[t, output]`.
///
/// # Panics
/// When the slices do not have the sizes that `t` and `input` say.
pub fn linear_bf16_backward_input(dy: &[f32], w: &[f32], t: usize, input: usize, dx: &mut [f32]) {
    packed_transpose(w, w.len() / input, input).matmul(dy, t, None, dx);
}

/// Gradient of [`linear_bf16`] with respect to `w`: writes `dy^T x` to `dw` `[output, input]`, or adds it to what is
/// there when it is to `accumulate`; `dy` is `[t, output]`.
///
/// # Panics
/// When the slices do not have the sizes that `t` and `input` say.
pub fn linear_bf16_backward_weight(dy: &[f32], x: &[f32], t: usize, input: usize, dw: &mut [f32], accumulate: bool) {
    if accumulate {
        let mut product = vec![0.0; dw.len()];
        linear_bf16_backward_weight(dy, x, t, input, &mut product, false);
        return dw.iter_mut().zip(product).for_each(|(sum, value)| *sum += value);
    }
    if t == 0 {
        return dw.fill(0.0);
    }
    let output = dw.len() / input;
    assert_eq!((x.len(), dy.len()), (t * input, t * output), "sizes");
    packed_transpose(x, t, input).matmul(&transposed(dy, t, output), output, None, dw);
}

/// The transpose `[cols, rows]` of `m` `[rows, cols]` in the panel format.
fn packed_transpose(m: &[f32], rows: usize, cols: usize) -> PackedMatrix {
    assert_eq!(m.len(), rows * cols, "matrix size");
    PackedMatrix::from_rows(WeightType::Bf16, cols, rows, |range, out| {
        for (row, values) in m.chunks_exact(cols).enumerate() {
            for (column, value) in values[range.clone()].iter().enumerate() {
                out[column * rows + row] = *value;
            }
        }
    })
}

/// The transpose `[cols, rows]` of `m` `[rows, cols]`, on all threads.
fn transposed(m: &[f32], rows: usize, cols: usize) -> Vec<f32> {
    par_new_rows(cols * rows, rows, |first, out| {
        for (row, values) in m.chunks_exact(cols).enumerate() {
            for (column, value) in values[first..first + out.len() / rows].iter().enumerate() {
                out[column * rows + row] = *value;
            }
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bf16::{bf16_to_f32, f32_to_bf16};

    fn wave(n: usize, phase: f32) -> Vec<f32> {
        (0..n).map(|i| (i as f32 * 0.73 + phase).sin()).collect()
    }

    /// `sum over k of a(r, k) b(c, k)` of rounded values, in f64.
    fn definition(
        (rows, cols, inner): (usize, usize, usize),
        a: impl Fn(usize, usize) -> f32,
        b: impl Fn(usize, usize) -> f32,
    ) -> Vec<f64> {
        let round = |value: f32| f64::from(bf16_to_f32(f32_to_bf16(value)));
        let one = |r: usize, c: usize| (0..inner).map(|k| round(a(r, k)) * round(b(c, k))).sum();
        (0..rows).flat_map(|r| (0..cols).map(move |c| (r, c))).map(|(r, c)| one(r, c)).collect()
    }

    fn close(got: &[f32], want: &[f64]) {
        assert_eq!(got.len(), want.len());
        // Products are exact; a sum of at most 300 values below 1: 300 roundings of at most 300 * 2^-24.
        let apart = got.iter().zip(want).map(|(g, w)| (f64::from(*g) - w).abs()).fold(0.0, f64::max);
        assert!(apart < 300.0 * 300.0 / f64::from(1 << 24), "{apart}");
    }

    #[test]
    fn values_and_gradients_are_those_of_rounded_factors() {
        for (t, input, output) in [(1, 1, 1), (5, 7, 3), (17, 40, 33), (300, 130, 70)] {
            let (x, w, b, dy) =
                (wave(t * input, 0.1), wave(output * input, 0.5), wave(output, 0.9), wave(t * output, 1.7));
            let mut y = vec![f32::NAN; t * output];
            linear_bf16(&x, &w, Some(&b), t, input, &mut y);
            let (x_at, w_at) = (|r: usize, k: usize| x[r * input + k], |o: usize, k: usize| w[o * input + k]);
            let mut want = definition((t, output, input), x_at, w_at);
            want.iter_mut().enumerate().for_each(|(at, want)| *want += f64::from(b[at % output]));
            close(&y, &want);
            let mut dx = vec![f32::NAN; t * input];
            linear_bf16_backward_input(&dy, &w, t, input, &mut dx);
            close(&dx, &definition((t, input, output), |r, k| dy[r * output + k], |c, k| w[k * input + c]));
            let mut dw = vec![f32::NAN; output * input];
            linear_bf16_backward_weight(&dy, &x, t, input, &mut dw, false);
            let mut want = definition((output, input, t), |r, k| dy[k * output + r], |c, k| x[k * input + c]);
            close(&dw, &want);
            linear_bf16_backward_weight(&dy, &x, t, input, &mut dw, true);
            want.iter_mut().for_each(|value| *value *= 2.0);
            close(&dw, &want);
        }
        let mut dw = vec![f32::NAN; 6];
        linear_bf16_backward_weight(&[], &[], 0, 3, &mut dw, false);
        assert_eq!(dw, [0.0; 6]);
    }
}
