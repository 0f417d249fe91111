//! Attention in the shapes of a 2B model; items are multiplications and additions of both products, bytes
//! those of keys and values, where one query reads them all. Every answer is compared with the definition in f64 first,
//! for some queries and heads.
//! `cargo bench -p zoetrope-kernels --bench attention [-- NAME]`, where NAME is part of a row's path, such as `bf16`.

use std::fmt::{Display, Formatter, Result};

use divan::Bencher;
use divan::counter::{BytesCount, ItemsCount};
use zoetrope_kernels::attention::{Heads, Stored, attention};
use zoetrope_kernels::level;
use zoetrope_kernels::packed::Kind;

/// One sequence.
struct Case {
    name: &'static str,
    queries: usize,
    keys: usize,
    heads: usize,
    kv_heads: usize,
    dim: usize,
    causal: bool,
}

const CASES: [Case; 3] = [
    Case { name: "encoder, 1008", queries: 1008, keys: 1008, heads: 16, kv_heads: 16, dim: 72, causal: false },
    Case { name: "decoder, 512 after 1536", queries: 512, keys: 2048, heads: 12, kv_heads: 2, dim: 128, causal: true },
    Case { name: "decoder, 1 over 4096", queries: 1, keys: 4096, heads: 12, kv_heads: 2, dim: 128, causal: true },
];

impl Display for Case {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        f.write_str(self.name)
    }
}

impl Case {
    fn heads(&self) -> Heads {
        let scale = (self.dim as f32).powf(-0.5);
        Heads { heads: self.heads, kv_heads: self.kv_heads, dim: self.dim, causal: self.causal, scale }
    }

    /// Keys that query `i` sees.
    fn seen(&self, i: usize) -> usize {
        if self.causal { self.keys - self.queries + i + 1 } else { self.keys }
    }

    fn operations(&self) -> ItemsCount {
        ItemsCount::new((0..self.queries).map(|i| 4 * self.seen(i) * self.heads * self.dim).sum::<usize>())
    }

    /// Relative error of `out` for some queries and heads.
    fn error(&self, q: &[f32], k: &[f32], v: &[f32], out: &[f32]) -> f64 {
        let (mut off, mut all) = (0.0f64, 0.0f64);
        for (i, head) in (0..self.queries).step_by(101).flat_map(|i| (0..self.heads).step_by(5).map(move |h| (i, h))) {
            let of_head = |at: usize| (at * self.kv_heads + head / (self.heads / self.kv_heads)) * self.dim;
            let at = (i * self.heads + head) * self.dim;
            let score = |key: usize| {
                let pairs = q[at..].iter().zip(&k[of_head(key)..]).take(self.dim);
                pairs.map(|(q, k)| f64::from(*q) * f64::from(*k)).sum::<f64>() * f64::from(self.heads().scale)
            };
            let scores: Vec<f64> = (0..self.seen(i)).map(score).collect();
            let most = scores.iter().copied().fold(f64::MIN, f64::max);
            let weights: Vec<f64> = scores.iter().map(|score| (score - most).exp()).collect();
            let sum: f64 = weights.iter().sum();
            for c in 0..self.dim {
                let terms = weights.iter().enumerate().map(|(key, weight)| weight * f64::from(v[of_head(key) + c]));
                let exact = terms.sum::<f64>() / sum;
                off += (f64::from(out[at + c]) - exact).powi(2);
                all += exact.powi(2);
            }
        }
        (off / all).sqrt()
    }
}

fn main() {
    println!("level {:?}, {} threads", level::level(), rayon::current_num_threads());
    divan::main();
}

/// Values that bf16 holds, so that both ways of storing them are the same numbers; wide enough that a softmax prefers.
fn noise(n: usize, seed: u32) -> Vec<f32> {
    let mut state = seed;
    let mut next = || {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (state >> 8) as f32 / (1 << 22) as f32 - 2.0
    };
    (0..n).map(|_| f32::from_bits(next().to_bits() & 0xffff_0000)).collect()
}

fn bench(bencher: Bencher, kind: Kind, case: &Case, most: f64) {
    let kv = case.keys * case.kv_heads * case.dim;
    let (q, k, v) = (noise(case.queries * case.heads * case.dim, 1), noise(kv, 2), noise(kv, 3));
    let short = |values: &[f32]| -> Vec<u16> { values.iter().map(|value| (value.to_bits() >> 16) as u16).collect() };
    let (k16, v16) = (short(&k), short(&v));
    let (stored_k, stored_v, bytes) = match kind {
        Kind::Bf16 => (Stored::Bf16(&k16), Stored::Bf16(&v16), 4 * kv),
        _ => (Stored::F32(&k), Stored::F32(&v), 8 * kv),
    };
    let (segments, heads) = ([(case.queries, case.keys)], case.heads());
    let work = || attention(kind, &q, stored_k, stored_v, &segments, &heads);
    let error = case.error(&q, &k, &v, &work());
    assert!(error < most, "{case} {kind:?}: relative error {error}");
    let mut bencher = bencher.counter(case.operations());
    if case.queries == 1 {
        bencher = bencher.counter(BytesCount::new(bytes));
    }
    bencher.bench_local(work);
}

/// Keys, values and products in f32.
#[divan::bench(args = CASES, sample_size = 1)]
fn f32(bencher: Bencher, case: &Case) {
    bench(bencher, Kind::F32, case, 1e-5);
}

/// Keys, values and products in bf16, where the machine has instructions for them.
#[divan::bench(args = CASES, sample_size = 1)]
fn bf16(bencher: Bencher, case: &Case) {
    bench(bencher, Kind::Bf16, case, 1e-2);
}
