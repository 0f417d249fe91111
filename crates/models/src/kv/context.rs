//! What the rows of one forward pass may attend to: a list of sequences, remembered or not.
//!
//! Legend: T rows, Q queries, H query heads, K key heads, C width of a head.

use candle_core::{Result, Tensor, bail};

use super::cache::KvCache;
use super::run::SequenceRun;
use crate::ops::{self, AttentionOptions, PagedSequence};

/// The memory of one forward pass. Model code passes it on; only [`KvContext::attend`] looks inside.
pub enum KvContext<'a> {
    /// Whole sequences laid end to end; the lengths sum to T. Nothing is remembered, everything is differentiable.
    Varlen(&'a [usize]),
    /// New rows of each of many sequences, which sum to T: prompt chunks and single tokens alike.
    Paged {
        /// Keys and values of all sequences.
        cache: &'a mut KvCache,
        /// The new rows of each sequence, in the order of the rows.
        runs: &'a [SequenceRun<'a>],
    },
}

/// New rows of each sequence from which queries are taken.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct QueryRows {
    /// Rows of the pass, ascending.
    pub rows: Vec<u32>,
    /// How many of them each sequence has: always its last ones.
    pub per_sequence: Vec<usize>,
}

impl KvContext<'_> {
    /// New rows of each sequence.
    pub fn new_rows(&self) -> Vec<usize> {
        match self {
            KvContext::Varlen(lens) => lens.to_vec(),
            KvContext::Paged { runs, .. } => runs.iter().map(|run| run.new).collect(),
        }
    }

    /// All rows of the pass as queries.
    ///
    /// # Errors
    /// When the sequences do not make `t` rows.
    pub fn all_rows(&self, t: usize) -> Result<QueryRows> {
        let per_sequence = self.new_rows();
        if per_sequence.iter().sum::<usize>() != t {
            bail!("sequences of {per_sequence:?} rows do not make {t} rows")
        }
        Ok(QueryRows { rows: (0..t as u32).collect(), per_sequence })
    }

    /// The fewest queries so that `wanted` rows are among them: of each sequence the rows from its first wanted one on.
    ///
    /// # Errors
    /// When a wanted row is not below T.
    pub fn rows_from_first(&self, wanted: &[usize]) -> Result<QueryRows> {
        let lens = self.new_rows();
        let total: usize = lens.iter().sum();
        if let Some(row) = wanted.iter().find(|row| **row >= total) {
            bail!("row {row} of {total} rows")
        }
        let mut wanted = wanted.to_vec();
        wanted.sort_unstable();
        let (mut begin, mut result) = (0, QueryRows { rows: Vec::new(), per_sequence: Vec::new() });
        for len in lens {
            let end = begin + len;
            let at = wanted.partition_point(|row| *row < begin);
            let first = wanted.get(at).copied().filter(|row| *row < end).unwrap_or(end);
            result.rows.extend(first as u32..end as u32);
            result.per_sequence.push(end - first);
            begin = end;
        }
        Ok(result)
    }

    /// Remembers the keys and values `[T, K, C]` of all new rows in `layer`, where anything is remembered.
    ///
    /// # Errors
    /// When sizes do not fit, or a gradient would be lost in a cache.
    pub fn append(&mut self, layer: usize, k_tkc: &Tensor, v_tkc: &Tensor) -> Result<()> {
        match self {
            KvContext::Varlen(_) => Ok(()),
            KvContext::Paged { cache, runs } => cache.write(layer, runs, k_tkc, v_tkc).map(|_| ()),
        }
    }

    /// Remembers the keys and values `[T, K, C]` of all new rows in `layer`, then lets the queries `q` `[Q, H, C]` of
    /// `queries` attend to what each one's sequence holds.
    ///
    /// # Errors
    /// When sizes do not fit, or a gradient would be lost in a cache.
    pub fn attend(
        &mut self,
        layer: usize,
        q_qhc: &Tensor,
        k_tkc: &Tensor,
        v_tkc: &Tensor,
        queries: &QueryRows,
        options: AttentionOptions,
    ) -> Result<Tensor> {
        match self {
            KvContext::Varlen(lens) => {
                let lens: Vec<_> = queries.per_sequence.iter().copied().zip(lens.iter().copied()).collect();
                ops::attention(options, q_qhc, k_tkc, v_tkc, &lens)
            }
            KvContext::Paged { cache, runs } => {
                let q_qhc = &cache.taken(q_qhc);
                let (keys, values) = cache.write(layer, runs, k_tkc, v_tkc)?;
                let mut sequences = Vec::with_capacity(runs.len());
                for (run, &queries) in runs.iter().zip(&queries.per_sequence) {
                    sequences.push(PagedSequence { queries, keys: run.past + run.new, blocks: run.blocks });
                }
                ops::paged_attention(options, q_qhc, keys, values, &sequences)
            }
        }
    }
}
