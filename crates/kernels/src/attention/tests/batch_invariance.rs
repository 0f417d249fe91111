//! The result of a query has the same bits wherever keys and values lie, and whatever else is in the call.

use super::super::forward::attention_at;
use super::super::{AttentionParams, BLOCK, KeyRows, KvSlice, Sequence};
use super::kv_data::{FORMATS, Format, KvData, block_tables, in_blocks, to_blocks};
use super::reference::wave;
use crate::gemm::WeightType;
use crate::isa::Isa;

/// Sequences of (queries, keys) that are decoded and prefilled, around the ends of blocks.
const SEGMENTS: [(usize, usize); 10] =
    [(1, 1), (7, 255), (40, 256), (1, 257), (0, 3), (70, 300), (8, 8), (2, 512), (9, 520), (1, 700)];
const HEADS: [(usize, usize, usize); 3] = [(4, 2, 24), (3, 1, 33), (7, 1, 16)];

fn params((heads, kv_heads, dim): (usize, usize, usize), causal: bool) -> AttentionParams {
    AttentionParams { heads, kv_heads, dim, causal, scale: (dim as f32).powf(-0.5) }
}

/// Everything that attention may be called with: instruction set, compute type, format, sizes.
fn all_cases() -> impl Iterator<Item = (Isa, WeightType, Format, AttentionParams)> {
    let isas = Isa::available().into_iter();
    let computes = isas.flat_map(|isa| [(isa, WeightType::F32), (isa, WeightType::Bf16)]);
    let formats = computes.flat_map(|(isa, compute)| FORMATS.map(|format| (isa, compute, format)));
    let sizes = HEADS.into_iter().flat_map(|heads| [params(heads, true), params(heads, false)]).collect::<Vec<_>>();
    formats.flat_map(move |(isa, compute, format)| sizes.clone().into_iter().map(move |p| (isa, compute, format, p)))
}

fn bits(x: &[f32]) -> Vec<u32> {
    x.iter().map(|x| x.to_bits()).collect()
}

fn totals(segments: &[(usize, usize)]) -> (usize, usize) {
    segments.iter().fold((0, 0), |(q, k), segment| (q + segment.0, k + segment.1))
}

/// The places in the blocks behind the keys hold NaN, as do blocks of nobody.
#[test]
fn blocks_give_what_contiguous_keys_give_whatever_lies_behind_the_keys() {
    let (tq, tk) = totals(&SEGMENTS);
    let keys = SEGMENTS.map(|segment| segment.1);
    let (tables, blocks) = block_tables(&keys);
    for (isa, compute, format, p) in all_cases() {
        let q = wave(tq * p.heads * p.dim, 0.1);
        let [k, v] = [0.5, 1.1].map(|phase| KvData::new(format, tk * p.kv_heads, p.dim, phase));
        let want = attention_at(isa, compute, &q, k.slice(), v.slice(), &Sequence::contiguous(&SEGMENTS), &p);
        assert!(want.iter().all(|value| value.is_finite()));
        let [k, v] = [&k, &v].map(|data| to_blocks(data, &keys, &tables, blocks, (p.kv_heads, p.dim)));
        let got = attention_at(isa, compute, &q, k.slice(), v.slice(), &in_blocks(&SEGMENTS, &tables), &p);
        assert!(bits(&got) == bits(&want), "{isa:?} {compute:?} {format:?} {p:?}");
    }
}

#[test]
fn a_sequence_alone_gives_what_it_gives_among_others() {
    let (tq, tk) = totals(&SEGMENTS);
    for (isa, compute, format, p) in all_cases() {
        let (q, row) = (wave(tq * p.heads * p.dim, 0.1), p.heads * p.dim);
        let [k, v] = [0.5, 1.1].map(|phase| KvData::new(format, tk * p.kv_heads, p.dim, phase));
        let sequences = Sequence::contiguous(&SEGMENTS);
        let all = attention_at(isa, compute, &q, k.slice(), v.slice(), &sequences, &p);
        let mut first = 0;
        for sequence in sequences {
            let own = first * row..(first + sequence.queries) * row;
            let alone = attention_at(isa, compute, &q[own.clone()], k.slice(), v.slice(), &[sequence], &p);
            assert!(bits(&alone) == bits(&all[own]), "{isa:?} {compute:?} {format:?} {p:?} {sequence:?}");
            first += sequence.queries;
        }
    }
}

