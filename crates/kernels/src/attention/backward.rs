//! Gradients of attention, f32. Probabilities are recomputed, one tile of queries at a time.

use rayon::prelude::*;

use super::params::AttentionParams;
use super::sequence::{Sequence, check_sequences};
use crate::dense::gemm_crate::{Parallelism, StridedMatrix, matmul};
use crate::elementwise::exp::exp;
use crate::isa::per_isa;

/// Queries of one tile.
const TILE_QUERIES: usize = 64;

/// Some queries of one sequence.
#[derive(Clone, Copy)]
struct QueryTile {
    first_query: usize,
    queries: usize,
    first_key: usize,
    keys: usize,
    /// Keys that the first query sees (all of them when not causal).
    visible_to_first: usize,
}

impl QueryTile {
    /// Keys that query `row` of the tile sees.
    fn visible_keys(&self, causal: bool, row: usize) -> usize {
        if causal { (self.visible_to_first + row).min(self.keys) } else { self.keys }
    }
}

/// Cuts a sequence of so many queries and keys into tiles.
fn query_tiles(queries: usize, keys: usize, causal: bool) -> Vec<QueryTile> {
    let tile = |start: usize| {
        let visible_to_first = if causal { (keys + start + 1).saturating_sub(queries) } else { keys };
        let queries = TILE_QUERIES.min(queries - start);
        // Keys that no query of the tile sees are never read.
        let keys = if causal { (visible_to_first + queries - 1).min(keys) } else { keys };
        QueryTile { first_query: start, queries, first_key: 0, keys, visible_to_first }
    };
    (0..queries).step_by(TILE_QUERIES).map(tile).collect()
}

per_isa! {
    /// Softmax of the first `visible` of one row of scores, times `scale`; zero for the rest.
    fn softmax_row / softmax_row_at(row: &mut [f32], visible: usize, scale: f32) {
        let (live, dead) = row.split_at_mut(visible);
        dead.fill(0.0);
        let mut lanes = [f32::NEG_INFINITY; 16];
        for chunk in live.chunks(16) {
            for (lane, &v) in lanes.iter_mut().zip(chunk) {
                *lane = if v > *lane { v } else { *lane };
            }
        }
        let max = lanes.iter().fold(f32::NEG_INFINITY, |a, &b| a.max(b));
        let mut sums = [0.0f32; 16];
        for chunk in live.chunks_mut(16) {
            for (sum, v) in sums.iter_mut().zip(chunk) {
                *v = exp::<FMA>((*v - max) * scale);
                *sum += *v;
            }
        }
        let inverse = 1.0 / sums.iter().sum::<f32>();
        for v in live {
            *v *= inverse;
        }
    }
}

/// Inputs of the gradients.
#[derive(Clone, Copy)]
struct GradientInputs<'a> {
    q: &'a [f32],
    k: &'a [f32],
    v: &'a [f32],
    dout: &'a [f32],
    p: &'a AttentionParams,
}

impl GradientInputs<'_> {
    /// Values from one query to the next, and from one key to the next.
    fn row_strides(&self) -> (usize, usize) {
        (self.p.heads * self.p.dim, self.p.kv_heads * self.p.dim)
    }

    /// Writes the probabilities of one head of one tile to `probabilities` `[queries, keys]`.
    fn probabilities(&self, tile: &QueryTile, head: usize, probabilities: &mut [f32]) {
        let (p, (q_row, k_row)) = (self.p, self.row_strides());
        let kv = head / (p.heads / p.kv_heads);
        let q = StridedMatrix::row_major(self.q, tile.first_query * q_row + head * p.dim, tile.queries, p.dim, q_row);
        let k = StridedMatrix::row_major(self.k, tile.first_key * k_row + kv * p.dim, tile.keys, p.dim, k_row);
        matmul(Parallelism::Serial, probabilities, 0, tile.keys, q, k.t(), false);
        for (row, scores) in probabilities.chunks_exact_mut(tile.keys).take(tile.queries).enumerate() {
            softmax_row(scores, tile.visible_keys(p.causal, row), p.scale);
        }
    }

    /// Gradients of the query heads of one KV head of one sequence, whose first query is `q0`.
    fn group_gradients(
        &self,
        kv: usize,
        q0: usize,
        (queries, keys): (usize, usize),
        tiles: &[QueryTile],
    ) -> GroupGradients {
        let (p, (q_row, k_row)) = (self.p, self.row_strides());
        let (group, d) = (p.heads / p.kv_heads, p.dim);
        let mut out = GroupGradients {
            dq: vec![vec![0.0; queries * d]; group],
            dk: vec![0.0; keys * d],
            dv: vec![0.0; keys * d],
        };
        let (mut probs, mut dprobs) = (vec![0.0; TILE_QUERIES * keys], vec![0.0; TILE_QUERIES * keys]);
        for (i, dq) in out.dq.iter_mut().enumerate() {
            let head = kv * group + i;
            for tile in tiles {
                self.probabilities(tile, head, &mut probs);
                let n = tile.keys;
                let at_q = tile.first_query * q_row + head * d;
                let dout = StridedMatrix::row_major(self.dout, at_q, tile.queries, d, q_row);
                let k = StridedMatrix::row_major(self.k, tile.first_key * k_row + kv * d, n, d, k_row);
                let v = StridedMatrix::row_major(self.v, tile.first_key * k_row + kv * d, n, d, k_row);
                let probs_t = StridedMatrix::row_major(&probs, 0, tile.queries, n, n).t();
                matmul(Parallelism::Serial, &mut out.dv, 0, d, probs_t, dout, true);
                matmul(Parallelism::Serial, &mut dprobs, 0, n, dout, v.t(), false);
                for (dprobs, probs) in dprobs.chunks_exact_mut(n).zip(probs.chunks_exact(n)).take(tile.queries) {
                    let along: f32 = dprobs.iter().zip(probs).map(|(a, b)| a * b).sum();
                    for (dprob, &prob) in dprobs.iter_mut().zip(probs) {
                        *dprob = prob * (*dprob - along) * p.scale;
                    }
                }
                let dscores = StridedMatrix::row_major(&dprobs, 0, tile.queries, n, n);
                matmul(Parallelism::Serial, dq, (tile.first_query - q0) * d, d, dscores, k, false);
                let q = StridedMatrix::row_major(self.q, at_q, tile.queries, d, q_row);
                matmul(Parallelism::Serial, &mut out.dk, 0, d, dscores.t(), q, true);
            }
        }
        out
    }
}

