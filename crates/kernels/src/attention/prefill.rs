//! Prefill attention: tiled FlashAttention (arXiv 2205.14135). 32 queries of the heads that share a KV head are the
//! lanes of a GEMM panel; keys, then values, are the rows that the micro-kernels multiply with it. Scores come out with
//! keys below each other, so that the online softmax runs down the lanes, chunk of keys after chunk. The heads of one
//! query are neighbors: panels are full also where queries are few, and see no more keys than they must.

use std::collections::HashMap;
use std::mem::MaybeUninit;

use super::inputs::Inputs;
use super::sequence::{BLOCK, PlacedSequence};
use super::softmax::{OnlineSoftmax, online_softmax_panel, rescale_at};
use crate::cache_lines::CacheLines;
use crate::gemm::activations::{ActivationBlock, PackedActivations, PreNorm};
use crate::gemm::layout::NR;
use crate::gemm::microkernel::{self, MicroKernelArgs, Strided};
use crate::gemm::pack_weights::pack_panel;
use crate::prefetch::{prefetch_read, prefetch_write};
use crate::threads::disjoint::DisjointOut;
use crate::threads::thread_pool;

/// Keys of a chunk: whole blocks of rows, an even number.
const CHUNK_KEYS: usize = 192;

/// Prefetch distance in rows of keys or values: the rows of a head lie far from each other.
const PREFETCH_ROWS: usize = 16;

/// Keys and values of one head in one chunk, packed for the micro-kernels.
struct KvChunk {
    k: PackedActivations,
    /// `[dim, keys]`.
    v: PackedActivations,
}

/// Attention of `sequences`: writes all values of their queries to `out`, the result of all queries.
pub(super) fn prefill(inputs: &Inputs<'_>, sequences: &[PlacedSequence<'_>], out: &mut [MaybeUninit<f32>]) {
    let p = inputs.p;
    let places = ChunkPlaces::new(p.kv_heads, sequences);
    let packed = thread_pool::map(places.sources.len(), |n| pack_chunk(inputs, sequences, &places.sources[n]));
    let mut jobs = Vec::new();
    for (s, sequence) in sequences.iter().enumerate() {
        let rows = sequence.sequence.queries * (p.heads / p.kv_heads);
        for kv in 0..p.kv_heads {
            jobs.extend((0..rows).step_by(NR).map(|first| (s, kv, first)));
        }
    }
    assert_eq!(out.len(), inputs.q.len(), "result size");
    let out = DisjointOut::new(out.as_mut_ptr().cast());
    thread_pool::for_each_init(
        jobs.len(),
        || Scratch::new(p.dim),
        |scratch, job| {
            let (s, kv, first) = jobs[job];
            let chunks = places.of[s * p.kv_heads + kv].iter().map(|&chunk| &packed[chunk]);
            QueryPanel::new(inputs, &sequences[s], kv, first).attend(chunks, scratch, out);
        },
    );
}

/// Where a chunk is read from.
struct ChunkSource {
    sequence: usize,
    kv: usize,
    first: usize,
    keys: usize,
}

/// The chunks of all sequences and KV heads. Sequences over the same keys, several questions about one film, have the
/// same chunks.
struct ChunkPlaces {
    sources: Vec<ChunkSource>,
    /// For each KV head of each sequence, which of the sources its keys are, chunk after chunk.
    of: Vec<Vec<usize>>,
}

