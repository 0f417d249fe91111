//! Variable-length attention: many independent sequences laid end to end, grouped heads, causal or not, f32.
//!
//! Shapes: `q` and the result are `[tq, heads, d]`, `k` and `v` are `[tk, kv_heads, d]`; `segments` lists the
//! (queries, keys) of each sequence and sums to (tq, tk). Query head `h` reads key head `h / (heads / kv_heads)`.
//! A causal query `i` of a sequence sees keys `0 ..= keys - queries + i`. Scores of all
//! queries never lie in memory together.

mod backward;
mod few;
mod panels;

pub use backward::attention_backward;

use crate::level::{Level, level};
use crate::packed::Kind;
use crate::packed::layout::from_bf16;

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

/// Keys or values as they are stored.
#[derive(Clone, Copy, Debug)]
pub enum Stored<'a> {
    /// f32.
    F32(&'a [f32]),
    /// The 16 bits of bf16.
    Bf16(&'a [u16]),
}

impl Stored<'_> {
    fn len(&self) -> usize {
        match self {
            Stored::F32(values) => values.len(),
            Stored::Bf16(values) => values.len(),
        }
    }

    /// Calls `each` with the values from `at` on, one after the other.
    #[inline(always)]
    fn read(&self, at: usize, n: usize, mut each: impl FnMut(usize, f32)) {
        match self {
            Stored::F32(values) => values[at..at + n].iter().enumerate().for_each(|(i, value)| each(i, *value)),
            Stored::Bf16(values) => {
                values[at..at + n].iter().enumerate().for_each(|(i, bits)| each(i, from_bf16(*bits)));
            }
        }
    }
}

/// `out = softmax(q k^T * scale) v` for every sequence and head, with products in f32 or, for [`Kind::Bf16`], of values
/// rounded to bf16 (the softmax is in f32 always; few queries are multiplied in f32 with what is stored).
///
/// Panics when the slices do not have the sizes that `segments` and `h` say.
pub fn attention(
    kind: Kind,
    q: &[f32],
    k: Stored<'_>,
    v: Stored<'_>,
    segments: &[(usize, usize)],
    h: &Heads,
    out: &mut [f32],
) {
    attention_at(level(), kind, q, k, v, segments, h, out);
}

#[allow(clippy::too_many_arguments, reason = "kernels take plain slices and sizes")]
pub(crate) fn attention_at(
    level: Level,
    kind: Kind,
    q: &[f32],
    k: Stored<'_>,
    v: Stored<'_>,
    segments: &[(usize, usize)],
    h: &Heads,
    out: &mut [f32],
) {
    check(q.len(), k.len(), v.len(), segments, h);
    assert_eq!(out.len(), q.len(), "result size");
    let (mut first_query, mut first_key) = (0, 0);
    let mut sequences = Vec::new();
    for &(queries, keys) in segments {
        if queries > 0 {
            sequences.push(Sequence { first_query, queries, first_key, keys });
        }
        first_query += queries;
        first_key += keys;
    }
    // Few queries after a long past: nothing is gained by putting keys into another order first.
    let (short, long): (Vec<Sequence>, Vec<Sequence>) = sequences.into_iter().partition(|s| s.queries < FEW);
    // Without the instructions, bf16 would only be slower.
    let kind = if kind == Kind::Bf16 && level.has_bf16() { kind } else { Kind::F32 };
    let inputs = Inputs { level, kind, q, k, v, h };
    few::few(&inputs, &short, out);
    panels::panels(&inputs, &long, out);
}

/// Queries below which keys are read where they are.
const FEW: usize = 8;

/// One sequence of a packed row of sequences.
#[derive(Clone, Copy)]
struct Sequence {
    first_query: usize,
    queries: usize,
    first_key: usize,
    keys: usize,
}

impl Sequence {
    /// Keys that query `i` of the sequence sees.
    fn seen(&self, causal: bool, i: usize) -> usize {
        if causal { self.keys - self.queries + i + 1 } else { self.keys }
    }
}

/// What is the same for all sequences.
#[derive(Clone, Copy)]
struct Inputs<'a> {
    level: Level,
    kind: Kind,
    q: &'a [f32],
    k: Stored<'a>,
    v: Stored<'a>,
    h: &'a Heads,
}

