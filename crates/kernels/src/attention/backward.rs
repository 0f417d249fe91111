//! Gradients of attention, f32: probabilities are computed again, one tile of queries at a time.

use rayon::prelude::*;

use super::{Heads, check};
use crate::activation::exp;
use crate::gemm::{Matrix, Over, product};
use crate::level::per_level;

/// Queries of one tile.
const TILE: usize = 64;

/// One tile of queries of one sequence.
#[derive(Clone, Copy)]
struct Tile {
    first_query: usize,
    queries: usize,
    first_key: usize,
    keys: usize,
    /// Keys the first query sees (all of them when not causal).
    seen_by_first: usize,
}

impl Tile {
    fn seen(&self, causal: bool, row: usize) -> usize {
        if causal { (self.seen_by_first + row).min(self.keys) } else { self.keys }
    }
}

fn tiles(segments: &[(usize, usize)], causal: bool, tile: usize) -> Vec<Tile> {
    let (mut first_query, mut first_key, mut all) = (0, 0, Vec::new());
    for &(queries, keys) in segments {
        for start in (0..queries).step_by(tile) {
            let seen_by_first = if causal { (keys + start + 1).saturating_sub(queries) } else { keys };
            let queries = tile.min(queries - start);
            // Keys beyond what the last query of the tile sees are never touched.
            let keys = if causal { (seen_by_first + queries - 1).min(keys) } else { keys };
            all.push(Tile { first_query: first_query + start, queries, first_key, keys, seen_by_first });
        }
        first_query += queries;
        first_key += keys;
    }
    all
}

per_level! {
    /// Softmax of the first `seen` of one row of scaled scores, zero for the rest.
    fn softmax_row / softmax_row_at(row: &mut [f32], seen: usize, scale: f32) {
        let (live, dead) = row.split_at_mut(seen);
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

/// Probabilities of one head of one tile into `p` (`[queries, keys]`).
fn probabilities(q: &[f32], k: &[f32], tile: &Tile, h: &Heads, head: usize, p: &mut [f32]) {
    let (q_row, k_row, kv) = (h.heads * h.dim, h.kv_heads * h.dim, head / (h.heads / h.kv_heads));
    let q_mat = Matrix::rows_of(q, tile.first_query * q_row + head * h.dim, tile.queries, h.dim, q_row);
    let k_mat = Matrix::rows_of(k, tile.first_key * k_row + kv * h.dim, tile.keys, h.dim, k_row);
    product(Over::One, p, 0, tile.keys, q_mat, k_mat.t(), false);
    for (row, p) in p.chunks_exact_mut(tile.keys).take(tile.queries).enumerate() {
        softmax_row(p, tile.seen(h.causal, row), h.scale);
    }
}

/// Gradients of [`super::attention`] to `q`, `k` and `v`, recomputing the probabilities; written to `dq`, `dk`, `dv`.
#[allow(clippy::too_many_arguments, reason = "three inputs, three gradients")]
pub fn attention_backward(
    q: &[f32],
    k: &[f32],
    v: &[f32],
    dout: &[f32],
    segments: &[(usize, usize)],
    h: &Heads,
    dq: &mut [f32],
    dk: &mut [f32],
    dv: &mut [f32],
) {
    check(q.len(), k.len(), v.len(), segments, h);
    let mut jobs = Vec::new();
    let (mut first_query, mut first_key) = (0, 0);
    for &(queries, keys) in segments {
        jobs.extend((0..h.kv_heads).map(|kv| (kv, first_query, queries, first_key, keys)));
        first_query += queries;
        first_key += keys;
    }
    let parts: Vec<_> = jobs
        .into_par_iter()
        .filter(|job| job.2 > 0)
        .map(|(kv, q0, queries, k0, keys)| {
            let tiles: Vec<Tile> = tiles(&[(queries, keys)], h.causal, TILE)
                .into_iter()
                .map(|t| Tile { first_query: t.first_query + q0, first_key: k0, ..t })
                .collect();
            (kv, q0, k0, one_group(q, k, v, dout, h, kv, q0, queries, keys, &tiles))
        })
        .collect();
    let (q_row, k_row, group) = (h.heads * h.dim, h.kv_heads * h.dim, h.heads / h.kv_heads);
    dk.fill(0.0);
    dv.fill(0.0);
    for (kv, q0, k0, gradients) in parts {
        for (i, head) in gradients.dq.iter().enumerate() {
            scatter(head, dq, q0 * q_row + (kv * group + i) * h.dim, q_row, h.dim);
        }
        scatter(&gradients.dk, dk, k0 * k_row + kv * h.dim, k_row, h.dim);
        scatter(&gradients.dv, dv, k0 * k_row + kv * h.dim, k_row, h.dim);
    }
}

fn scatter(from: &[f32], to: &mut [f32], offset: usize, stride: usize, dim: usize) {
    for (row, values) in from.chunks_exact(dim).enumerate() {
        let start = offset + row * stride;
        to[start..start + dim].copy_from_slice(values);
    }
}

struct GroupGradients {
    /// `[queries, d]` for each query head of the group.
    dq: Vec<Vec<f32>>,
    /// `[keys, d]`.
    dk: Vec<f32>,
    /// `[keys, d]`.
    dv: Vec<f32>,
}

#[allow(clippy::too_many_arguments, reason = "private step of attention_backward")]
fn one_group(
    q: &[f32],
    k: &[f32],
    v: &[f32],
    dout: &[f32],
    h: &Heads,
    kv: usize,
    q0: usize,
    queries: usize,
    keys: usize,
    tiles: &[Tile],
) -> GroupGradients {
    let (q_row, k_row, group, d) = (h.heads * h.dim, h.kv_heads * h.dim, h.heads / h.kv_heads, h.dim);
    let mut out =
        GroupGradients { dq: vec![vec![0.0; queries * d]; group], dk: vec![0.0; keys * d], dv: vec![0.0; keys * d] };
    let (mut p, mut dp) = (vec![0.0; TILE * keys], vec![0.0; TILE * keys]);
    for (i, dq) in out.dq.iter_mut().enumerate() {
        let head = kv * group + i;
        for tile in tiles {
            probabilities(q, k, tile, h, head, &mut p);
            let n = tile.keys;
            let at_q = tile.first_query * q_row + head * d;
            let do_mat = Matrix::rows_of(dout, at_q, tile.queries, d, q_row);
            let k_mat = Matrix::rows_of(k, tile.first_key * k_row + kv * d, n, d, k_row);
            let v_mat = Matrix::rows_of(v, tile.first_key * k_row + kv * d, n, d, k_row);
            product(Over::One, &mut out.dv, 0, d, Matrix::rows_of(&p, 0, tile.queries, n, n).t(), do_mat, true);
            product(Over::One, &mut dp, 0, n, do_mat, v_mat.t(), false);
            for (dp, p) in dp.chunks_exact_mut(n).zip(p.chunks_exact(n)).take(tile.queries) {
                let along: f32 = dp.iter().zip(p).map(|(a, b)| a * b).sum();
                for (dp, &p) in dp.iter_mut().zip(p) {
                    *dp = p * (*dp - along) * h.scale;
                }
            }
            let ds = Matrix::rows_of(&dp, 0, tile.queries, n, n);
            product(Over::One, dq, (tile.first_query - q0) * d, d, ds, k_mat, false);
            let q_mat = Matrix::rows_of(q, at_q, tile.queries, d, q_row);
            product(Over::One, &mut out.dk, 0, d, ds.t(), q_mat, true);
        }
    }
    out
}
