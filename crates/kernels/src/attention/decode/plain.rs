//! Products of decode attention in plain loops.

use super::super::kv::{KvRows, KvSlice, with_kv_rows};
use super::span::{KeySpan, PREFETCH_ROWS, SPAN, V_ROWS};
use crate::isa::{fma, per_isa};

#[inline(always)]
fn qk_rows<const FMA: bool>(q: &[f32], k: impl KvRows, span: KeySpan, scores: &mut [f32]) {
    let key = &mut vec![0.0; span.dim][..];
    for j in 0..span.keys {
        k.prefetch_row(span.row(j + PREFETCH_ROWS), span.dim);
        k.convert_row(span.row(j), key);
        let scale = k.scale(span.row(j));
        for (q, scores) in q.chunks_exact(span.dim).zip(scores.chunks_exact_mut(SPAN)) {
            let mut lanes = [0.0f32; 16];
            let (q_lanes, k_lanes) = (q.chunks_exact(16), key.chunks_exact(16));
            let rest: f32 = q_lanes.remainder().iter().zip(k_lanes.remainder()).map(|(a, b)| a * b).sum();
            for (q, k) in q_lanes.zip(k_lanes) {
                for ((lane, q), k) in lanes.iter_mut().zip(q).zip(k) {
                    *lane = fma::<FMA>(*q, *k, *lane);
                }
            }
            scores[j] = (lanes.iter().sum::<f32>() + rest) * scale;
        }
    }
}

/// Adds [`V_ROWS`] rows of values at once.
#[inline(always)]
fn weighted_sum_rows<const FMA: bool>(weights: &[f32], v: impl KvRows, span: KeySpan, out: &mut [f32]) {
    let dim = span.dim;
    let mut values = vec![0.0; V_ROWS * dim];
    for first in (0..span.keys).step_by(V_ROWS) {
        let rows = V_ROWS.min(span.keys - first);
        for (j, values) in values.chunks_exact_mut(dim).enumerate().take(rows) {
            v.prefetch_row(span.row(first + j + PREFETCH_ROWS), dim);
            v.convert_row(span.row(first + j), values);
        }
        let scale = |j: usize| if j < rows { v.scale(span.row(first + j)) } else { 1.0 };
        let scales: [f32; V_ROWS] = std::array::from_fn(scale);
        // Old values could be infinite, and zero times infinity is NaN.
        values[rows * dim..].fill(0.0);
        let (v01, v23) = values.split_at(2 * dim);
        let ((v0, v1), (v2, v3)) = (v01.split_at(dim), v23.split_at(dim));
        for (weights, out) in weights.chunks_exact(SPAN).zip(out.chunks_exact_mut(dim)) {
            let w: [f32; V_ROWS] = std::array::from_fn(|j| weights[first + j] * scales[j]);
            for ((((out, v0), v1), v2), v3) in out.iter_mut().zip(v0).zip(v1).zip(v2).zip(v3) {
                let first = fma::<FMA>(w[0], *v0, fma::<FMA>(w[1], *v1, *out));
                *out = fma::<FMA>(w[2], *v2, fma::<FMA>(w[3], *v3, first));
            }
        }
    }
}

per_isa! {
    /// `scores[g, j] = q[g] . k[j]`, as `dispatch::qk` defines it.
    pub(super) fn qk / qk_at(q: &[f32], k: KvSlice<'_>, span: KeySpan, scores: &mut [f32]) {
        with_kv_rows!(k, k => qk_rows::<FMA>(q, k, span, scores));
    }
}

per_isa! {
    /// `out[g] += sum of weights[g, j] * v[j]`, as `dispatch::weighted_sum` defines it. Weights beyond the keys are
    /// zero up to a multiple of [`V_ROWS`].
    pub(super) fn weighted_sum / weighted_sum_at(weights: &[f32], v: KvSlice<'_>, span: KeySpan, out: &mut [f32]) {
        with_kv_rows!(v, v => weighted_sum_rows::<FMA>(weights, v, span, out));
    }
}