/// Panics unless `q`, `k` and `v` have as many values as `segments` and `h` say.
fn check(q: usize, k: usize, v: usize, segments: &[(usize, usize)], h: &Heads) {
    let (tq, tk) = segments.iter().fold((0, 0), |(q, k), s| (q + s.0, k + s.1));
    assert_eq!(h.heads % h.kv_heads, 0, "grouped heads");
    assert_eq!(q, tq * h.heads * h.dim, "query size");
    assert_eq!(k, tk * h.kv_heads * h.dim, "key size");
    assert_eq!(v, k, "value size");
    for &(queries, keys) in segments {
        assert!(!h.causal || queries <= keys, "a causal sequence needs a key for every query");
        assert!(queries == 0 || keys > 0, "a query without keys");
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::packed::layout::bf16;

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
        for (level, causal) in Level::available().into_iter().flat_map(|level| [(level, false), (level, true)]) {
            for (heads, kv_heads, dim) in [(2, 2, 3), (4, 2, 8), (3, 1, 5), (2, 1, 72)] {
                let h = Heads { heads, kv_heads, dim, causal, scale: (dim as f32).powf(-0.5) };
                let segments = [(1, 1), (5, 9), (0, 3), (70, 70), (130, 131), (1, 40), (8, 900)];
                let (tq, tk) = segments.iter().fold((0, 0), |(a, b), s| (a + s.0, b + s.1));
                let q = wave(tq * heads * dim, 0.1);
                let (k, v) = (wave(tk * kv_heads * dim, 0.5), wave(tk * kv_heads * dim, 1.1));
                let mut out = vec![f32::NAN; q.len()];
                attention_at(level, Kind::F32, &q, Stored::F32(&k), Stored::F32(&v), &segments, &h, &mut out);
                let want = reference(&wide(&q), &wide(&k), &wide(&v), &segments, &h);
                for (i, (a, b)) in out.iter().zip(&want).enumerate() {
                    assert!((f64::from(*a) - b).abs() < 5e-6, "causal {causal} {h:?} at {i}: {a} {b}");
                }
            }
        }
    }

    /// Scores of bf16 values are off by about 2^-8 of the largest term's size, and so are weights and values.
    #[test]
    fn bf16_is_near_the_definition() {
        let h = Heads { heads: 4, kv_heads: 2, dim: 24, causal: true, scale: 0.2 };
        let segments = [(40, 40), (33, 800), (9, 9), (1, 700), (3, 3)];
        let (tq, tk) = segments.iter().fold((0, 0), |(a, b), s| (a + s.0, b + s.1));
        let (q, k, v) = (wave(tq * 96, 0.1), wave(tk * 48, 0.5), wave(tk * 48, 1.1));
        let want = reference(&wide(&q), &wide(&k), &wide(&v), &segments, &h);
        let short = |x: &[f32]| -> Vec<u16> { x.iter().map(|v| bf16(*v)).collect() };
        let (k16, v16) = (short(&k), short(&v));
        let f32_or_bf16 = [(Stored::F32(&k), Stored::F32(&v)), (Stored::Bf16(&k16), Stored::Bf16(&v16))];
        for (level, (k, v)) in Level::available().into_iter().flat_map(|level| f32_or_bf16.map(|kv| (level, kv))) {
            for kind in [Kind::F32, Kind::Bf16] {
                let mut out = vec![f32::NAN; q.len()];
                attention_at(level, kind, &q, k, v, &segments, &h, &mut out);
                let size = |x: &mut dyn Iterator<Item = f64>| x.map(|v| v * v).sum::<f64>().sqrt();
                let off =
                    size(&mut out.iter().zip(&want).map(|(a, b)| f64::from(*a) - b)) / size(&mut want.iter().copied());
                assert!(off < 0.01, "{level:?}: {off}");
            }
        }
    }

    /// Keys and values in bf16 give exactly what the same values in f32 give.
    #[test]
    fn what_is_stored_short_is_read_as_it_is() {
        let h = Heads { heads: 4, kv_heads: 2, dim: 40, causal: true, scale: 0.2 };
        let segments = [(40, 45), (2, 300)];
        let q = wave(42 * 160, 0.1);
        let short = |phase: f32| -> Vec<u16> { wave(345 * 80, phase).iter().map(|v| bf16(*v)).collect() };
        let (k, v) = (short(0.5), short(1.1));
        let long = |x: &[u16]| -> Vec<f32> { x.iter().map(|v| from_bf16(*v)).collect() };
        for (level, kind) in Level::available().into_iter().flat_map(|l| [(l, Kind::F32), (l, Kind::Bf16)]) {
            let run = |k: Stored<'_>, v: Stored<'_>| {
                let mut out = vec![f32::NAN; q.len()];
                attention_at(level, kind, &q, k, v, &segments, &h, &mut out);
                out
            };
            assert_eq!(run(Stored::Bf16(&k), Stored::Bf16(&v)), run(Stored::F32(&long(&k)), Stored::F32(&long(&v))));
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
