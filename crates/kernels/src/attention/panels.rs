//! Many queries: 32 of them are the lanes of a panel, keys and then values the rows that are multiplied with it (the
//! tiles of `packed`). Scores come out with keys below each other, so that maxima and sums of the softmax run down the
//! lanes, chunk of keys after chunk (the streaming softmax of FlashAttention, arXiv 2205.14135).

use std::mem::MaybeUninit;

use super::weigh::{self, State};
use super::{Inputs, Sequence};
use crate::fetch;
use crate::packed::rows::{Before, Block, Rows};
use crate::packed::tile::{self, Tiles};
use crate::packed::{LANES, layout};
use crate::team;

/// Keys of a chunk: whole tiles of rows, an even number.
const CHUNK: usize = 192;

/// Rows of keys or values that are asked for ahead of their use: those of a head lie far from each other.
const AHEAD: usize = 16;

/// Keys and values of one head in one chunk, in the order of the tiles.
struct Chunk {
    first: usize,
    k: Rows,
    /// `[dim, keys]`.
    v: Rows,
}

/// The result's first value. Jobs write disjoint parts of it.
struct Out(*mut f32);

// SAFETY: every job writes only its own queries' values of its own head, and no two jobs share both.
unsafe impl Sync for Out {}

/// Attention of `sequences`: writes all values of their queries to `out`, the result of all queries.
pub(super) fn panels(inputs: &Inputs<'_>, sequences: &[Sequence], out: &mut [MaybeUninit<f32>]) {
    let h = inputs.h;
    let heads: Vec<(usize, usize)> =
        (0..sequences.len()).flat_map(|s| (0..h.kv_heads).map(move |kv| (s, kv))).collect();
    let chunks = team::map(heads.len(), |n| chunks(inputs, &sequences[heads[n].0], heads[n].1));
    let mut jobs = Vec::new();
    for (s, sequence) in sequences.iter().enumerate() {
        for head in 0..h.heads {
            jobs.extend((0..sequence.queries).step_by(LANES).map(|first| (s, head, first)));
        }
    }
    assert_eq!(out.len(), inputs.q.len(), "result size");
    let out = Out(out.as_mut_ptr().cast());
    team::for_each_init(
        jobs.len(),
        || Scratch::new(h.dim),
        |scratch, job| {
            let (s, head, first) = jobs[job];
            let chunks = &chunks[s * h.kv_heads + head / (h.heads / h.kv_heads)];
            Panel::new(inputs, &sequences[s], head, first).run(chunks, scratch, &out);
        },
    );
}

fn chunks(inputs: &Inputs<'_>, s: &Sequence, kv: usize) -> Vec<Chunk> {
    let (h, kind) = (inputs.h, inputs.kind);
    let row = |key: usize| (s.first_key + key) * h.kv_heads + kv;
    (0..s.keys)
        .step_by(CHUNK)
        .map(|first| {
            let keys = CHUNK.min(s.keys - first);
            let mut k = vec![0.0; keys * h.dim];
            for (key, k) in k.chunks_exact_mut(h.dim).enumerate() {
                inputs.k.fetch(row(first + key + AHEAD), h.dim);
                inputs.k.read(row(first + key), k);
            }
            let v = |key: usize, v: &mut [f32]| {
                inputs.v.fetch(row(first + key + AHEAD), h.dim);
                inputs.v.read(row(first + key), v)
            };
            let k = Rows::pack(kind, &k, keys, h.dim, Before::Keep, false);
            Chunk { first, k, v: Rows::from_columns(kind, h.dim, keys, v) }
        })
        .collect()
}

/// Memory of one panel after the other.
struct Scratch {
    /// `[dim, LANES]`.
    sums: Vec<f32>,
    /// `[CHUNK, LANES]`.
    scores: Vec<f32>,
    /// `[CHUNK / 2, LANES]`.
    pairs: Vec<u32>,
}

impl Scratch {
    fn new(dim: usize) -> Self {
        Scratch { sums: vec![0.0; dim * LANES], scores: vec![0.0; CHUNK * LANES], pairs: vec![0; CHUNK / 2 * LANES] }
    }
}

/// 32 queries of one head.
struct Panel<'a> {
    inputs: &'a Inputs<'a>,
    /// Position in the result of the first query's value 0 of this head.
    at: usize,
    queries: usize,
    /// Keys that each query sees.
    seen: [usize; LANES],
    packed: Vec<u8>,
}

