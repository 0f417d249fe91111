//! Token embedding.

use candle_core::{Error, Result, Tensor};

use crate::error::ModelResult;
use crate::ops;
use crate::weights::{MappedRows, ParameterRole, Weights};

/// Rows of a table `[W, D]` by number.
pub enum Embedding {
    /// All of it as a tensor.
    Tensor(Tensor),
    /// In its file; rows are read when they are looked up.
    Mapped(MappedRows),
}

impl Embedding {
    /// Reads `weight` `[vocabulary, width]` below `weights`.
    pub fn load(weights: &Weights, vocabulary: usize, width: usize) -> ModelResult<Self> {
        match weights.mapped_rows([vocabulary, width], "weight")? {
            Some(rows) => Ok(Embedding::Mapped(rows)),
            None => Ok(Embedding::Tensor(weights.get(&[vocabulary, width], "weight", ParameterRole::Embedding)?)),
        }
    }

    /// Rows `[ids.len(), D]`.
    pub fn forward(&self, ids: &[u32]) -> Result<Tensor> {
        match self {
            Embedding::Tensor(all) => ops::embedding(all, ids),
            Embedding::Mapped(rows) => rows.read(ids).map_err(Error::wrap),
        }
    }
}
