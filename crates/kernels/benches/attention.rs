//! Attention in the shapes of a 2B model. Items are the multiplications and additions of both products; with one query,
//! bytes are those of keys and values. For some queries and heads, the result is compared with f64 first.
//! `cargo bench -p zoetrope-kernels --bench attention [-- NAME]`, where NAME is part of a row's path, such as `bf16`.

use std::fmt::{Display, Formatter, Result};

use divan::Bencher;
use divan::counter::{BytesCount, ItemsCount};
use zoetrope_kernels::attention::{AttentionParams, BLOCK, Int8Kv, KeyRows, KvSlice, Sequence, attention, quantize_kv};
use zoetrope_kernels::gemm::WeightType;
use zoetrope_kernels::isa::isa;

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
    fn params(&self) -> AttentionParams {
        let scale = (self.dim as f32).powf(-0.5);
        AttentionParams { heads: self.heads, kv_heads: self.kv_heads, dim: self.dim, causal: self.causal, scale }
    }

    /// Keys that query `i` sees.
    fn visible_keys(&self, i: usize) -> usize {
        if self.causal { self.keys - self.queries + i + 1 } else { self.keys }
    }

    fn operations(&self) -> ItemsCount {
        ItemsCount::new((0..self.queries).map(|i| 4 * self.visible_keys(i) * self.heads * self.dim).sum::<usize>())
    }

    /// Relative error of `out` for some queries and heads.
    fn error(&self, q: &[f32], k: &[f32], v: &[f32], out: &[f32]) -> f64 {
        let (mut off, mut all) = (0.0f64, 0.0f64);
        for (i, head) in (0..self.queries).step_by(101).flat_map(|i| (0..self.heads).step_by(5).map(move |h| (i, h))) {
            let of_head = |at: usize| (at * self.kv_heads + head / (self.heads / self.kv_heads)) * self.dim;
            let at = (i * self.heads + head) * self.dim;
            let score = |key: usize| {
                let pairs = q[at..].iter().zip(&k[of_head(key)..]).take(self.dim);
                pairs.map(|(q, k)| f64::from(*q) * f64::from(*k)).sum::<f64>() * f64::from(self.params().scale)
            };
            let scores: Vec<f64> = (0..self.visible_keys(i)).map(score).collect();
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
    println!("isa {:?}, {} threads", isa(), rayon::current_num_threads());
    divan::main();
}

/// Values that bf16 represents exactly, so that all number formats hold the same; spread enough for a softmax with
/// peaks.
fn noise(n: usize, seed: u32) -> Vec<f32> {
    let mut state = seed;
    let mut next = || {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (state >> 8) as f32 / (1 << 22) as f32 - 2.0
    };
    (0..n).map(|_| f32::from_bits(next().to_bits() & 0xffff_0000)).collect()
}

fn bench(bencher: Bencher, compute: WeightType, case: &Case, most: f64) {
    let kv = case.keys * case.kv_heads * case.dim;
    let (q, k, v) = (noise(case.queries * case.heads * case.dim, 1), noise(kv, 2), noise(kv, 3));
    let to_bf16 = |values: &[f32]| -> Vec<u16> { values.iter().map(|value| (value.to_bits() >> 16) as u16).collect() };
    let (k16, v16) = (to_bf16(&k), to_bf16(&v));
    let (k_slice, v_slice, bytes) = match compute {
        WeightType::Bf16 => (KvSlice::Bf16(&k16), KvSlice::Bf16(&v16), 4 * kv),
        _ => (KvSlice::F32(&k), KvSlice::F32(&v), 8 * kv),
    };
    let (sequences, params) = (Sequence::contiguous(&[(case.queries, case.keys)]), case.params());
    let work = || attention(compute, &q, k_slice, v_slice, &sequences, &params);
    let error = case.error(&q, &k, &v, &work());
    assert!(error < most, "{case} {compute:?}: relative error {error}");
    let mut bencher = bencher.counter(case.operations());
    if case.queries == 1 {
        bencher = bencher.counter(BytesCount::new(bytes));
    }
    bencher.bench_local(work);
}

/// Keys, values and products in f32.
#[divan::bench(args = CASES, sample_size = 1)]
fn f32(bencher: Bencher, case: &Case) {
    bench(bencher, WeightType::F32, case, 1e-5);
}

/// Keys, values and products in bf16, where the CPU has bf16 dot products.
#[divan::bench(args = CASES, sample_size = 1)]
fn bf16(bencher: Bencher, case: &Case) {
    bench(bencher, WeightType::Bf16, case, 1e-2);
}

/// Decode of several sequences at once, one query each over keys in blocks; bytes are those of keys and values.
mod decode_16_sequences {
    use super::*;

    const SEQUENCES: usize = 16;
    const KEYS: usize = 512;
    const CASE: Case =
        Case { name: "one sequence", queries: 1, keys: KEYS, heads: 12, kv_heads: 2, dim: 128, causal: true };

    /// Queries, and keys or values in blocks of all number formats.
    struct Inputs {
        q: Vec<f32>,
        tables: Vec<Vec<u32>>,
        k: Vec<f32>,
        v: Vec<f32>,
    }

    impl Inputs {
        /// The blocks of a sequence lie apart from each other; with a `same_prefix`, all sequences have those of the
        /// first.
        fn new(same_prefix: bool) -> Inputs {
            let (per_sequence, row) = (KEYS / BLOCK, CASE.heads * CASE.dim);
            let kv = SEQUENCES * KEYS * CASE.kv_heads * CASE.dim;
            let table = |s: usize| (0..per_sequence).map(|n| (n * SEQUENCES + s) as u32).collect();
            let tables = (0..SEQUENCES).map(|s| table(if same_prefix { 0 } else { s })).collect();
            Inputs { q: noise(SEQUENCES * row, 1), tables, k: noise(kv, 2), v: noise(kv, 3) }
        }

        fn sequences(&self) -> Vec<Sequence<'_>> {
            let one = |table| Sequence { queries: 1, keys: KEYS, rows: KeyRows::Blocks(table) };
            self.tables.iter().map(|table| one(table)).collect()
        }

        /// Compares the result of each sequence with the definition, after its blocks were put in order.
        fn check(&self, format: &str, out: &[f32]) {
            let (row, width) = (CASE.heads * CASE.dim, CASE.kv_heads * CASE.dim);
            let in_order = |blocks: &[f32], table: &[u32]| -> Vec<f32> {
                let at = |j: usize, kv: usize| (table[j / BLOCK] as usize * CASE.kv_heads + kv) * BLOCK + j % BLOCK;
                let rows = (0..KEYS * CASE.kv_heads).map(|n| at(n / CASE.kv_heads, n % CASE.kv_heads));
                rows.flat_map(|row| &blocks[row * CASE.dim..][..CASE.dim]).copied().collect()
            };
            for (s, table) in self.tables.iter().enumerate() {
                let (k, v) = (in_order(&self.k, table), in_order(&self.v, table));
                assert_eq!(k.len(), KEYS * width);
                let error = CASE.error(&self.q[s * row..][..row], &k, &v, &out[s * row..][..row]);
                assert!(error < if format == "f32" { 1e-5 } else { 2e-2 }, "{format}: relative error {error}");
            }
        }
    }

    /// Times calls of `attention` over groups of `together` sequences.
    fn bench(bencher: Bencher, format: &str, together: usize, same_prefix: bool) {
        let (inputs, params, row) = (Inputs::new(same_prefix), CASE.params(), CASE.heads * CASE.dim);
        let to_bf16 = |x: &[f32]| -> Vec<u16> { x.iter().map(|x| (x.to_bits() >> 16) as u16).collect() };
        let to_int8 = |x: &[f32]| {
            let (mut values, mut scales) = (vec![0; x.len()], vec![0.0; x.len() / CASE.dim]);
            quantize_kv(x, CASE.dim, &mut values, &mut scales);
            (values, scales)
        };
        let ((k16, v16), (k8, v8)) =
            ((to_bf16(&inputs.k), to_bf16(&inputs.v)), (to_int8(&inputs.k), to_int8(&inputs.v)));
        let (compute, k, v, bytes) = match format {
            "bf16" => (WeightType::Bf16, KvSlice::Bf16(&k16), KvSlice::Bf16(&v16), 4 * inputs.k.len()),
            "int8" => {
                let k = KvSlice::Int8(Int8Kv { values: &k8.0, scales: &k8.1 });
                let v = KvSlice::Int8(Int8Kv { values: &v8.0, scales: &v8.1 });
                (WeightType::F32, k, v, 2 * inputs.k.len() + 8 * k8.1.len())
            }
            _ => (WeightType::F32, KvSlice::F32(&inputs.k), KvSlice::F32(&inputs.v), 8 * inputs.k.len()),
        };
        let sequences = inputs.sequences();
        let work = || -> Vec<f32> {
            let groups = sequences.chunks(together).zip(inputs.q.chunks(together * row));
            groups.flat_map(|(sequences, q)| attention(compute, q, k, v, sequences, &params)).collect()
        };
        inputs.check(format, &work());
        let operations = ItemsCount::new(SEQUENCES * 4 * KEYS * row);
        bencher.counter(operations).counter(BytesCount::new(bytes)).bench_local(work);
    }

    #[divan::bench(args = ["f32", "bf16", "int8"])]
    fn in_one_call(bencher: Bencher, format: &str) {
        bench(bencher, format, SEQUENCES, false);
    }

    #[divan::bench(args = ["f32", "bf16", "int8"])]
    fn one_by_one(bencher: Bencher, format: &str) {
        bench(bencher, format, 1, false);
    }

    /// All sequences see the same keys, as questions about one film do.
    #[divan::bench(args = ["f32", "bf16", "int8"])]
    fn same_prefix(bencher: Bencher, format: &str) {
        bench(bencher, format, SEQUENCES, true);
    }
}