impl<'a> Panel<'a> {
    fn new(inputs: &'a Inputs<'a>, s: &Sequence, head: usize, first: usize) -> Self {
        let (h, kind) = (inputs.h, inputs.kind);
        let queries = LANES.min(s.queries - first);
        let at = ((s.first_query + first) * h.heads + head) * h.dim;
        let row = |n: usize| at + n * h.heads * h.dim;
        (0..queries).for_each(|n| fetch::to_read(inputs.q[row(n)..].as_ptr(), h.dim));
        let mut values = vec![0.0; LANES * h.dim];
        for (n, values) in values.chunks_exact_mut(h.dim).take(queries).enumerate() {
            let q = &inputs.q[row(n)..][..h.dim];
            values.iter_mut().zip(q).for_each(|(value, q)| *value = q * h.scale);
        }
        let mut packed = vec![0; kind.panel_bytes(kind.steps(h.dim))];
        layout::pack(kind, &values, h.dim, &mut packed);
        let mut seen = [0; LANES];
        (0..queries).for_each(|n| seen[n] = s.seen(h.causal, first + n));
        Panel { inputs, at, queries, seen, packed }
    }

    fn run(&self, chunks: &[Chunk], scratch: &mut Scratch, out: &Out) {
        let mut first = true;
        let mut state = State::new();
        let Scratch { sums, scores, pairs } = scratch;
        let last = self.seen.iter().copied().max().unwrap_or(0);
        for chunk in chunks.iter().filter(|chunk| chunk.first < last) {
            // Keys after the last one that a query sees are left out, where all of a block are.
            let keys = chunk.k.shape.end_of_block(last - chunk.first);
            let scores = &mut scores[..keys * LANES];
            self.score(chunk, scores);
            let room = self.seen.map(|seen| seen.saturating_sub(chunk.first) as u32);
            let weights = weigh::weights(self.inputs.level, self.inputs.kind, scores, &room, &mut state, pairs);
            if !first && state.factor != [1.0; LANES] {
                weigh::scale_at(self.inputs.level, sums, &state.factor);
            }
            self.gather(chunk, weights, first, sums);
            first = false;
        }
        self.write(sums, &state.sum, out);
    }

    /// `scores` `[keys, LANES]` of the chunk's first keys.
    fn score(&self, chunk: &Chunk, scores: &mut [f32]) {
        self.multiply(&chunk.k, &self.packed, true, scores);
    }

    /// Adds to `sums` `[dim, LANES]` (at first: to zero) the chunk's first values times their weights.
    fn gather(&self, chunk: &Chunk, weights: &[u8], fresh: bool, sums: &mut [f32]) {
        self.multiply(&chunk.v, weights, fresh, sums);
    }

    /// Adds to `sums` (or to zero) as many rows as it is for, as many steps of them as the panel has.
    fn multiply(&self, rows: &Rows, w: &[u8], fresh: bool, sums: &mut [f32]) {
        let Inputs { level, kind, .. } = *self.inputs;
        let (steps, all) = (w.len() / kind.panel_bytes(1), rows.shape.steps());
        let mut rest = sums;
        for (blocks, x) in rows.stacks() {
            let blocks = blocks.min(rest.len() / (x.m * LANES));
            if blocks == 0 {
                break;
            }
            let x = Block { lanes: &x.lanes[..((blocks - 1) * all + steps) * x.m], ..x };
            let (sums, below) = rest.split_at_mut(blocks * x.m * LANES);
            let tiles = Tiles { steps, x, blocks: (blocks, all * x.m), w, panels: (1, 0), fresh, stride: LANES };
            tile::add(level, kind, &tiles, sums);
            rest = below;
        }
    }

    fn write(&self, sums: &[f32], total: &[f32; LANES], out: &Out) {
        let h = self.inputs.h;
        let to = |n: usize| out.0.wrapping_add(self.at + n * h.heads * h.dim);
        (0..self.queries).for_each(|n| fetch::to_write(to(n), h.dim));
        let mut row = vec![0.0; h.dim];
        for (n, total) in total.iter().enumerate().take(self.queries) {
            let inverse = 1.0 / total;
            for (value, sums) in row.iter_mut().zip(sums.chunks_exact(LANES)) {
                *value = sums[n] * inverse;
            }
            // SAFETY: query `n` of the panel is one of the result's, and this head's `dim` values of it belong to this
            // job alone.
            unsafe { std::ptr::copy_nonoverlapping(row.as_ptr(), to(n), h.dim) };
        }
    }
}
