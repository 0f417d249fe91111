//! Few queries over many keys, as when an answer is written: keys and values are read once, where they are.

use super::stored::{Rows, Stored};
use super::{Inputs, Sequence};
use crate::activation::exp;
use crate::level::{Level, fma, per_level};
use crate::team;

/// Keys that one job takes at once; its scores stay in the first cache.
const SPAN: usize = 256;
/// Rows between the one that is read and the one that is asked for: a page and more, at whose end the machine's own
/// guesses stop.
const AHEAD: usize = 16;
/// Rows of values that are added up at once; divides [`SPAN`].
const KEYS: usize = 4;

/// Attention of `sequences` of a few queries each.
pub(super) fn few(inputs: &Inputs<'_>, sequences: &[Sequence], out: &mut [f32]) {
    let h = inputs.h;
    for sequence in sequences {
        let jobs = sequence.keys.div_ceil(SPAN) * h.kv_heads;
        let one = |job: usize| part(inputs, sequence, job % h.kv_heads, job / h.kv_heads * SPAN);
        let large = sequence.keys * h.heads * h.dim * sequence.queries >= 1 << 18;
        let parts: Vec<Part> = if large { team::map(jobs, one) } else { (0..jobs).map(one).collect() };
        for i in 0..sequence.queries {
            for head in 0..h.heads {
                let at = ((sequence.first_query + i) * h.heads + head) * h.dim;
                let group = h.heads / h.kv_heads;
                let of_head = parts.iter().skip(head / group).step_by(h.kv_heads);
                join(of_head, i * group + head % group, h.dim, &mut out[at..at + h.dim]);
            }
        }
    }
}

/// What one span of keys gives the queries of one key head: unnormalised.
struct Part {
    /// Largest score, one a query and head.
    max: Vec<f32>,
    /// Sum of `exp(score - max)`.
    sum: Vec<f32>,
    /// Sum of values times those, `[queries * group, dim]`.
    out: Vec<f32>,
}

/// `SPAN` keys from `first` on of one key head.
fn part(inputs: &Inputs<'_>, s: &Sequence, kv: usize, first: usize) -> Part {
    let (level, q, h) = (inputs.level, inputs.q, inputs.h);
    let group = h.heads / h.kv_heads;
    let rows = s.queries * group;
    let mut part = Part { max: vec![f32::NEG_INFINITY; rows], sum: vec![0.0; rows], out: vec![0.0; rows * h.dim] };
    let (mut scores, mut wide) = (vec![0.0; group * SPAN], vec![0.0; KEYS * h.dim]);
    for i in 0..s.queries {
        let keys = SPAN.min(s.seen(h.causal, i).saturating_sub(first));
        if keys == 0 {
            continue;
        }
        let (start, step) = ((s.first_key + first) * h.kv_heads + kv, h.kv_heads);
        let at = ((s.first_query + i) * h.heads + kv * group) * h.dim;
        let (q, own) = (&q[at..at + group * h.dim], i * group..(i + 1) * group);
        dots_at(level, level, q, inputs.k, start, step, keys, &mut wide, &mut scores);
        for (row, scores) in own.clone().zip(scores.chunks_exact_mut(SPAN)) {
            let scores = &mut scores[..keys.next_multiple_of(KEYS)];
            weigh_at(level, &mut scores[..keys], h.scale, &mut part.max[row], &mut part.sum[row]);
            scores[keys..].fill(0.0);
        }
        let out = &mut part.out[own.start * h.dim..own.end * h.dim];
        gather_at(level, &scores, inputs.v, start, step, keys, &mut wide, out);
    }
    part
}

/// `scores[g, j] = q[g] . k[j]` for all heads `g` of a group and `keys` rows of `k`, row `start` and every `step`th
/// after it; rows of scores are [`SPAN`] long. Every key is read once for all heads.
#[inline(always)]
#[allow(clippy::too_many_arguments, reason = "kernels take plain slices and sizes")]
fn dots_of<const FMA: bool>(
    level: Level,
    q: &[f32],
    k: impl Rows,
    start: usize,
    step: usize,
    keys: usize,
    wide: &mut [f32],
    scores: &mut [f32],
) {
    let dim = wide.len() / KEYS;
    let wide = &mut wide[..dim];
    for j in 0..keys {
        let row = start + j * step;
        k.fetch(row + AHEAD * step, dim);
        k.widen(row, wide);
        heads::<FMA>(level, q, wide, k.scale(row), &mut scores[j..]);
    }
}

/// `scores[g * SPAN] = q[g] . k * scale` for all heads `g`.
#[inline(always)]
fn heads<const FMA: bool>(level: Level, q: &[f32], k: &[f32], scale: f32, scores: &mut [f32]) {
    let groups = q.len() / k.len();
    assert!(scores.len() > (groups - 1) * SPAN && q.len() == groups * k.len(), "scores of one key");
    #[cfg(target_arch = "x86_64")]
    if level >= Level::Avx512 {
        // SAFETY: the level was detected on this CPU, and the sizes are checked above.
        return unsafe { avx512::heads(q, k, scale, scores) };
    }
    let _ = level;
    for (q, score) in q.chunks_exact(k.len()).zip(scores.iter_mut().step_by(SPAN)) {
        let mut lanes = [0.0f32; 16];
        let (whole_q, whole_k) = (q.chunks_exact(16), k.chunks_exact(16));
        let rest: f32 = whole_q.remainder().iter().zip(whole_k.remainder()).map(|(a, b)| a * b).sum();
        for (q, k) in whole_q.zip(whole_k) {
            for ((lane, q), k) in lanes.iter_mut().zip(q).zip(k) {
                *lane = fma::<FMA>(*q, *k, *lane);
            }
        }
        *score = (lanes.iter().sum::<f32>() + rest) * scale;
    }
}

