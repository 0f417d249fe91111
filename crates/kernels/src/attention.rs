//! Variable-length attention: many independent sequences laid end to end, grouped heads, causal or not, f32.
//!
//! Shapes: `q` and the result are `[tq, heads, d]`, `k` and `v` are `[tk, kv_heads, d]`; `segments` lists the
//! (queries, keys) of each sequence and sums to (tq, tk). Query head `h` reads key head `h / (heads / kv_heads)`.
//! A causal query `i` of a sequence sees keys `0 ..= keys - queries + i`. Scores never exceed one tile of queries.

use rayon::prelude::*;

use crate::activation::exp;
use crate::gemm::{Matrix, product};
use crate::level::per_level;

/// Queries of one tile.
const TILE: usize = 64;

/// Sizes that do not depend on the sequences.
#[derive(Clone, Copy, Debug)]
pub struct Heads {
    /// Query heads.
    pub heads: usize,
    /// Key and value heads; divides `heads`.
    pub kv_heads: usize,
    /// Width of a head.
    pub dim: usize,
    /// Whether a query sees only keys up to its own position.
    pub causal: bool,
    /// Factor on the scores, usually `dim^-0.5`.
    pub scale: f32,
}

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
    pub fn softmax_row / softmax_row_at(row: &mut [f32], seen: usize, scale: f32) {
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
                *v = exp((*v - max) * scale);
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
    product(p, 0, tile.keys, q_mat, k_mat.t(), false);
    for (row, p) in p.chunks_exact_mut(tile.keys).take(tile.queries).enumerate() {
        softmax_row(p, tile.seen(h.causal, row), h.scale);
    }
}

/// `out = softmax(q k^T * scale) v` for every sequence and head.
///
/// Panics when the slices do not have the sizes that `segments` and `h` say.
pub fn attention(q: &[f32], k: &[f32], v: &[f32], segments: &[(usize, usize)], h: &Heads, out: &mut [f32]) {
    let (q_row, k_row) = (h.heads * h.dim, h.kv_heads * h.dim);
    check(q, k, v, segments, h);
    assert_eq!(out.len(), q.len(), "result size");
    let mut rest = out;
    let mut work = Vec::new();
    for tile in tiles(segments, h.causal, TILE) {
        let (mine, others) = rest.split_at_mut(tile.queries * q_row);
        work.push((tile, mine));
        rest = others;
    }
    work.into_par_iter().for_each(|(tile, out)| {
        let mut p = vec![0.0; tile.queries * tile.keys];
        for head in 0..h.heads {
            probabilities(q, k, &tile, h, head, &mut p);
            let kv = head / (h.heads / h.kv_heads);
            let p_mat = Matrix::rows_of(&p, 0, tile.queries, tile.keys, tile.keys);
            let v_mat = Matrix::rows_of(v, tile.first_key * k_row + kv * h.dim, tile.keys, h.dim, k_row);
            product(out, head * h.dim, q_row, p_mat, v_mat, false);
        }
    });
}

fn check(q: &[f32], k: &[f32], v: &[f32], segments: &[(usize, usize)], h: &Heads) {
    let (tq, tk) = segments.iter().fold((0, 0), |(q, k), s| (q + s.0, k + s.1));
    assert_eq!(h.heads % h.kv_heads, 0, "grouped heads");
    assert_eq!(q.len(), tq * h.heads * h.dim, "query size");
    assert_eq!(k.len(), tk * h.kv_heads * h.dim, "key size");
    assert_eq!(v.len(), k.len(), "value size");
    for &(queries, keys) in segments {
        assert!(!h.causal || queries <= keys, "a causal sequence needs a key for every query");
        assert!(queries == 0 || keys > 0, "a query without keys");
    }
}

