//! Gradients of attention against finite differences.

use super::super::{AttentionGradients, AttentionParams, attention_backward};
use super::reference::{reference, wave, wide};

#[test]
fn gradients_match_finite_differences() {
    let p = AttentionParams { heads: 4, kv_heads: 2, dim: 3, causal: true, scale: 0.6 };
    let segments = [(4, 4), (66, 67)];
    let (q, k, v) = (wave(70 * 12, 0.1), wave(71 * 6, 0.5), wave(71 * 6, 1.1));
    let dout = wave(70 * 12, 2.0);
    let AttentionGradients { dq, dk, dv } = attention_backward(&q, &k, &v, &dout, &segments, &p);
    let loss = |q: &[f64], k: &[f64], v: &[f64]| -> f64 {
        reference(q, k, v, &segments, &p).iter().zip(&dout).map(|(a, g)| a * f64::from(*g)).sum()
    };
    let slope = |values: &[f32], i: usize, f: &dyn Fn(&[f64]) -> f64| {
        let (mut up, mut down) = (wide(values), wide(values));
        up[i] += 1e-5;
        down[i] -= 1e-5;
        (f(&up) - f(&down)) / 2e-5
    };
    let (wq, wk, wv) = (wide(&q), wide(&k), wide(&v));
    for i in (0..q.len()).step_by(37) {
        let want = slope(&q, i, &|q| loss(q, &wk, &wv));
        assert!((f64::from(dq[i]) - want).abs() < 2e-5, "dq {i}: {} {want}", dq[i]);
    }
    for i in (0..k.len()).step_by(29) {
        let want = slope(&k, i, &|k| loss(&wq, k, &wv));
        assert!((f64::from(dk[i]) - want).abs() < 2e-5, "dk {i}: {} {want}", dk[i]);
        let want = slope(&v, i, &|v| loss(&wq, &wk, v));
        assert!((f64::from(dv[i]) - want).abs() < 2e-5, "dv {i}: {} {want}", dv[i]);
    }
}
