//! Jobs of decode attention: each computes the softmax over one span of keys; then the partial results are merged.

use super::super::inputs::Inputs;
use super::super::sequence::PlacedSequence;
use super::dispatch::{qk, weighted_sum};
use super::span::{KeySpan, SPAN, V_ROWS};
use crate::elementwise::exp::exp;
use crate::isa::{Isa, per_isa};
use crate::threads::thread_pool;

/// Multiplications of all sequences from which the jobs run on all threads.
const MIN_PARALLEL_MULTIPLICATIONS: usize = 1 << 18;

/// Attention of `sequences` with a few queries each; writes the values of their queries to `out`, the result of all
/// queries.
pub(crate) fn decode(inputs: &Inputs<'_>, sequences: &[PlacedSequence<'_>], out: &mut [f32]) {
    let (p, group) = (inputs.p, inputs.p.heads / inputs.p.kv_heads);
    let (mut jobs, mut multiplications) = (Vec::new(), 0);
    for (number, PlacedSequence { sequence, .. }) in sequences.iter().enumerate() {
        let spans = (0..sequence.keys).step_by(SPAN);
        jobs.extend(spans.flat_map(|first| (0..p.kv_heads).map(move |kv| (number, first, kv))));
        multiplications += sequence.keys * p.heads * p.dim * sequence.queries;
    }
    // Sequences with the same prefix read the same keys and values: one after the other, while they are in the cache.
    let mut order: Vec<usize> = (0..jobs.len()).collect();
    order.sort_by_key(|&job| {
        let (number, first, kv) = jobs[job];
        sequences[number].sequence.row(p.kv_heads, kv, first)
    });
    let one = |at: usize| {
        let (number, first, kv) = jobs[order[at]];
        (order[at], attend_span(inputs, &sequences[number], kv, first))
    };
    let parallel = multiplications >= MIN_PARALLEL_MULTIPLICATIONS;
    let mut partials: Vec<(usize, PartialSoftmax)> =
        if parallel { thread_pool::map(jobs.len(), one) } else { (0..jobs.len()).map(one).collect() };
    partials.sort_unstable_by_key(|(job, _)| *job);
    let mut rest = &partials[..];
    for PlacedSequence { sequence, first_query } in sequences {
        let (own, others) = rest.split_at(sequence.keys.div_ceil(SPAN) * p.kv_heads);
        for (i, head) in (0..sequence.queries).flat_map(|i| (0..p.heads).map(move |head| (i, head))) {
            let at = ((first_query + i) * p.heads + head) * p.dim;
            let of_head = own.iter().skip(head / group).step_by(p.kv_heads).map(|(_, partial)| partial);
            merge_partials(inputs.isa, of_head, i * group + head % group, p.dim, &mut out[at..at + p.dim]);
        }
        rest = others;
    }
}

/// Softmax of the queries of one KV head over one span of keys, not normalized.
struct PartialSoftmax {
    /// Largest score of each query and head.
    max: Vec<f32>,
    /// Sum of `exp(score - max)`.
    sum: Vec<f32>,
    /// Sum of `exp(score - max) * value`, `[queries * group, dim]`.
    out: Vec<f32>,
}

/// Attention of one KV head over at most [`SPAN`] keys from `first` on.
fn attend_span(inputs: &Inputs<'_>, placed: &PlacedSequence<'_>, kv: usize, first: usize) -> PartialSoftmax {
    let (isa, q, p, s) = (inputs.isa, inputs.q, inputs.p, placed.sequence);
    let group = p.heads / p.kv_heads;
    let rows = s.queries * group;
    let mut partial =
        PartialSoftmax { max: vec![f32::NEG_INFINITY; rows], sum: vec![0.0; rows], out: vec![0.0; rows * p.dim] };
    let mut scores = vec![0.0; group * SPAN];
    for i in 0..s.queries {
        let keys = SPAN.min(s.visible_keys(p.causal, i).saturating_sub(first));
        if keys == 0 {
            continue;
        }
        let (start, step) = (s.row(p.kv_heads, kv, first), s.row_step(p.kv_heads));
        let span = KeySpan { start, step, keys, dim: p.dim };
        let at = ((placed.first_query + i) * p.heads + kv * group) * p.dim;
        let (q, own) = (&q[at..at + group * p.dim], i * group..(i + 1) * group);
        qk(inputs, q, span, &mut scores);
        for (row, scores) in own.clone().zip(scores.chunks_exact_mut(SPAN)) {
            let scores = &mut scores[..keys.next_multiple_of(V_ROWS)];
            span_softmax_at(isa, &mut scores[..keys], p.scale, &mut partial.max[row], &mut partial.sum[row]);
            scores[keys..].fill(0.0);
        }
        let out = &mut partial.out[own.start * p.dim..own.end * p.dim];
        weighted_sum(inputs, &scores, span, out);
    }
    partial
}

per_isa! {
    /// Turns scores into `exp(scale * score - max)`; returns the largest scaled score and the sum of the exponentials.
    fn span_softmax / span_softmax_at(scores: &mut [f32], scale: f32, max: &mut f32, sum: &mut f32) {
        // Sixteen independent maxima and sums, so that the loops vectorize.
        let (lanes, rest) = scores.as_chunks_mut::<16>();
        let mut most = [f32::NEG_INFINITY; 16];
        for lanes in lanes.iter() {
            most.iter_mut().zip(lanes).for_each(|(most, score)| *most = most.max(score * scale));
        }
        *max = most.into_iter().chain(rest.iter().map(|score| score * scale)).fold(f32::NEG_INFINITY, f32::max);
        let mut sums = [0.0; 16];
        for lanes in lanes {
            for (score, sum) in lanes.iter_mut().zip(&mut sums) {
                *score = exp::<FMA>(*score * scale - *max);
                *sum += *score;
            }
        }
        rest.iter_mut().for_each(|score| *score = exp::<FMA>(*score * scale - *max));
        *sum = sums.iter().sum::<f32>() + rest.iter().sum::<f32>();
    }
}

/// Writes the softmax over all spans to `out`, from row `row` of the partial results.
fn merge_partials<'p>(
    isa: Isa,
    partials: impl Iterator<Item = &'p PartialSoftmax> + Clone,
    row: usize,
    dim: usize,
    out: &mut [f32],
) {
    let max = partials.clone().fold(f32::NEG_INFINITY, |max, partial| max.max(partial.max[row]));
    let mut sum = 0.0;
    out.fill(0.0);
    for partial in partials.filter(|partial| partial.sum[row] != 0.0) {
        let factor = (partial.max[row] - max).exp();
        sum += partial.sum[row] * factor;
        add_scaled_at(isa, out, &partial.out[row * dim..(row + 1) * dim], factor);
    }
    out.iter_mut().for_each(|out| *out /= sum);
}

per_isa! {
    /// `out += values * factor`.
    fn add_scaled / add_scaled_at(out: &mut [f32], values: &[f32], factor: f32) {
        out.iter_mut().zip(values).for_each(|(out, value)| *out += value * factor);
    }
}
