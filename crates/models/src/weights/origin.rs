//! Where a tensor of ours lies in a published checkpoint.

use std::ops::Range;

/// How a tensor of ours is made of tensors of an archive.
#[derive(Clone, Debug, PartialEq)]
pub enum Origin {
    /// A tensor as it is.
    Tensor(String),
    /// Rows of a tensor that holds several (fused q, k, v; gate and up).
    Rows(String, Range<usize>),
    /// One below the other (q bias, zeros, v bias).
    Stack(Vec<Origin>),
    /// Rows of zeros.
    Zeros(usize),
    /// A tensor with one row per vocabulary entry. The archive may have more rows, which are left out, or fewer: the
    /// next archive gives the missing ones.
    Vocabulary(String),
    /// The first of these that the archive has (an output matrix that may be tied). The tensor counts as present when
    /// the archive has the first one.
    FirstOf(Vec<Origin>),
    /// Rows of each of so many heads in the interleaved rotary order (Llama-form GGUF files permute q and k; Qwen2's do
    /// not).
    InterleavedRope(String, usize),
    /// `base + scale * up down`: a low-rank adapter that is merged while it is read (LoRA).
    LowRank {
        /// The matrix.
        base: Box<Origin>,
        /// LoRA's A, `[rank, in]`.
        down: String,
        /// LoRA's B, `[out, rank]`.
        up: String,
        /// `alpha / rank`.
        scale: f32,
    },
}

impl Origin {
    /// Names of all tensors that it is made of.
    pub fn tensors(&self) -> Vec<&str> {
        match self {
            Origin::Tensor(name)
            | Origin::Rows(name, _)
            | Origin::Vocabulary(name)
            | Origin::InterleavedRope(name, _) => vec![name],
            Origin::Stack(parts) => parts.iter().flat_map(Origin::tensors).collect(),
            Origin::FirstOf(all) => all.first().map(Origin::tensors).unwrap_or_default(),
            Origin::Zeros(_) => Vec::new(),
            Origin::LowRank { base, down, up, .. } => {
                base.tensors().into_iter().chain([down.as_str(), up.as_str()]).collect()
            }
        }
    }
}

/// For row `r` of `rows` rows of `heads` heads in the half-split order: its row in the interleaved order.
pub(crate) fn interleaved_order(rows: usize, heads: usize) -> Vec<usize> {
    let width = rows / heads.max(1);
    let half = width / 2;
    let row = |r: usize| {
        let (head, at) = (r / width, r % width);
        head * width + if at < half { 2 * at } else { 2 * (at - half) + 1 }
    };
    (0..rows).map(row).collect()
}
