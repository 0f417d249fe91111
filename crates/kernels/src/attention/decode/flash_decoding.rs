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
/// Most rows of a job: queries, scores and sums stay in the L2 cache beside the keys.
const MAX_ROWS: usize = 64;

/// The heads of one KV head, for one query, over one span of keys.
struct SpanQuery {
    sequence: usize,
    query: usize,
    kv: usize,
    span: KeySpan,
}

/// Attention of `sequences` with a few queries each; writes the values of their queries to `out`, the result of all
/// queries.
pub(crate) fn decode(inputs: &Inputs<'_>, sequences: &[PlacedSequence<'_>], out: &mut [f32]) {
    let (p, group) = (inputs.p, inputs.p.heads / inputs.p.kv_heads);
    let parts = parts(inputs, sequences);
    let jobs = jobs(&parts, group);
    let first_value =
        |part: &SpanQuery| ((sequences[part.sequence].first_query + part.query) * p.heads + part.kv * group) * p.dim;
    let one = |job: usize| {
        let queries = jobs[job].iter().map(|&part| &inputs.q[first_value(&parts[part])..][..group * p.dim]);
        attend_span(inputs, &queries.collect::<Vec<_>>().concat(), parts[jobs[job][0]].span)
    };
    let multiplications: usize = parts.iter().map(|part| part.span.keys * group * p.dim).sum();
    let parallel = multiplications >= MIN_PARALLEL_MULTIPLICATIONS;
    let results: Vec<PartialSoftmax> =
        if parallel { thread_pool::map(jobs.len(), one) } else { (0..jobs.len()).map(one).collect() };
    // The result of each part, and the first of its rows there.
    let mut places = vec![(0, 0); parts.len()];
    for (job, parts) in jobs.iter().enumerate() {
        parts.iter().enumerate().for_each(|(n, &part)| places[part] = (job, n * group));
    }
    let mut places = &places[..];
    for parts in parts.chunk_by(|a, b| (a.sequence, a.query, a.kv) == (b.sequence, b.query, b.kv)) {
        let (own, others) = places.split_at(parts.len());
        let out = &mut out[first_value(&parts[0])..][..group * p.dim];
        for (head, out) in out.chunks_exact_mut(p.dim).enumerate() {
            let partials = own.iter().map(|&(job, row)| (&results[job], row + head));
            merge_partials(inputs.isa, partials, p.dim, out);
        }
        places = others;
    }
}

/// All parts, in the order of sequences, queries, KV heads and keys.
fn parts(inputs: &Inputs<'_>, sequences: &[PlacedSequence<'_>]) -> Vec<SpanQuery> {
    let p = inputs.p;
    let mut parts = Vec::new();
    for (number, PlacedSequence { sequence, .. }) in sequences.iter().enumerate() {
        let step = sequence.row_step(p.kv_heads);
        for (query, kv) in (0..sequence.queries).flat_map(|query| (0..p.kv_heads).map(move |kv| (query, kv))) {
            let keys = sequence.visible_keys(p.causal, query);
            parts.extend((0..keys).step_by(SPAN).map(|first| {
                let span = KeySpan {
                    start: sequence.row(p.kv_heads, kv, first),
                    step,
                    keys: SPAN.min(keys - first),
                    dim: p.dim,
                };
                SpanQuery { sequence: number, query, kv, span }
            }));
        }
    }
    parts
}

/// Parts over the same keys are one job, of at most [`MAX_ROWS`] rows: sequences with the same prefix read it once.
/// The jobs are in the order of their keys in memory.
fn jobs(parts: &[SpanQuery], group: usize) -> Vec<Vec<usize>> {
    let place = |part: usize| (parts[part].span.start, parts[part].span.keys, parts[part].span.step);
    let mut order: Vec<usize> = (0..parts.len()).collect();
    order.sort_by_key(|&part| place(part));
    let same = order.chunk_by(|&a, &b| place(a) == place(b));
    same.flat_map(|parts| parts.chunks((MAX_ROWS / group).max(1))).map(<[usize]>::to_vec).collect()
}

/// Softmax of some rows over one span of keys, not normalized. A row is a query of one head.
struct PartialSoftmax {
    /// Largest score of each row.
    max: Vec<f32>,
    /// Sum of `exp(score - max)`.
    sum: Vec<f32>,
    /// Sum of `exp(score - max) * value`, `[rows, dim]`.
    out: Vec<f32>,
}

/// Attention of the rows `q` `[rows, dim]` over the keys of `span`.
fn attend_span(inputs: &Inputs<'_>, q: &[f32], span: KeySpan) -> PartialSoftmax {
    let rows = q.len() / span.dim;
    let mut partial =
        PartialSoftmax { max: vec![f32::NEG_INFINITY; rows], sum: vec![0.0; rows], out: vec![0.0; q.len()] };
    let mut scores = vec![0.0; rows * SPAN];
    qk(inputs, q, span, &mut scores);
    for (row, scores) in scores.chunks_exact_mut(SPAN).enumerate() {
        let (scores, behind) = scores[..span.keys.next_multiple_of(V_ROWS)].split_at_mut(span.keys);
        span_softmax_at(inputs.isa, scores, inputs.p.scale, &mut partial.max[row], &mut partial.sum[row]);
        behind.fill(0.0);
    }
    weighted_sum(inputs, &scores, span, &mut partial.out);
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

/// Writes the softmax over all spans to `out`, from partial results and the row of each.
fn merge_partials<'p>(
    isa: Isa,
    partials: impl Iterator<Item = (&'p PartialSoftmax, usize)> + Clone,
    dim: usize,
    out: &mut [f32],
) {
    let max = partials.clone().fold(f32::NEG_INFINITY, |max, (partial, row)| max.max(partial.max[row]));
    let mut sum = 0.0;
    out.fill(0.0);
    for (partial, row) in partials.filter(|(partial, row)| partial.sum[*row] != 0.0) {
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
