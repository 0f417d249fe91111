//! What the kernels of one call of attention read.

use super::kv::KvSlice;
use super::params::AttentionParams;
use crate::gemm::WeightType;
use crate::isa::Isa;

/// Inputs that all sequences share.
#[derive(Clone, Copy)]
pub(super) struct Inputs<'a> {
    pub(super) isa: Isa,
    /// Number format of the products: f32 or bf16.
    pub(super) compute: WeightType,
    pub(super) q: &'a [f32],
    pub(super) k: KvSlice<'a>,
    pub(super) v: KvSlice<'a>,
    pub(super) p: &'a AttentionParams,
}
