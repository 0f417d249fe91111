//! What a tensor is made from, once it was looked up.

use zoetrope_kernels::gemm::{PackedMatrix, WeightType};

use crate::error::ModelResult;
use crate::weights::formats::{RowSource, matrix_dims};
use crate::weights::init::init_values;
use crate::weights::parameter::ParameterRole;
use crate::weights::precision::StoredAs;

/// What a tensor is made from.
pub(super) enum Found {
    Rows(RowSource),
    /// Initial values from this seed.
    Random(u64),
}

impl Found {
    /// How the files hold it.
    pub(super) fn stored_as(&self) -> StoredAs {
        match self {
            Found::Rows(source) => source.stored_as(),
            Found::Random(_) => StoredAs::Values,
        }
    }

    /// The matrix `canonical` of `shape`, packed.
    pub(super) fn pack(
        &self,
        weight_type: WeightType,
        canonical: &str,
        shape: &[usize],
        role: ParameterRole,
    ) -> ModelResult<PackedMatrix> {
        match self {
            Found::Rows(source) => source.pack(weight_type),
            Found::Random(seed) => {
                let values = init_values(*seed, canonical, shape, role);
                let (rows, cols) = matrix_dims(shape);
                Ok(PackedMatrix::pack(weight_type, &values, rows, cols))
            }
        }
    }
}