/// Decode computes the queries of sequences over the same keys together: more rows than a job has, and less than a job.
#[test]
fn sequences_over_the_same_keys_give_what_each_gives_alone() {
    const KEYS: [usize; 16] = [521, 521, 521, 300, 521, 521, 600, 521, 521, 521, 521, 521, 521, 521, 521, 300];
    let one = |&keys: &usize| Sequence { queries: 1, keys, rows: KeyRows::Contiguous { first: 0 } };
    let sequences: Vec<Sequence<'_>> = KEYS.iter().map(one).collect();
    for (isa, compute, format, p) in all_cases() {
        let (q, row) = (wave(KEYS.len() * p.heads * p.dim, 0.1), p.heads * p.dim);
        let [k, v] = [0.5, 1.1].map(|phase| KvData::new(format, 600 * p.kv_heads, p.dim, phase));
        let run = |q: &[f32], some: &[Sequence<'_>]| attention_at(isa, compute, q, k.slice(), v.slice(), some, &p);
        for together in [3, KEYS.len()] {
            let all = run(&q[..together * row], &sequences[..together]);
            for (n, all) in all.chunks_exact(row).enumerate() {
                let alone = run(&q[n * row..][..row], &sequences[n..=n]);
                assert!(bits(&alone) == bits(all), "{isa:?} {compute:?} {format:?} {p:?}: {n} of {together}");
            }
        }
    }
}

/// Prefill packs the keys of a chunk once for all sequences that have it: those with the same first blocks, and none of
/// those with some of these blocks elsewhere.
#[test]
fn questions_over_the_same_blocks_give_what_each_gives_alone() {
    const TABLES: [[u32; 3]; 7] = [[0, 1, 2], [0, 1, 3], [0, 1, 2], [1, 0, 2], [0, 4, 1], [0, 1, 4], [0, 1, 2]];
    const QUERIES: [usize; 7] = [9, 40, 8, 33, 12, 1, 70];
    const KEYS: [usize; 7] = [600, 600, 560, 600, 600, 600, 600];
    const BLOCKS: usize = 5;
    let one = |n: usize| Sequence { queries: QUERIES[n], keys: KEYS[n], rows: KeyRows::Blocks(&TABLES[n]) };
    let sequences: Vec<Sequence<'_>> = (0..TABLES.len()).map(one).collect();
    for (isa, compute, format, p) in all_cases() {
        let (q, row) = (wave(totals(&QUERIES.map(|queries| (queries, 0))).0 * p.heads * p.dim, 0.1), p.heads * p.dim);
        let [k, v] = [0.5, 1.1].map(|phase| KvData::new(format, BLOCKS * BLOCK * p.kv_heads, p.dim, phase));
        let run = |q: &[f32], some: &[Sequence<'_>]| attention_at(isa, compute, q, k.slice(), v.slice(), some, &p);
        let (all, mut first) = (run(&q, &sequences), 0);
        for (n, sequence) in sequences.iter().enumerate() {
            let own = first * row..(first + sequence.queries) * row;
            let alone = run(&q[own.clone()], &[*sequence]);
            assert!(bits(&alone) == bits(&all[own]), "{isa:?} {compute:?} {format:?} {p:?}: {n}");
            first += sequence.queries;
        }
    }
}

/// The last queries of a sequence alone give what they give behind earlier ones, in decode and in prefill. A causal
/// query sees the same keys in both calls; without causality all queries see all keys.
#[test]
fn a_query_does_not_depend_on_how_many_queries_its_sequence_has() {
    const KEYS: usize = 521;
    for (isa, compute, format, p) in all_cases() {
        let row = p.heads * p.dim;
        let [k, v] = [0.5, 1.1].map(|phase| KvData::new(format, KEYS * p.kv_heads, p.dim, phase));
        for (most, fewer) in [(7, &[1, 2, 6][..]), (70, &[8, 9, 31, 33, 64])] {
            let q = wave(most * row, 0.1);
            let run = |queries: usize| {
                let sequence = Sequence { queries, keys: KEYS, rows: KeyRows::Contiguous { first: 0 } };
                let q = &q[(most - queries) * row..];
                attention_at(isa, compute, q, k.slice(), v.slice(), &[sequence], &p)
            };
            let all = run(most);
            for queries in fewer {
                let last = &all[(most - queries) * row..];
                let what = || format!("{isa:?} {compute:?} {format:?} {p:?}: {queries} of {most}");
                assert!(bits(&run(*queries)) == bits(last), "{}", what());
            }
            // The first queries alone: the sequence ends earlier.
            if p.causal {
                for queries in fewer {
                    let keys = KEYS - most + queries;
                    let sequence = Sequence { queries: *queries, keys, rows: KeyRows::Contiguous { first: 0 } };
                    let q = &q[..queries * row];
                    let got = attention_at(isa, compute, q, k.slice(), v.slice(), &[sequence], &p);
                    assert!(
                        bits(&got) == bits(&all[..queries * row]),
                        "{isa:?} {compute:?} {format:?} {p:?} {queries}"
                    );
                }
            }
        }
    }
}

/// One call of attention over two blocks of one head with 300 keys and the given block numbers.
fn call_with_blocks(numbers: &[u32]) {
    let p = AttentionParams { heads: 1, kv_heads: 1, dim: 4, causal: true, scale: 1.0 };
    let kv = vec![0.0; 2 * 256 * 4];
    let sequence = Sequence { queries: 1, keys: 300, rows: KeyRows::Blocks(numbers) };
    let kv = KvSlice::F32(&kv);
    attention_at(Isa::Portable, WeightType::F32, &[0.0; 4], kv, kv, &[sequence], &p);
}

#[test]
#[should_panic(expected = "block Some(2) of 2")]
fn a_block_number_out_of_range_is_refused() {
    call_with_blocks(&[1, 2]);
}

#[test]
#[should_panic(expected = "300 keys in 1 blocks")]
fn too_few_blocks_are_refused() {
    call_with_blocks(&[1]);
}

#[test]
fn block_numbers_behind_the_keys_are_not_looked_at() {
    call_with_blocks(&[1, 0, 99]);
}

#[test]
#[should_panic(expected = "key size: 3 from 2 on")]
fn contiguous_keys_out_of_range_are_refused() {
    let p = AttentionParams { heads: 1, kv_heads: 1, dim: 4, causal: true, scale: 1.0 };
    let sequence = Sequence { queries: 1, keys: 3, rows: KeyRows::Contiguous { first: 2 } };
    let kv = KvSlice::F32(&[0.0; 16]);
    attention_at(Isa::Portable, WeightType::F32, &[0.0; 4], kv, kv, &[sequence], &p);
}
