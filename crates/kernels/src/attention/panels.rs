//! Many queries: 32 of them are the lanes of a panel, keys and then values the rows that are multiplied with it (the
//! tiles of `packed`). Scores come out with keys below each other, so that maxima and sums of the softmax run down the
//! lanes, chunk of keys after chunk (the streaming softmax of FlashAttention, arXiv 2205.14135).

use super::{Inputs, Sequence};
use crate::activation::exp;
use crate::level::per_level;
use crate::packed::rows::{Before, Rows};
use crate::packed::tile::{Tile, add_tile};
use crate::packed::{Kind, LANES, bytes_of, layout};
use crate::team;

/// Keys of a chunk: whole tiles of rows, an even number.
const CHUNK: usize = 192;

/// How far scores may lie above the number they are taken relative to: weights up to `exp(8)`.
const SLACK: f32 = 8.0;

/// Keys and values of one head in one chunk, in the order of the tiles.
struct Chunk {
    first: usize,
    keys: usize,
    k: Rows,
    /// `[dim, keys]`.
    v: Rows,
}

/// The result's first value. Jobs write disjoint parts of it.
struct Out(*mut f32);

// SAFETY: every job writes only its own queries' values of its own head, and no two jobs share both.
unsafe impl Sync for Out {}

/// Attention of `sequences`.
pub(super) fn panels(inputs: &Inputs<'_>, sequences: &[Sequence], out: &mut [f32]) {
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
    let to = Out(out.as_mut_ptr());
    team::for_each_init(
        jobs.len(),
        || Scratch::new(h.dim),
        |scratch, job| {
            let (s, head, first) = jobs[job];
            let chunks = &chunks[s * h.kv_heads + head / (h.heads / h.kv_heads)];
            Panel::new(inputs, &sequences[s], head, first).run(chunks, scratch, &to);
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
                inputs.k.read(row(first + key), k);
            }
            let v = |key: usize, v: &mut [f32]| inputs.v.read(row(first + key), v);
            let k = Rows::pack(kind, &k, keys, h.dim, Before::Keep, false);
            Chunk { first, keys, k, v: Rows::from_columns(kind, h.dim, keys, v) }
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
        let mut values = vec![0.0; LANES * h.dim];
        for (n, values) in values.chunks_exact_mut(h.dim).take(queries).enumerate() {
            let q = &inputs.q[at + n * h.heads * h.dim..][..h.dim];
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
        let mut state = State { max: [f32::NEG_INFINITY; LANES], sum: [0.0; LANES], factor: [0.0; LANES] };
        let Scratch { sums, scores, pairs } = scratch;
        let last = self.seen.iter().copied().max().unwrap_or(0);
        for chunk in chunks.iter().filter(|chunk| chunk.first < last) {
            let scores = &mut scores[..chunk.keys * LANES];
            self.score(chunk, scores);
            let room = self.seen.map(|seen| seen.saturating_sub(chunk.first) as u32);
            weigh_at(self.inputs.level, scores, &room, &mut state);
            if !first && state.factor != [1.0; LANES] {
                scale_at(self.inputs.level, sums, &state.factor);
            }
            let weights = if self.inputs.kind == Kind::Bf16 {
                let pairs = &mut pairs[..chunk.keys.div_ceil(2) * LANES];
                pair_at(self.inputs.level, scores, pairs);
                bytes_of(pairs)
            } else {
                bytes_of(scores)
            };
            self.gather(chunk, weights, first, sums);
            first = false;
        }
        self.write(sums, &state.sum, out);
    }

    /// `scores` `[keys, LANES]`.
    fn score(&self, chunk: &Chunk, scores: &mut [f32]) {
        self.multiply(&chunk.k, &self.packed, true, scores);
    }

    /// Adds to `sums` `[dim, LANES]` (at first: to zero) the values times their weights.
    fn gather(&self, chunk: &Chunk, weights: &[u8], fresh: bool, sums: &mut [f32]) {
        self.multiply(&chunk.v, weights, fresh, sums);
    }

    /// Adds to `sums` (or to zero) all rows times one panel.
    fn multiply(&self, rows: &Rows, w: &[u8], fresh: bool, sums: &mut [f32]) {
        let shape = rows.shape;
        for block in 0..shape.blocks() {
            let (first, m) = (shape.first(block), shape.height(block));
            let tile = Tile { m, steps: shape.steps(), x: rows.block(block), w, fresh, stride: LANES };
            add_tile(self.inputs.level, self.inputs.kind, &tile, &mut sums[first * LANES..(first + m) * LANES]);
        }
    }

    fn write(&self, sums: &[f32], total: &[f32; LANES], out: &Out) {
        let h = self.inputs.h;
        let mut row = vec![0.0; h.dim];
        for (n, total) in total.iter().enumerate().take(self.queries) {
            let inverse = 1.0 / total;
            for (value, sums) in row.iter_mut().zip(sums.chunks_exact(LANES)) {
                *value = sums[n] * inverse;
            }
            // SAFETY: query `n` of the panel is one of the result's, and this head's `dim` values of it belong to this
            // job alone.
            unsafe { std::ptr::copy_nonoverlapping(row.as_ptr(), out.0.add(self.at + n * h.heads * h.dim), h.dim) };
        }
    }
}

/// What the softmax knows so far, one a lane.
pub(crate) struct State {
    max: [f32; LANES],
    sum: [f32; LANES],
    /// What earlier sums must be multiplied with.
    factor: [f32; LANES],
}

per_level! {
    /// Scores `[keys, LANES]` to `exp(score - max)`; lane `l` sees only its first `room[l]` keys.
    fn weigh / weigh_at(scores: &mut [f32], room: &[u32; LANES], state: &mut State) {
        let rows = scores.as_chunks_mut::<LANES>().0;
        let hidden = room.iter().any(|room| (*room as usize) < rows.len());
        if hidden {
            for (key, row) in rows.iter_mut().enumerate() {
                for (score, room) in row.iter_mut().zip(room) {
                    *score = if (key as u32) < *room { *score } else { f32::NEG_INFINITY };
                }
            }
        }
        let mut max = state.max;
        for row in rows.iter() {
            for (max, score) in max.iter_mut().zip(row) {
                *max = if *score > *max { *score } else { *max };
            }
        }
        let lanes = max.iter_mut().zip(&state.max).zip(&mut state.factor).zip(&mut state.sum);
        for (((max, before), factor), sum) in lanes {
            // Weights may be taken relative to any number that keeps them in range. A maximum that rises by little is
            // left where it was, so that earlier sums need no factor.
            *max = if *max <= *before + SLACK { *before } else { *max };
            *factor = if *before == f32::NEG_INFINITY { 0.0 } else { exp::<FMA>(*before - *max) };
            *sum *= *factor;
        }
        state.max = max;
        // A lane that has seen no key yet: any finite number keeps its weights at zero.
        let floor = max.map(|max| if max == f32::NEG_INFINITY { 0.0 } else { max });
        let mut sum = state.sum;
        for row in rows.iter_mut() {
            let lanes = row.iter_mut().zip(&floor).zip(&mut sum);
            if hidden {
                lanes.for_each(|((score, floor), sum)| {
                    *score = if *score == f32::NEG_INFINITY { 0.0 } else { exp::<FMA>(*score - floor) };
                    *sum += *score;
                });
            } else {
                lanes.for_each(|((score, floor), sum)| {
                    *score = exp::<FMA>(*score - floor);
                    *sum += *score;
                });
            }
        }
        state.sum = sum;
    }
}

per_level! {
    /// Multiplies every row of `sums` with the lanes' factors.
    fn scale / scale_at(sums: &mut [f32], factor: &[f32; LANES]) {
        for row in sums.chunks_exact_mut(LANES) {
            row.iter_mut().zip(factor).for_each(|(sum, factor)| *sum *= factor);
        }
    }
}

per_level! {
    /// Two rows of `weights` at a time as pairs of bf16; a last odd row is paired with zeros.
    fn pair / pair_at(weights: &[f32], pairs: &mut [u32]) {
        let rows = weights.as_chunks::<LANES>().0;
        for (rows, pairs) in rows.chunks(2).zip(pairs.as_chunks_mut::<LANES>().0) {
            let first = &rows[0];
            let second = rows.get(1).unwrap_or(&[0.0; LANES]);
            for lane in 0..LANES {
                // A NaN that `exp` gives keeps its mark through the rounding.
                pairs[lane] = (layout::rounded(first[lane]) >> 16) | (layout::rounded(second[lane]) & 0xffff_0000);
            }
        }
    }
}
