//! LayerNorm (arXiv 1607.06450) and RMSNorm (arXiv 1910.07467) over the last axis, forward and backward, f32.
//!
//! Shapes: `x` is `[rows, d]`; `w`, `b` are `[d]`. Sums run in eight lanes so that they vectorize.

use crate::isa::per_isa;

const LANES: usize = 8;

/// Sum of `f` over `x`.
#[inline(always)]
fn sum(x: &[f32], f: impl Fn(f32) -> f32) -> f32 {
    let mut lanes = [0.0f32; LANES];
    let chunks = x.chunks_exact(LANES);
    let mut rest = 0.0;
    for &v in chunks.remainder() {
        rest += f(v);
    }
    for chunk in chunks {
        for (lane, &v) in lanes.iter_mut().zip(chunk) {
            *lane += f(v);
        }
    }
    lanes.iter().sum::<f32>() + rest
}

/// Sum of the products of three slices, element by element.
#[inline(always)]
fn dot3(a: &[f32], b: &[f32], c: &[f32]) -> f32 {
    let n = a.len().min(b.len()).min(c.len());
    let (a, b, c) = (&a[..n], &b[..n], &c[..n]);
    let mut lanes = [0.0f32; LANES];
    let whole = n / LANES * LANES;
    let mut i = 0;
    while i < whole {
        for (j, lane) in lanes.iter_mut().enumerate() {
            *lane += a[i + j] * b[i + j] * c[i + j];
        }
        i += LANES;
    }
    let rest: f32 = (whole..n).map(|i| a[i] * b[i] * c[i]).sum();
    lanes.iter().sum::<f32>() + rest
}

per_isa! {
    /// LayerNorm: `y = (x - mean) / sqrt(var + eps) * w + b`.
    pub fn layer_norm / layer_norm_at(x: &[f32], w: &[f32], b: &[f32], eps: f32, y: &mut [f32]) {
        let d = w.len();
        for (x, y) in x.chunks_exact(d).zip(y.chunks_exact_mut(d)) {
            let mean = sum(x, |v| v) / d as f32;
            let scale = 1.0 / (sum(x, |v| (v - mean) * (v - mean)) / d as f32 + eps).sqrt();
            for (((y, &x), &w), &b) in y.iter_mut().zip(x).zip(w).zip(b) {
                *y = (x - mean) * scale * w + b;
            }
        }
    }
}

per_isa! {
    /// Gradients of [`layer_norm`]: `dx` is written, `dw` and `db` are added to.
    pub fn layer_norm_backward / layer_norm_backward_at(
        x: &[f32], w: &[f32], eps: f32, dy: &[f32], dx: &mut [f32], dw: &mut [f32], db: &mut [f32],
    ) {
        let d = w.len();
        let mut hat = vec![0.0f32; d];
        for ((x, dy), dx) in x.chunks_exact(d).zip(dy.chunks_exact(d)).zip(dx.chunks_exact_mut(d)) {
            let mean = sum(x, |v| v) / d as f32;
            let scale = 1.0 / (sum(x, |v| (v - mean) * (v - mean)) / d as f32 + eps).sqrt();
            for (hat, &x) in hat.iter_mut().zip(x) {
                *hat = (x - mean) * scale;
            }
            for (((dw, db), &dy), &hat) in dw.iter_mut().zip(db.iter_mut()).zip(dy).zip(&hat) {
                *dw += dy * hat;
                *db += dy;
            }
            for ((dx, &dy), &w) in dx.iter_mut().zip(dy).zip(w) {
                *dx = dy * w;
            }
            let mean_g = sum(dx, |v| v) / d as f32;
            let mean_gh = dot3(dy, w, &hat) / d as f32;
            for (dx, &hat) in dx.iter_mut().zip(&hat) {
                *dx = (*dx - mean_g - hat * mean_gh) * scale;
            }
        }
    }
}

per_isa! {
    /// RMSNorm: `y = x / sqrt(mean(x^2) + eps) * w`.
    pub fn rms_norm / rms_norm_at(x: &[f32], w: &[f32], eps: f32, y: &mut [f32]) {
        let d = w.len();
        for (x, y) in x.chunks_exact(d).zip(y.chunks_exact_mut(d)) {
            let scale = 1.0 / (sum(x, |v| v * v) / d as f32 + eps).sqrt();
            for ((y, &x), &w) in y.iter_mut().zip(x).zip(w) {
                *y = x * scale * w;
            }
        }
    }
}