/// Gradients of the query heads of one KV head of one sequence.
struct GroupGradients {
    /// `[queries, d]` for each query head of the group.
    dq: Vec<Vec<f32>>,
    /// `[keys, d]`.
    dk: Vec<f32>,
    /// `[keys, d]`.
    dv: Vec<f32>,
}

/// Gradients with respect to queries, keys and values, of their sizes.
pub struct AttentionGradients {
    /// Of the queries.
    pub dq: Vec<f32>,
    /// Of the keys.
    pub dk: Vec<f32>,
    /// Of the values.
    pub dv: Vec<f32>,
}

/// Gradients of [`attention`](super::attention) in f32 with respect to `q`, `k` and `v`; `dout` is the gradient of the
/// result. `segments` lists the (queries, keys) of each sequence; keys and values of the sequences follow each other
/// ([`Sequence::contiguous`]). Probabilities are recomputed.
///
/// # Panics
/// When a slice does not have the size that `segments` and `p` say, and when a query has no key.
pub fn attention_backward(
    q: &[f32],
    k: &[f32],
    v: &[f32],
    dout: &[f32],
    segments: &[(usize, usize)],
    p: &AttentionParams,
) -> AttentionGradients {
    check_sequences(q.len(), k.len(), v.len(), &Sequence::contiguous(segments), p);
    let inputs = GradientInputs { q, k, v, dout, p };
    let mut jobs = Vec::new();
    let (mut first_query, mut first_key) = (0, 0);
    for &(queries, keys) in segments {
        jobs.extend((0..p.kv_heads).map(|kv| (kv, first_query, queries, first_key, keys)));
        first_query += queries;
        first_key += keys;
    }
    let all: Vec<_> = jobs
        .into_par_iter()
        .filter(|job| job.2 > 0)
        .map(|(kv, q0, queries, k0, keys)| {
            let tiles: Vec<QueryTile> = query_tiles(queries, keys, p.causal)
                .into_iter()
                .map(|tile| QueryTile { first_query: tile.first_query + q0, first_key: k0, ..tile })
                .collect();
            (kv, q0, k0, inputs.group_gradients(kv, q0, (queries, keys), &tiles))
        })
        .collect();
    let ((q_row, k_row), group) = (inputs.row_strides(), p.heads / p.kv_heads);
    let (mut dq, mut dk, mut dv) = (vec![0.0; q.len()], vec![0.0; k.len()], vec![0.0; v.len()]);
    for (kv, q0, k0, gradients) in all {
        for (i, head) in gradients.dq.iter().enumerate() {
            copy_rows(head, &mut dq, q0 * q_row + (kv * group + i) * p.dim, q_row, p.dim);
        }
        copy_rows(&gradients.dk, &mut dk, k0 * k_row + kv * p.dim, k_row, p.dim);
        copy_rows(&gradients.dv, &mut dv, k0 * k_row + kv * p.dim, k_row, p.dim);
    }
    AttentionGradients { dq, dk, dv }
}

/// Copies contiguous rows of `dim` values to rows `stride` apart, the first at `offset`.
fn copy_rows(from: &[f32], to: &mut [f32], offset: usize, stride: usize, dim: usize) {
    for (row, values) in from.chunks_exact(dim).enumerate() {
        let start = offset + row * stride;
        to[start..start + dim].copy_from_slice(values);
    }
}