impl ChunkPlaces {
    fn new(kv_heads: usize, sequences: &[PlacedSequence<'_>]) -> Self {
        // A chunk lies in two blocks at most: its first and its last row say which rows are between.
        const { assert!(CHUNK_KEYS <= BLOCK) };
        let mut places = ChunkPlaces { sources: Vec::new(), of: Vec::new() };
        let mut known = HashMap::new();
        for (number, PlacedSequence { sequence: s, .. }) in sequences.iter().enumerate() {
            for kv in 0..kv_heads {
                let row = |key: usize| s.row(kv_heads, kv, key);
                let chunks = (0..s.keys).step_by(CHUNK_KEYS).map(|first| {
                    let keys = CHUNK_KEYS.min(s.keys - first);
                    let rows = (row(first), row(first + keys - 1), s.row_step(kv_heads), keys);
                    *known.entry(rows).or_insert_with(|| {
                        places.sources.push(ChunkSource { sequence: number, kv, first, keys });
                        places.sources.len() - 1
                    })
                });
                places.of.push(chunks.collect());
            }
        }
        places
    }
}

/// Packs the keys and values of a chunk.
fn pack_chunk(inputs: &Inputs<'_>, sequences: &[PlacedSequence<'_>], source: &ChunkSource) -> KvChunk {
    let (isa, p, compute) = (inputs.isa, inputs.p, inputs.compute);
    let (s, first, keys) = (sequences[source.sequence].sequence, source.first, source.keys);
    let row = |key: usize| s.row(p.kv_heads, source.kv, key);
    let row_ahead = |key: usize| row((key + PREFETCH_ROWS).min(s.keys - 1));
    let mut k = vec![0.0; keys * p.dim];
    for (key, k) in k.chunks_exact_mut(p.dim).enumerate() {
        inputs.k.prefetch_row(row_ahead(first + key), p.dim);
        inputs.k.read_row(row(first + key), k);
    }
    let read_v = |key: usize, v: &mut [f32]| {
        inputs.v.prefetch_row(row_ahead(first + key), p.dim);
        inputs.v.read_row(row(first + key), v)
    };
    let k = PackedActivations::pack(isa, compute, &k, keys, p.dim, PreNorm::None, false);
    KvChunk { k, v: PackedActivations::from_columns(isa, compute, p.dim, keys, read_v) }
}

/// Memory that one thread uses for one panel after the other.
struct Scratch {
    /// Weighted sums of values, `[dim, NR]`.
    sums: CacheLines<f32>,
    /// `[CHUNK_KEYS, NR]`.
    scores: CacheLines<f32>,
    /// Unnormalized probabilities as bf16 pairs, `[CHUNK_KEYS / 2, NR]`.
    pairs: CacheLines<u32>,
}

impl Scratch {
    fn new(dim: usize) -> Self {
        Scratch {
            sums: CacheLines::zeroed(dim * NR),
            scores: CacheLines::zeroed(CHUNK_KEYS * NR),
            pairs: CacheLines::zeroed(CHUNK_KEYS / 2 * NR),
        }
    }
}

/// 32 queries of the heads of one KV head.
struct QueryPanel<'a> {
    inputs: &'a Inputs<'a>,
    /// Position in the result, and in `q`, of the first value of each query.
    at: [usize; NR],
    queries: usize,
    /// Keys that each query sees.
    visible_keys: [usize; NR],
    packed: CacheLines<u8>,
}

impl<'a> QueryPanel<'a> {
    /// Queries from `first` on, counted over the sequence's queries with all heads of the KV head `kv`.
    fn new(inputs: &'a Inputs<'a>, placed: &PlacedSequence<'_>, kv: usize, first: usize) -> Self {
        let (p, compute, s) = (inputs.p, inputs.compute, placed.sequence);
        let group = p.heads / p.kv_heads;
        let queries = NR.min(s.queries * group - first);
        let (mut at, mut visible_keys) = ([0; NR], [0; NR]);
        for n in 0..queries {
            let (query, head) = ((first + n) / group, kv * group + (first + n) % group);
            at[n] = ((placed.first_query + query) * p.heads + head) * p.dim;
            visible_keys[n] = s.visible_keys(p.causal, query);
            prefetch_read(inputs.q[at[n]..].as_ptr(), p.dim);
        }
        let mut values = vec![0.0; NR * p.dim];
        for (at, values) in at.iter().zip(values.chunks_exact_mut(p.dim)).take(queries) {
            let q = &inputs.q[*at..][..p.dim];
            values.iter_mut().zip(q).for_each(|(value, q)| *value = q * p.scale);
        }
        let mut packed = CacheLines::zeroed(compute.panel_bytes(compute.k_steps(p.dim)));
        pack_panel(compute, &values, p.dim, &mut packed);
        QueryPanel { inputs, at, queries, visible_keys, packed }
    }

