//! A table whose rows are read from its file when they are looked up.

use std::sync::Arc;

use candle_core::{DType, Device, Tensor};

use super::row_source::RowSource;
use crate::error::{ModelError, ModelResult};

/// A table `[W, D]` in its file.
#[derive(Clone)]
pub struct MappedRows {
    source: Arc<RowSource>,
    name: String,
    dtype: DType,
    device: Device,
}

impl MappedRows {
    pub(crate) fn new(source: RowSource, name: String, dtype: DType, device: Device) -> Self {
        MappedRows { source: Arc::new(source), name, dtype, device }
    }

    /// Rows `[ids.len(), D]`.
    ///
    /// # Errors
    /// [`ModelError::Caller`] for a row that the table has not.
    pub fn read(&self, ids: &[u32]) -> ModelResult<Tensor> {
        let (rows, cols) = (self.source.rows(), self.source.cols);
        let mut values = vec![0.0; ids.len() * cols];
        for (&id, out) in ids.iter().zip(values.chunks_exact_mut(cols)) {
            let row = id as usize;
            if row >= rows {
                let text = format!("tensor {} of {rows} x {cols} values has no row {row}", self.name);
                return Err(ModelError::Caller(text));
            }
            self.source.read(row..row + 1, out)?;
        }
        let rows = Tensor::from_vec(values, (ids.len(), cols), &Device::Cpu)?;
        Ok(rows.to_dtype(self.dtype)?.to_device(&self.device)?)
    }
}
