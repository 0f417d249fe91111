//! What attention is asked for beside queries, keys and values.
//!
//! Legend: C width of a head.

use zoetrope_kernels::gemm::WeightType;

/// What does not depend on the sequences.
#[derive(Clone, Copy, Debug)]
pub struct AttentionOptions {
    /// What products are computed in on the CPU: f32, or bf16 where the CPU has products of it.
    pub compute: WeightType,
    /// Whether a query sees only keys up to its own position. The queries of a sequence are its last positions.
    pub causal: bool,
    /// Factor on the scores, usually `C^-0.5`.
    pub scale: f64,
}

/// Some last positions of a sequence whose keys and values lie in blocks of a cache.
#[derive(Clone, Copy, Debug)]
pub struct PagedSequence<'a> {
    /// Queries, of which the last one is the last key.
    pub queries: usize,
    /// Keys, the queries' own included.
    pub keys: usize,
    /// Numbers of the sequence's blocks, in order.
    pub blocks: &'a [u32],
}