    /// Attention over `chunks`, all keys of the sequence one chunk after the other.
    fn attend<'c>(&self, chunks: impl Iterator<Item = &'c KvChunk>, scratch: &mut Scratch, out: DisjointOut) {
        let mut state = OnlineSoftmax::new();
        let Scratch { sums, scores, pairs } = scratch;
        let last = self.visible_keys.iter().copied().max().unwrap_or(0);
        for (first, chunk) in (0..last).step_by(CHUNK_KEYS).zip(chunks) {
            // Blocks of keys that no query sees are skipped.
            let keys = chunk.k.layout.end_of_block(last - first);
            let scores = &mut scores[..keys * NR];
            self.qk(chunk, scores);
            let visible = self.visible_keys.map(|keys| keys.saturating_sub(first) as u32);
            let weights =
                online_softmax_panel(self.inputs.isa, self.inputs.compute, scores, &visible, &mut state, pairs);
            if first > 0 && state.factor != [1.0; NR] {
                rescale_at(self.inputs.isa, sums, &state.factor);
            }
            self.weighted_sum(chunk, weights, first == 0, sums);
        }
        self.write(sums, &state.sum, out);
    }

    /// `scores` `[keys, NR]` of the chunk's first keys.
    fn qk(&self, chunk: &KvChunk, scores: &mut [f32]) {
        self.matmul(&chunk.k, &self.packed, true, scores);
    }

    /// Adds the chunk's first values times their weights to `sums` `[dim, NR]`, or to zero if `zero_init`.
    fn weighted_sum(&self, chunk: &KvChunk, weights: &[u8], zero_init: bool, sums: &mut [f32]) {
        self.matmul(&chunk.v, weights, zero_init, sums);
    }

    /// Adds to `acc` (or to zero) the products of as many `rows` as it holds, over as many k-steps as the panel `w`
    /// has.
    fn matmul(&self, rows: &PackedActivations, w: &[u8], zero_init: bool, acc: &mut [f32]) {
        let Inputs { isa, compute, .. } = *self.inputs;
        let (k_steps, all) = (w.len() / compute.panel_bytes(1), rows.layout.k_steps());
        let mut rest = acc;
        for (blocks, x) in rows.uniform_blocks() {
            let blocks = blocks.min(rest.len() / (x.mr * NR));
            if blocks == 0 {
                break;
            }
            let x = ActivationBlock { words: &x.words[..((blocks - 1) * all + k_steps) * x.mr], ..x };
            let (acc, below) = rest.split_at_mut(blocks * x.mr * NR);
            let blocks = Strided { count: blocks, stride: all * x.mr };
            let panels = Strided { count: 1, stride: 0 };
            let args = MicroKernelArgs { k_steps, x, blocks, w, panels, zero_init, acc_stride: NR };
            microkernel::accumulate(isa, compute, &args, acc);
            rest = below;
        }
    }

    /// Normalizes `sums` and writes them to the result, transposed.
    fn write(&self, sums: &[f32], total: &[f32; NR], out: DisjointOut) {
        let p = self.inputs.p;
        let to = |n: usize| out.at(self.at[n]);
        (0..self.queries).for_each(|n| prefetch_write(to(n), p.dim));
        let mut row = vec![0.0; p.dim];
        for (n, total) in total.iter().enumerate().take(self.queries) {
            let inverse = 1.0 / total;
            for (value, sums) in row.iter_mut().zip(sums.chunks_exact(NR)) {
                *value = sums[n] * inverse;
            }
            // SAFETY: query `n` of the panel is one of the result's, and its head's `dim` values of it belong to this
            // job alone.
            unsafe { std::ptr::copy_nonoverlapping(row.as_ptr(), to(n), p.dim) };
        }
    }
}