/// Gradients of [`attention`] to `q`, `k` and `v`, recomputing the probabilities; written to `dq`, `dk`, `dv`.
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
    check(q, k, v, segments, h);
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
            product(&mut out.dv, 0, d, Matrix::rows_of(&p, 0, tile.queries, n, n).t(), do_mat, true);
            product(&mut dp, 0, n, do_mat, v_mat.t(), false);
            for (dp, p) in dp.chunks_exact_mut(n).zip(p.chunks_exact(n)).take(tile.queries) {
                let along: f32 = dp.iter().zip(p).map(|(a, b)| a * b).sum();
                for (dp, &p) in dp.iter_mut().zip(p) {
                    *dp = p * (*dp - along) * h.scale;
                }
            }
            let ds = Matrix::rows_of(&dp, 0, tile.queries, n, n);
            product(dq, (tile.first_query - q0) * d, d, ds, k_mat, false);
            let q_mat = Matrix::rows_of(q, at_q, tile.queries, d, q_row);
            product(&mut out.dk, 0, d, ds.t(), q_mat, true);
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The definition, in f64.
    fn reference(q: &[f64], k: &[f64], v: &[f64], segments: &[(usize, usize)], h: &Heads) -> Vec<f64> {
        let (mut out, mut q0, mut k0) = (vec![0.0; q.len()], 0, 0);
        for &(queries, keys) in segments {
            for i in 0..queries {
                for head in 0..h.heads {
                    let kv = head / (h.heads / h.kv_heads);
                    let q_at = ((q0 + i) * h.heads + head) * h.dim;
                    let k_at = |j: usize| ((k0 + j) * h.kv_heads + kv) * h.dim;
                    let seen = if h.causal { keys - queries + i + 1 } else { keys };
                    let scores: Vec<f64> = (0..seen)
                        .map(|j| (0..h.dim).map(|c| q[q_at + c] * k[k_at(j) + c]).sum::<f64>() * f64::from(h.scale))
                        .collect();
                    let max = scores.iter().cloned().fold(f64::MIN, f64::max);
                    let sum: f64 = scores.iter().map(|s| (s - max).exp()).sum();
                    for c in 0..h.dim {
                        let weigh = |j: usize| (scores[j] - max).exp() / sum * v[k_at(j) + c];
                        out[q_at + c] = (0..seen).map(weigh).sum();
                    }
                }
            }
            q0 += queries;
            k0 += keys;
        }
        out
    }

    fn wave(n: usize, phase: f32) -> Vec<f32> {
        (0..n).map(|i| (i as f32 * 0.77 + phase).sin() * 1.5).collect()
    }

    fn wide(x: &[f32]) -> Vec<f64> {
        x.iter().map(|&v| f64::from(v)).collect()
    }

    #[test]
    fn matches_the_definition_with_segments_groups_and_tiles() {
        for causal in [false, true] {
            for (heads, kv_heads, dim) in [(2, 2, 3), (4, 2, 8), (3, 1, 5)] {
                let h = Heads { heads, kv_heads, dim, causal, scale: (dim as f32).powf(-0.5) };
                let segments = [(1, 1), (5, 9), (0, 3), (70, 70), (130, 131), (1, 40)];
                let (tq, tk) = segments.iter().fold((0, 0), |(a, b), s| (a + s.0, b + s.1));
                let q = wave(tq * heads * dim, 0.1);
                let (k, v) = (wave(tk * kv_heads * dim, 0.5), wave(tk * kv_heads * dim, 1.1));
                let mut out = vec![f32::NAN; q.len()];
                attention(&q, &k, &v, &segments, &h, &mut out);
                let want = reference(&wide(&q), &wide(&k), &wide(&v), &segments, &h);
                for (i, (a, b)) in out.iter().zip(&want).enumerate() {
                    assert!((f64::from(*a) - b).abs() < 5e-6, "causal {causal} {h:?} at {i}: {a} {b}");
                }
            }
        }
    }

    #[test]
    fn gradients_match_finite_differences() {
        let h = Heads { heads: 4, kv_heads: 2, dim: 3, causal: true, scale: 0.6 };
        let segments = [(4, 4), (66, 67)];
        let (q, k, v) = (wave(70 * 12, 0.1), wave(71 * 6, 0.5), wave(71 * 6, 1.1));
        let dout = wave(70 * 12, 2.0);
        let (mut dq, mut dk, mut dv) = (vec![0.0; q.len()], vec![0.0; k.len()], vec![0.0; v.len()]);
        attention_backward(&q, &k, &v, &dout, &segments, &h, &mut dq, &mut dk, &mut dv);
        let loss = |q: &[f64], k: &[f64], v: &[f64]| -> f64 {
            reference(q, k, v, &segments, &h).iter().zip(&dout).map(|(a, g)| a * f64::from(*g)).sum()
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
}