/// By name: compilers make pairs of lanes of the sums over a row, a tenth as fast.
#[cfg(target_arch = "x86_64")]
mod avx512 {
    #![allow(clippy::wildcard_imports, reason = "the instructions")]
    use std::arch::x86_64::*;

    use super::SPAN;

    /// # Safety
    /// The CPU has AVX-512F; `q` has whole rows as long as `k`, `scores` a value [`SPAN`] after the other for each.
    #[target_feature(enable = "avx512f")]
    pub(super) unsafe fn heads(q: &[f32], k: &[f32], scale: f32, scores: &mut [f32]) {
        for (q, scores) in q.chunks(4 * k.len()).zip(scores.chunks_mut(4 * SPAN)) {
            // SAFETY: as the caller promises, of as many rows as there are in this part.
            unsafe {
                match q.len() / k.len() {
                    1 => some::<1>(q, k, scale, scores),
                    2 => some::<2>(q, k, scale, scores),
                    3 => some::<3>(q, k, scale, scores),
                    _ => some::<4>(q, k, scale, scores),
                }
            }
        }
    }

    /// # Safety
    /// As for [`heads`], with `N` rows of `q`.
    #[target_feature(enable = "avx512f")]
    unsafe fn some<const N: usize>(q: &[f32], k: &[f32], scale: f32, scores: &mut [f32]) {
        let dim = k.len();
        let mut sums = [_mm512_setzero_ps(); N];
        for column in (0..dim).step_by(16) {
            let mask = if dim - column < 16 { (1 << (dim - column)) - 1 } else { u16::MAX };
            // SAFETY: the mask keeps the loads inside the rows.
            unsafe {
                let k = _mm512_maskz_loadu_ps(mask, k.as_ptr().add(column));
                for (g, sum) in sums.iter_mut().enumerate() {
                    let q = _mm512_maskz_loadu_ps(mask, q.as_ptr().add(g * dim + column));
                    *sum = _mm512_fmadd_ps(q, k, *sum);
                }
            }
        }
        for (sum, score) in sums.iter().zip(scores.iter_mut().step_by(SPAN)) {
            *score = _mm512_reduce_add_ps(*sum) * scale;
        }
    }
}

/// `out[g] += sum of weights[g, j] * v[j]` over `keys` rows of `v`, row `start` and every `step`th after it, [`KEYS`]
/// at once; weights beyond them are zero.
#[inline(always)]
fn gather_of<const FMA: bool>(
    weights: &[f32],
    v: impl Rows,
    start: usize,
    step: usize,
    keys: usize,
    wide: &mut [f32],
    out: &mut [f32],
) {
    let dim = wide.len() / KEYS;
    for first in (0..keys).step_by(KEYS) {
        let rows = KEYS.min(keys - first);
        let row = |j: usize| start + (first + j) * step;
        for (j, wide) in wide.chunks_exact_mut(dim).enumerate().take(rows) {
            v.fetch(row(j + AHEAD), dim);
            v.widen(row(j), wide);
        }
        let scales: [f32; KEYS] = std::array::from_fn(|j| if j < rows { v.scale(row(j)) } else { 1.0 });
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
    /// [`dots_of`] keys.
    fn dots / dots_at(
        at: Level, q: &[f32], k: Stored<'_>, start: usize, step: usize, keys: usize, wide: &mut [f32],
        scores: &mut [f32],
    ) {
        match k {
            Stored::F32(k) => dots_of::<FMA>(at, q, k, start, step, keys, wide, scores),
            Stored::Bf16(k) => dots_of::<FMA>(at, q, k, start, step, keys, wide, scores),
            Stored::Int8(k) => dots_of::<FMA>(at, q, k, start, step, keys, wide, scores),
        }
    }
}

per_level! {
    /// [`gather_of`] values.
    fn gather / gather_at(
        weights: &[f32], v: Stored<'_>, start: usize, step: usize, keys: usize, wide: &mut [f32], out: &mut [f32],
    ) {
        match v {
            Stored::F32(v) => gather_of::<FMA>(weights, v, start, step, keys, wide, out),
            Stored::Bf16(v) => gather_of::<FMA>(weights, v, start, step, keys, wide, out),
            Stored::Int8(v) => gather_of::<FMA>(weights, v, start, step, keys, wide, out),
        }
    }
}

per_level! {
    /// Scores to `exp(scale * score - max)`, with the largest scaled score and their sum.
    fn weigh / weigh_at(scores: &mut [f32], scale: f32, max: &mut f32, sum: &mut f32) {
        let most = scores.iter().fold(f32::NEG_INFINITY, |most, score| most.max(score * scale));
        for score in scores.iter_mut() {
            *score = exp::<FMA>(*score * scale - most);
        }
        (*max, *sum) = (most, scores.iter().sum());
    }
}

/// Softmax over all spans from what each gave.
fn join<'p>(parts: impl Iterator<Item = &'p Part> + Clone, row: usize, dim: usize, out: &mut [f32]) {
    let max = parts.clone().fold(f32::NEG_INFINITY, |max, part| max.max(part.max[row]));
    let mut sum = 0.0;
    out.fill(0.0);
    for part in parts.filter(|part| part.sum[row] != 0.0) {
        let factor = (part.max[row] - max).exp();
        sum += part.sum[row] * factor;
        for (out, value) in out.iter_mut().zip(&part.out[row * dim..(row + 1) * dim]) {
            *out += value * factor;
        }
    }
    out.iter_mut().for_each(|out| *out /= sum);
}
