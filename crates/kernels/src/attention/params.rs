//! Sizes and options of attention.

/// Sizes and options that are the same for all sequences of a call.
#[derive(Clone, Copy, Debug)]
pub struct AttentionParams {
    /// Query heads.
    pub heads: usize,
    /// Key and value heads; divides `heads` (grouped-query attention).
    pub kv_heads: usize,
    /// Values of a head.
    pub dim: usize,
    /// Whether a query sees only keys up to its own position.
    pub causal: bool,
    /// Factor on the scores, usually `dim^-0.5`.
    pub scale: f32,
}