per_isa! {
    /// Gradients of [`rms_norm`]: `dx` is written, `dw` is added to.
    pub fn rms_norm_backward / rms_norm_backward_at(
        x: &[f32], w: &[f32], eps: f32, dy: &[f32], dx: &mut [f32], dw: &mut [f32],
    ) {
        let d = w.len();
        for ((x, dy), dx) in x.chunks_exact(d).zip(dy.chunks_exact(d)).zip(dx.chunks_exact_mut(d)) {
            let scale = 1.0 / (sum(x, |v| v * v) / d as f32 + eps).sqrt();
            let along = dot3(dy, w, x) / d as f32 * scale * scale;
            for (((dx, &x), &dy), (&w, dw)) in dx.iter_mut().zip(x).zip(dy).zip(w.iter().zip(dw.iter_mut())) {
                *dx = (dy * w - x * along) * scale;
                *dw += dy * x * scale;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::isa::Isa;

    fn wave(n: usize, phase: f32) -> Vec<f32> {
        (0..n).map(|i| (i as f32 * 0.7 + phase).sin() * 2.0 + 0.3).collect()
    }

    fn reference(x: &[f64], w: &[f64], b: Option<&[f64]>, eps: f64) -> Vec<f64> {
        let d = w.len();
        let mut y = Vec::new();
        for x in x.chunks_exact(d) {
            let mean = if b.is_some() { x.iter().sum::<f64>() / d as f64 } else { 0.0 };
            let var = x.iter().map(|v| (v - mean).powi(2)).sum::<f64>() / d as f64;
            y.extend((0..d).map(|i| (x[i] - mean) / (var + eps).sqrt() * w[i] + b.map_or(0.0, |b| b[i])));
        }
        y
    }

    fn wide(x: &[f32]) -> Vec<f64> {
        x.iter().map(|&v| f64::from(v)).collect()
    }

    #[test]
    fn forward_matches_f64_at_every_isa_and_width() {
        for isa in Isa::available() {
            for d in 1..36 {
                let (x, w, b) = (wave(3 * d, 0.0), wave(d, 1.0), wave(d, 2.0));
                let mut y = vec![0.0; 3 * d];
                layer_norm_at(isa, &x, &w, &b, 1e-6, &mut y);
                let want = reference(&wide(&x), &wide(&w), Some(&wide(&b)), 1e-6);
                // With one value a row, the variance is 0 and rounding errors grow by 1/sqrt(eps).
                let bound = if d == 1 { 1e-3 } else { 2e-5 };
                assert!(y.iter().zip(&want).all(|(a, b)| (f64::from(*a) - b).abs() < bound), "{isa:?} d {d}");
                rms_norm_at(isa, &x, &w, 1e-6, &mut y);
                let want = reference(&wide(&x), &wide(&w), None, 1e-6);
                assert!(y.iter().zip(&want).all(|(a, b)| (f64::from(*a) - b).abs() < 2e-5), "{isa:?} d {d}");
            }
        }
    }

    #[test]
    fn backward_matches_finite_differences() {
        let d = 19;
        let (x, w, b, dy) = (wave(2 * d, 0.0), wave(d, 1.0), wave(d, 2.0), wave(2 * d, 3.0));
        for isa in Isa::available() {
            let (mut dx, mut dw, mut db) = (vec![0.0; 2 * d], vec![0.0; d], vec![0.0; d]);
            layer_norm_backward_at(isa, &x, &w, 1e-6, &dy, &mut dx, &mut dw, &mut db);
            let (mut rx, mut rw) = (vec![0.0; 2 * d], vec![0.0; d]);
            rms_norm_backward_at(isa, &x, &w, 1e-6, &dy, &mut rx, &mut rw);
            let loss = |x: &[f64], w: &[f64], b: Option<&[f64]>| -> f64 {
                reference(x, w, b, 1e-6).iter().zip(&dy).map(|(y, g)| y * f64::from(*g)).sum()
            };
            let slope = |values: &[f32], i: usize, f: &dyn Fn(&[f64]) -> f64| {
                let (mut up, mut down) = (wide(values), wide(values));
                up[i] += 1e-5;
                down[i] -= 1e-5;
                (f(&up) - f(&down)) / 2e-5
            };
            let bias = wide(&b);
            for i in 0..2 * d {
                let want = slope(&x, i, &|x| loss(x, &wide(&w), Some(&bias)));
                assert!((f64::from(dx[i]) - want).abs() < 1e-4, "layer dx {i}: {} {want}", dx[i]);
                let want = slope(&x, i, &|x| loss(x, &wide(&w), None));
                assert!((f64::from(rx[i]) - want).abs() < 1e-4, "rms dx {i}: {} {want}", rx[i]);
            }
            for i in 0..d {
                let want = slope(&w, i, &|w| loss(&wide(&x), w, Some(&bias)));
                assert!((f64::from(dw[i]) - want).abs() < 1e-4, "layer dw {i}");
                let want = slope(&b, i, &|b| loss(&wide(&x), &wide(&w), Some(b)));
                assert!((f64::from(db[i]) - want).abs() < 1e-4, "layer db {i}");
                let want = slope(&w, i, &|w| loss(&wide(&x), w, None));
                assert!((f64::from(rw[i]) - want).abs() < 1e-4, "rms dw {i}");
            }
        }
    }
}
