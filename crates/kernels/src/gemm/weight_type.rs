//! Number formats of packed weights and the sizes that follow from them.

use super::layout::{
    ACT_GROUP, GROUP_SCALES_BYTES, I4_BLOCK_GROUPS, I4_FACTORS_BYTES, I4_GROUP, I4_GROUP_BYTES, I8_GROUP, NR,
    STEP_BYTES,
};

/// Number format of packed weights; it also decides how activations are rounded for the product.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum WeightType {
    /// 32-bit floats.
    F32,
    /// bfloat16: 16-bit floats with eight bits of exponent.
    Bf16,
    /// 8-bit integers with a bf16 scale for each 128 values of a row.
    Int8,
    /// 4-bit integers with a scale and a minimum for each 32 values of a row.
    Int4,
}

impl WeightType {
    /// All weight types.
    pub const ALL: [WeightType; 4] = [WeightType::F32, WeightType::Bf16, WeightType::Int8, WeightType::Int4];

    /// The name in options, files and reports.
    pub fn name(self) -> &'static str {
        match self {
            WeightType::F32 => "f32",
            WeightType::Bf16 => "bf16",
            WeightType::Int8 => "int8",
            WeightType::Int4 => "int4",
        }
    }

    /// Bytes of a packed matrix `[rows, cols]`.
    pub fn bytes(self, rows: usize, cols: usize) -> usize {
        rows.div_ceil(NR) * self.panel_bytes(self.k_steps(cols))
    }

    /// Whether weights and activations are multiplied as integers.
    pub(crate) fn is_quantized(self) -> bool {
        matches!(self, WeightType::Int8 | WeightType::Int4)
    }

    /// Values along `cols` of one lane in one k-step.
    pub(crate) fn values_per_step(self) -> usize {
        match self {
            WeightType::F32 => 1,
            WeightType::Bf16 => 2,
            WeightType::Int8 | WeightType::Int4 => 4,
        }
    }

    /// Products along `cols` that are summed as integers before the scales are applied. Meaningful for quantized types
    /// only.
    pub(crate) fn accumulation_len(self) -> usize {
        ACT_GROUP.min(if self == WeightType::Int4 { I4_GROUP } else { I8_GROUP })
    }

    /// K-steps of a row of `cols` values.
    pub(crate) fn k_steps(self, cols: usize) -> usize {
        match self {
            WeightType::Int4 => cols.div_ceil(I4_GROUP) * I4_GROUP / 4,
            _ => cols.div_ceil(self.values_per_step()),
        }
    }

    /// Bytes of `k_steps` k-steps of a panel; for int4 these must be whole groups.
    pub(crate) fn panel_bytes(self, k_steps: usize) -> usize {
        match self {
            WeightType::Int8 => k_steps * STEP_BYTES + (k_steps * 4).div_ceil(I8_GROUP) * GROUP_SCALES_BYTES,
            WeightType::Int4 => {
                let groups = k_steps * 4 / I4_GROUP;
                groups * I4_GROUP_BYTES + groups.div_ceil(I4_BLOCK_GROUPS) * I4_FACTORS_BYTES
            }
            _ => k_steps * STEP_BYTES,
        }
    }
}
