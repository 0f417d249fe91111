//! Variable-length attention: many independent sequences laid end to end, grouped heads, causal or not, f32.
//!
//! Shapes: `q` and the result are `[tq, heads, d]`, `k` and `v` are `[tk, kv_heads, d]`; `segments` lists the
//! (queries, keys) of each sequence and sums to (tq, tk). Query head `h` reads key head `h / (heads / kv_heads)`.
//! A causal query `i` of a sequence sees keys `0 ..= keys - queries + i`. Scores of all
//! queries never lie in memory together.

mod backward;
mod few;
mod panels;
mod stored;
mod weigh;

pub use backward::attention_backward;
pub use stored::{Int8, Stored, quantise};

use crate::level::{Level, level};
use crate::packed::Kind;

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

/// `softmax(q k^T * scale) v` for every sequence and head, with products in f32 or, for [`Kind::Bf16`], of values
/// rounded to bf16 (the softmax is in f32 always). Few queries are multiplied in f32 with what is stored, unless that
/// is bf16 and the level has its products; scales of whole numbers multiply scores and weights there, and values before
/// they are rounded elsewhere.
///
/// Panics when the slices do not have the sizes that `segments` and `h` say.
pub fn attention(
    kind: Kind,
    q: &[f32],
    k: Stored<'_>,
    v: Stored<'_>,
    segments: &[(usize, usize)],
    h: &Heads,
) -> Vec<f32> {
    attention_at(level(), kind, q, k, v, segments, h)
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
) -> Vec<f32> {
    check(q.len(), k.len(h.dim), v.len(h.dim), segments, h);
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
    let mut out = Vec::with_capacity(q.len());
    if !short.is_empty() {
        out.resize(q.len(), 0.0);
        few::few(&inputs, &short, &mut out);
        out.clear();
    }
    panels::panels(&inputs, &long, &mut out.spare_capacity_mut()[..q.len()]);
    // SAFETY: there is room for as many values as `q` has. The segments' queries are all of them (`check`), and
    // `panels` has written all values of those in `long`; when there are others, all values were there before.
    unsafe { out.set_len(q.len()) };
    out
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
    use crate::packed::layout::{bf16, from_bf16};

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
            for (heads, kv_heads, dim) in
                [(2, 2, 3), (4, 2, 8), (3, 1, 5), (2, 1, 72), (12, 2, 40), (7, 1, 17), (10, 1, 33)]
            {
                let h = Heads { heads, kv_heads, dim, causal, scale: (dim as f32).powf(-0.5) };
                let segments = [(1, 1), (5, 9), (0, 3), (70, 70), (130, 131), (1, 40), (8, 900)];
                let (tq, tk) = segments.iter().fold((0, 0), |(a, b), s| (a + s.0, b + s.1));
                let q = wave(tq * heads * dim, 0.1);
                let (k, v) = (wave(tk * kv_heads * dim, 0.5), wave(tk * kv_heads * dim, 1.1));
                let out = attention_at(level, Kind::F32, &q, Stored::F32(&k), Stored::F32(&v), &segments, &h);
                let want = reference(&wide(&q), &wide(&k), &wide(&v), &segments, &h);
                // Scores are 2.25 sqrt(dim) at most, and off by some roundings; so are weights, in relation to themselves,
                // and results by twice as much of a value, which is 1.5 at most. Few heads have always kept below 5e-6.
                let derived = 2.0 * 1.5 * 4.0 * f64::from(f32::EPSILON) * 2.25 * (dim as f64).sqrt();
                let most = if heads <= 4 { derived.min(5e-6) } else { derived };
                for (i, (a, b)) in out.iter().zip(&want).enumerate() {
                    assert!((f64::from(*a) - b).abs() < most, "causal {causal} {h:?} at {i}: {a} {b}");
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
                let out = attention_at(level, kind, &q, k, v, &segments, &h);
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
        let q = wave(42 * 160, 0.1);
        let short = |phase: f32| -> Vec<u16> { wave(345 * 80, phase).iter().map(|v| bf16(*v)).collect() };
        let (k, v) = (short(0.5), short(1.1));
        let long = |x: &[u16]| -> Vec<f32> { x.iter().map(|v| from_bf16(*v)).collect() };
        for (level, kind) in Level::available().into_iter().flat_map(|l| [(l, Kind::F32), (l, Kind::Bf16)]) {
            // Products in bf16 of few queries are only near it: the next test.
            let segments = if kind == Kind::F32 { [(40, 45), (2, 300)] } else { [(31, 45), (11, 300)] };
            let run = |k: Stored<'_>, v: Stored<'_>| attention_at(level, kind, &q, k, v, &segments, &h);
            assert_eq!(run(Stored::Bf16(&k), Stored::Bf16(&v)), run(Stored::F32(&long(&k)), Stored::F32(&long(&v))));
        }
    }

    /// With queries that are bf16 already, only the weights are rounded, each by 2^-8 of itself at most.
    #[test]
    fn few_queries_in_bf16_differ_by_the_rounding_of_weights() {
        let heads = [(1, 1, 5), (3, 1, 33), (12, 2, 128), (7, 1, 70), (8, 1, 64), (26, 2, 96)];
        for (level, (heads, kv_heads, dim)) in Level::available().into_iter().flat_map(|l| heads.map(|h| (l, h))) {
            let h = Heads { heads, kv_heads, dim, causal: true, scale: (dim as f32).powf(-0.5) };
            let segments = [(2, 300), (1, 1), (7, 519), (1, 256), (3, 9), (1, 6)];
            let short = |n: usize, phase| -> Vec<u16> { wave(n, phase).iter().map(|v| bf16(*v)).collect() };
            let q: Vec<f32> = short(15 * heads * dim, 0.1).iter().map(|v| from_bf16(*v)).collect();
            let (k, v) = (short(1091 * kv_heads * dim, 0.5), short(1091 * kv_heads * dim, 1.1));
            let run = |kind: Kind| attention_at(level, kind, &q, Stored::Bf16(&k), Stored::Bf16(&v), &segments, &h);
            // Values are 1.5 at most; what sums in f32 are off by, see the first test, twice.
            let sums = 2.0 * 2.0 * 1.5 * 4.0 * f32::EPSILON * 2.25 * (dim as f32).sqrt();
            let most = 1.5 / 256.0 + sums;
            for (i, (a, b)) in run(Kind::Bf16).iter().zip(run(Kind::F32)).enumerate() {
                assert!((a - b).abs() <= most, "{level:?} {h:?} at {i}: {a} {b}, allowed {most}");
            }
        }
    }

    /// What is wrong at the last key is not hidden, and what lies behind it is not read.
    #[test]
    fn few_queries_in_bf16_see_what_is_not_finite_and_nothing_behind_it() {
        let h = Heads { heads: 3, kv_heads: 1, dim: 40, causal: true, scale: 0.2 };
        for (level, keys) in Level::available().into_iter().flat_map(|l| [1, 2, 7, 255, 257].map(|keys| (l, keys))) {
            let q = wave(120, 0.1);
            // One key more than the query sees: the second query of the pair sees it.
            let mut v: Vec<u16> = wave((keys + 1) * 40, 1.1).iter().map(|v| bf16(*v)).collect();
            let k = v.clone();
            v[keys * 40..].fill(bf16(f32::INFINITY));
            let two = [q.clone(), q].concat();
            let (k, v) = (Stored::Bf16(&k), Stored::Bf16(&v));
            let out = attention_at(level, Kind::Bf16, &two, k, v, &[(2, keys + 1)], &h);
            assert!(out[..120].iter().all(|value| value.is_finite()), "{level:?} {keys}");
            assert!(out[120..].iter().all(|value| !value.is_finite()), "{level:?} {keys}");
        }
    }

    /// Rows of `dim` whole numbers with their scales, and what they mean.
    fn whole(x: &[f32], dim: usize) -> (Vec<u8>, Vec<f32>, Vec<f32>) {
        let (mut bits, mut scales) = (vec![0; x.len()], vec![0.0; x.len() / dim]);
        quantise(x, dim, &mut bits, &mut scales);
        let values = bits.iter().enumerate().map(|(i, bits)| f32::from(*bits as i8) * scales[i / dim]).collect();
        (bits, scales, values)
    }

    fn most(x: &[f32]) -> f64 {
        x.iter().fold(0.0, |most: f64, value| most.max(f64::from(value.abs())))
    }

    /// Keys and values in int8 give what their values in f32 give: exactly where they are widened, and where scales
    /// multiply sums, apart by what rounding does to them.
    #[test]
    fn whole_numbers_are_read_as_what_they_mean() {
        for (causal, dim) in [true, false].into_iter().flat_map(|causal| [1, 16, 40, 67].map(|dim| (causal, dim))) {
            let h = Heads { heads: 4, kv_heads: 2, dim, causal, scale: 0.2 };
            let segments = [(40, 45), (2, 300), (1, 3), (7, 7), (8, 200)];
            let (tq, tk) = segments.iter().fold((0, 0), |(a, b), s| (a + s.0, b + s.1));
            let (q, k, v) = (wave(tq * 4 * dim, 0.1), wave(tk * 2 * dim, 0.5), wave(tk * 2 * dim, 1.1));
            let ((k8, k_scales, k), (v8, v_scales, v)) = (whole(&k, dim), whole(&v, dim));
            let (k8, v8) = (Int8 { bits: &k8, scales: &k_scales }, Int8 { bits: &v8, scales: &v_scales });
            // A score is a sum of `dim` terms; both ways round each term, the sum and the scale.
            let rounding = f64::from(f32::EPSILON);
            let score = 0.2 * dim as f64 * most(&q) * most(&k) * (dim + 3) as f64 * rounding;
            // A weight is as far off as twice its score, and a result sums 300 values that are rounded, too.
            let bound = most(&v) * ((4.0 * score).exp_m1() + 2.0 * 303.0 * rounding);
            for (level, kind) in Level::available().into_iter().flat_map(|l| [(l, Kind::F32), (l, Kind::Bf16)]) {
                let run = |k: Stored<'_>, v: Stored<'_>| attention_at(level, kind, &q, k, v, &segments, &h);
                let (ours, want) = (run(Stored::Int8(k8), Stored::Int8(v8)), run(Stored::F32(&k), Stored::F32(&v)));
                let mut first = 0;
                for (queries, _) in segments {
                    let own = first..first + queries * 4 * dim;
                    first = own.end;
                    for (a, b) in ours[own.clone()].iter().zip(&want[own]) {
                        let off = f64::from((a - b).abs());
                        let most = if queries < FEW { bound } else { 0.0 };
                        assert!(off <= most, "{level:?} {kind:?} causal {causal} {dim}: {a} {b}, allowed {most}");
                    }
                }
            }
        }
    }

    /// A key's or value's error is at most half its scale, 1/254 of the largest of its row, whatever the others'.
    #[test]
    fn int8_is_near_the_definition() {
        let h = Heads { heads: 4, kv_heads: 2, dim: 24, causal: true, scale: 0.2 };
        let segments = [(40, 40), (33, 800), (9, 9), (1, 700), (3, 3)];
        let (tq, tk) = segments.iter().fold((0, 0), |(a, b), s| (a + s.0, b + s.1));
        let (q, k, v) = (wave(tq * 96, 0.1), wave(tk * 48, 0.5), wave(tk * 48, 1.1));
        let want = reference(&wide(&q), &wide(&k), &wide(&v), &segments, &h);
        let ((k8, k_scales, _), (v8, v_scales, _)) = (whole(&k, 24), whole(&v, 24));
        let (k8, v8) = (Int8 { bits: &k8, scales: &k_scales }, Int8 { bits: &v8, scales: &v_scales });
        let long = q.chunks(24).map(|q| q.iter().map(|q| f64::from(q.abs())).sum::<f64>()).fold(0.0, f64::max);
        let score = 0.2 * long * most(&k) / 254.0;
        // Errors of scores move weights by twice themselves at most; a percent of all for the rounding of the rest.
        let bound = 1.01 * most(&v) * ((2.0 * score).exp_m1() + 1.0 / 254.0);
        for level in Level::available() {
            let out = attention_at(level, Kind::F32, &q, Stored::Int8(k8), Stored::Int8(v8), &segments, &h);
            let apart = |(a, b): (&f32, &f64)| f64::from(*a) - b;
            let worst = out.iter().zip(&want).map(apart).fold(0.0, |worst: f64, off| worst.max(off.abs()));
            assert!(worst <= bound, "{level:?}: {worst}, allowed {bound}");
        }
    }

    /// What is wrong in a key or value is seen in the answers of those who see it, and nowhere else.
    #[test]
    fn keys_and_values_that_are_not_finite_are_not_hidden_by_whole_numbers() {
        let h = Heads { heads: 2, kv_heads: 2, dim: 5, causal: true, scale: 0.5 };
        let segments = [(3, 60), (20, 60)];
        let (q, good) = (wave(23 * 10, 0.1), wave(120 * 10, 0.5));
        for (level, wrong) in Level::available().into_iter().flat_map(|l| [(l, f32::NAN), (l, f32::INFINITY)]) {
            for wrong_key in [true, false] {
                let mut bad = good.clone();
                // The last position of each sequence, first head.
                (bad[59 * 10 + 2], bad[119 * 10 + 4]) = (wrong, wrong);
                let ((bad, bad_scales, _), (good, good_scales, _)) = (whole(&bad, 5), whole(&good, 5));
                let bad = Stored::Int8(Int8 { bits: &bad, scales: &bad_scales });
                let good = Stored::Int8(Int8 { bits: &good, scales: &good_scales });
                let (k, v) = if wrong_key { (bad, good) } else { (good, bad) };
                let out = attention_at(level, Kind::F32, &q, k, v, &segments, &h);
                for (i, value) in out.iter().enumerate() {
                    let (query, head) = (i / 10, i / 5 % 2);
                    let sees = head == 0 && (query == 2 || query == 22);
                    if sees {
                        assert!(!value.is_finite(), "{level:?} {wrong} key {wrong_key} at {i}: {value}");
                    } else if query < 3 || wrong_key || head == 1 {
                        assert!(value.is_finite(), "{level:?} {wrong} key {wrong_key} at {i}: {value}");
                    }
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
