//! Few queries over many keys, as when an answer is written: keys and values are read once, where they are.

use rayon::prelude::*;

use super::{Inputs, Sequence, Stored};
use crate::activation::exp;
use crate::level::per_level;
use crate::packed::layout::from_bf16;

/// Keys that one job takes at once; its scores stay in the first cache.
const SPAN: usize = 256;

/// Attention of `sequences` of a few queries each.
pub(super) fn few(inputs: &Inputs<'_>, sequences: &[Sequence], out: &mut [f32]) {
    let h = inputs.h;
    for sequence in sequences {
        let jobs = sequence.keys.div_ceil(SPAN) * h.kv_heads;
        let one = |job: usize| part(inputs, sequence, job % h.kv_heads, job / h.kv_heads * SPAN);
        let large = sequence.keys * h.heads * h.dim * sequence.queries >= 1 << 18;
        let parts: Vec<Part> =
            if large { (0..jobs).into_par_iter().map(one).collect() } else { (0..jobs).map(one).collect() };
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
    let (group, stride) = (h.heads / h.kv_heads, h.kv_heads * h.dim);
    let rows = s.queries * group;
    let mut part = Part { max: vec![f32::NEG_INFINITY; rows], sum: vec![0.0; rows], out: vec![0.0; rows * h.dim] };
    let mut scores = [0.0; SPAN];
    for row in 0..rows {
        let (i, head) = (row / group, kv * group + row % group);
        let keys = SPAN.min(s.seen(h.causal, i).saturating_sub(first));
        if keys == 0 {
            continue;
        }
        let start = (s.first_key + first) * stride + kv * h.dim;
        let at = ((s.first_query + i) * h.heads + head) * h.dim;
        let (scores, out) = (&mut scores[..keys], &mut part.out[row * h.dim..(row + 1) * h.dim]);
        match inputs.k {
            Stored::F32(k) => dots_at(level, &q[at..at + h.dim], &k[start..], stride, scores),
            Stored::Bf16(k) => dots_bf16_at(level, &q[at..at + h.dim], &k[start..], stride, scores),
        }
        weigh_at(level, scores, h.scale, &mut part.max[row], &mut part.sum[row]);
        match inputs.v {
            Stored::F32(v) => gather_at(level, scores, &v[start..], stride, out),
            Stored::Bf16(v) => gather_bf16_at(level, scores, &v[start..], stride, out),
        }
    }
    part
}

/// What keys and values are stored as.
trait Value: Copy {
    fn wide(self) -> f32;
}

impl Value for f32 {
    #[inline(always)]
    fn wide(self) -> f32 {
        self
    }
}

impl Value for u16 {
    #[inline(always)]
    fn wide(self) -> f32 {
        from_bf16(self)
    }
}

/// `scores[j] = q . k[j]`, rows of `k` being `stride` apart.
#[inline(always)]
fn dots_of<T: Value>(q: &[f32], k: &[T], stride: usize, scores: &mut [f32]) {
    for (score, k) in scores.iter_mut().zip(k.chunks(stride)) {
        let mut lanes = [0.0f32; 16];
        let k = &k[..q.len()];
        let (whole_q, whole_k) = (q.chunks_exact(16), k.chunks_exact(16));
        let rest: f32 = whole_q.remainder().iter().zip(whole_k.remainder()).map(|(a, b)| a * b.wide()).sum();
        for (q, k) in whole_q.zip(whole_k) {
            for ((lane, q), k) in lanes.iter_mut().zip(q).zip(k) {
                *lane += q * k.wide();
            }
        }
        *score = lanes.iter().sum::<f32>() + rest;
    }
}

/// `out += sum of weights[j] * v[j]`, rows of `v` being `stride` apart.
#[inline(always)]
fn gather_of<T: Value>(weights: &[f32], v: &[T], stride: usize, out: &mut [f32]) {
    for (weight, v) in weights.iter().zip(v.chunks(stride)) {
        for (out, v) in out.iter_mut().zip(v) {
            *out += weight * v.wide();
        }
    }
}

per_level! {
    fn dots / dots_at(q: &[f32], k: &[f32], stride: usize, scores: &mut [f32]) {
        dots_of(q, k, stride, scores);
    }
}

per_level! {
    fn dots_bf16 / dots_bf16_at(q: &[f32], k: &[u16], stride: usize, scores: &mut [f32]) {
        dots_of(q, k, stride, scores);
    }
}

per_level! {
    fn gather / gather_at(weights: &[f32], v: &[f32], stride: usize, out: &mut [f32]) {
        gather_of(weights, v, stride, out);
    }
}

per_level! {
    fn gather_bf16 / gather_bf16_at(weights: &[f32], v: &[u16], stride: usize, out: &mut [f32]) {
        gather_of(weights, v, stride, out);
    }
}

per_level! {
    /// Scores to `exp(scale * score - max)`, with the largest scaled score and their sum.
    fn weigh / weigh_at(scores: &mut [f32], scale: f32, max: &mut f32, sum: &mut f32) {
        let most = scores.iter().fold(f32::NEG_INFINITY, |most, score| most.max(score * scale));
        for score in scores.iter_mut() {
            *score = exp(*score * scale - most);
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
