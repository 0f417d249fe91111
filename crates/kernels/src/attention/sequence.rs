//! Sequences of one call of attention, and where their keys and values lie.

use super::params::AttentionParams;

/// Positions of a KV block. It is also the span of keys of one decode job, so that a job reads one block.
pub const BLOCK: usize = 256;

/// Where the keys and values of a sequence lie in `k` and `v`.
#[derive(Clone, Copy, Debug)]
pub enum KeyRows<'a> {
    /// One position after the other from position `first` on; `k` and `v` are `[positions, kv_heads, dim]`, scales of
    /// int8 `[positions, kv_heads]`.
    Contiguous {
        /// Position of the sequence's first key.
        first: usize,
    },
    /// In blocks (a paged KV cache): `k` and `v` are `[blocks, kv_heads, BLOCK, dim]`, scales of int8 `[blocks,
    /// kv_heads, BLOCK]`. Position `j` of the sequence lies in block `blocks[j / BLOCK]` at `j % BLOCK`. Positions
    /// behind the last key are never read.
    Blocks(&'a [u32]),
}

/// One sequence of a call. The queries of all sequences follow each other in `q`.
#[derive(Clone, Copy, Debug)]
pub struct Sequence<'a> {
    /// Queries: the last positions of the sequence when causal.
    pub queries: usize,
    /// Keys and values.
    pub keys: usize,
    /// Where keys and values lie.
    pub rows: KeyRows<'a>,
}

impl Sequence<'static> {
    /// Sequences of (queries, keys) whose keys and values follow each other from position 0 on.
    pub fn contiguous(segments: &[(usize, usize)]) -> Vec<Sequence<'static>> {
        let mut end = 0;
        let one = |&(queries, keys): &(usize, usize)| {
            let first = end;
            end += keys;
            Sequence { queries, keys, rows: KeyRows::Contiguous { first } }
        };
        segments.iter().map(one).collect()
    }
}

impl Sequence<'_> {
    /// Number of keys that query `i` of the sequence sees.
    pub(super) fn visible_keys(&self, causal: bool, i: usize) -> usize {
        if causal { self.keys - self.queries + i + 1 } else { self.keys }
    }

    /// The row of KV head `kv` at position `j` among all rows of `k` or `v`.
    pub(super) fn row(&self, kv_heads: usize, kv: usize, j: usize) -> usize {
        match self.rows {
            KeyRows::Contiguous { first } => (first + j) * kv_heads + kv,
            KeyRows::Blocks(blocks) => (blocks[j / BLOCK] as usize * kv_heads + kv) * BLOCK + j % BLOCK,
        }
    }

    /// Distance of the rows of one head at neighboring positions, within a block where there are blocks.
    pub(super) fn row_step(&self, kv_heads: usize) -> usize {
        match self.rows {
            KeyRows::Contiguous { .. } => kv_heads,
            KeyRows::Blocks(_) => 1,
        }
    }

    /// Panics unless the keys of the sequence lie among `values` values.
    fn check(&self, values: usize, p: &AttentionParams) {
        assert!(!p.causal || self.queries <= self.keys, "a causal sequence needs a key for every query");
        assert!(self.queries == 0 || self.keys > 0, "a query without keys");
        let position = p.kv_heads * p.dim;
        match self.rows {
            KeyRows::Contiguous { first } => {
                let end = first.checked_add(self.keys).and_then(|end| end.checked_mul(position));
                assert!(end.is_some_and(|end| end <= values), "key size: {} from {first} on", self.keys);
            }
            KeyRows::Blocks(blocks) => {
                let (used, all) = (self.keys.div_ceil(BLOCK), values / (BLOCK * position).max(1));
                assert!(used <= blocks.len(), "{} keys in {} blocks of {BLOCK}", self.keys, blocks.len());
                let outside = blocks[..used].iter().find(|block| **block as usize >= all);
                assert!(outside.is_none(), "block {outside:?} of {all}");
            }
        }
    }
}

/// Panics unless `q`, `k` and `v` have as many values as the sequences and `p` say.
pub(super) fn check_sequences(q: usize, k: usize, v: usize, sequences: &[Sequence<'_>], p: &AttentionParams) {
    assert_eq!(p.heads % p.kv_heads, 0, "grouped heads");
    let queries: usize = sequences.iter().map(|sequence| sequence.queries).sum();
    assert_eq!(q, queries * p.heads * p.dim, "query size");
    assert_eq!(v, k, "value size");
    sequences.iter().for_each(|sequence| sequence.check(k, p));
}

/// A sequence with its place among the queries of the call.
#[derive(Clone, Copy)]
pub(super) struct PlacedSequence<'a> {
    pub(super) sequence: Sequence<'a>,
    pub(super) first_query: usize,
}
