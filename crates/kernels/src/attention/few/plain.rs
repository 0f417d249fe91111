//! Scores and weighted sums of few queries in plain loops.

use super::{AHEAD, KEYS, SPAN, Span};
use crate::attention::stored::{Rows, Stored, as_rows};
use crate::level::{fma, per_level};

#[inline(always)]
fn dots_of<const FMA: bool>(q: &[f32], k: impl Rows, span: Span, scores: &mut [f32]) {
    let wide = &mut vec![0.0; span.dim][..];
    for j in 0..span.keys {
        k.fetch(span.row(j + AHEAD), span.dim);
        k.widen(span.row(j), wide);
        let scale = k.scale(span.row(j));
        for (q, scores) in q.chunks_exact(span.dim).zip(scores.chunks_exact_mut(SPAN)) {
            let mut lanes = [0.0f32; 16];
            let (whole_q, whole_k) = (q.chunks_exact(16), wide.chunks_exact(16));
            let rest: f32 = whole_q.remainder().iter().zip(whole_k.remainder()).map(|(a, b)| a * b).sum();
            for (q, k) in whole_q.zip(whole_k) {
                for ((lane, q), k) in lanes.iter_mut().zip(q).zip(k) {
                    *lane = fma::<FMA>(*q, *k, *lane);
                }
            }
            scores[j] = (lanes.iter().sum::<f32>() + rest) * scale;
        }
    }
}

/// [`KEYS`] rows of values at once.
#[inline(always)]
fn gather_of<const FMA: bool>(weights: &[f32], v: impl Rows, span: Span, out: &mut [f32]) {
    let dim = span.dim;
    let mut wide = vec![0.0; KEYS * dim];
    for first in (0..span.keys).step_by(KEYS) {
        let rows = KEYS.min(span.keys - first);
        for (j, wide) in wide.chunks_exact_mut(dim).enumerate().take(rows) {
            v.fetch(span.row(first + j + AHEAD), dim);
            v.widen(span.row(first + j), wide);
        }
        let scale = |j: usize| if j < rows { v.scale(span.row(first + j)) } else { 1.0 };
        let scales: [f32; KEYS] = std::array::from_fn(scale);
        // What is left there of other rows could be infinite.
        wide[rows * dim..].fill(0.0);
        let (v01, v23) = wide.split_at(2 * dim);
        let ((v0, v1), (v2, v3)) = (v01.split_at(dim), v23.split_at(dim));
        for (weights, out) in weights.chunks_exact(SPAN).zip(out.chunks_exact_mut(dim)) {
            let w: [f32; KEYS] = std::array::from_fn(|j| weights[first + j] * scales[j]);
            for ((((out, v0), v1), v2), v3) in out.iter_mut().zip(v0).zip(v1).zip(v2).zip(v3) {
                let first = fma::<FMA>(w[0], *v0, fma::<FMA>(w[1], *v1, *out));
                *out = fma::<FMA>(w[2], *v2, fma::<FMA>(w[3], *v3, first));
            }
        }
    }
}

per_level! {
    /// [`super::dots`].
    pub(super) fn dots / dots_at(q: &[f32], k: Stored<'_>, span: Span, scores: &mut [f32]) {
        as_rows!(k, k => dots_of::<FMA>(q, k, span, scores));
    }
}

per_level! {
    /// [`super::gather`]; weights beyond the keys are zero up to a multiple of [`KEYS`].
    pub(super) fn gather / gather_at(weights: &[f32], v: Stored<'_>, span: Span, out: &mut [f32]) {
        as_rows!(v, v => gather_of::<FMA>(weights, v, span, out));
    }
}
