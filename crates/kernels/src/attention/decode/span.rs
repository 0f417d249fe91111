//! Spans of keys or values in memory, and the constants of decode attention.

use super::super::sequence::BLOCK;

/// Keys of one job: a KV block, whose scores stay in the L1 cache.
pub(super) const SPAN: usize = BLOCK;
/// Prefetch distance in rows: more than one page, because the hardware prefetcher stops at page boundaries.
pub(super) const PREFETCH_ROWS: usize = 24;
/// Rows of values that are summed at once; divides [`SPAN`].
pub(super) const V_ROWS: usize = 4;

/// Some rows of keys or values: row `start` and every `step`th after it, `keys` in all, of `dim` values.
#[derive(Clone, Copy)]
pub(super) struct KeySpan {
    pub(super) start: usize,
    pub(super) step: usize,
    pub(super) keys: usize,
    pub(super) dim: usize,
}

impl KeySpan {
    pub(super) fn row(self, j: usize) -> usize {
        self.start + j * self.step
    }

    /// Panics unless these rows exist among `values` values, and `scores` and `vectors` are the lengths of scores and
    /// vectors (queries or results) of the same heads.
    pub(super) fn check(self, values: usize, scores: usize, vectors: usize) {
        assert!((1..=SPAN).contains(&self.keys) && self.dim > 0, "a span of keys");
        assert!((self.row(self.keys - 1) + 1) * self.dim <= values, "rows of a span of keys");
        assert!(vectors.is_multiple_of(self.dim) && scores == vectors / self.dim * SPAN, "heads of a span of keys");
    }
}
