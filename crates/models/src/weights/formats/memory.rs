//! Tensors in memory.

use std::collections::HashMap;
use std::sync::Arc;

use candle_core::{DType, Tensor};

use super::row_source::{Segment, SegmentValues};
use super::shape::matrix_dims;
use super::store::TensorStore;
use crate::error::{ModelError, ModelResult};

/// Tensors by name.
pub(crate) struct MemoryTensors(pub(crate) HashMap<String, Tensor>);

impl TensorStore for MemoryTensors {
    fn names(&self) -> Vec<&str> {
        self.0.keys().map(String::as_str).collect()
    }

    fn has(&self, name: &str) -> bool {
        self.0.contains_key(name)
    }

    fn shape(&self, name: &str) -> Option<&[usize]> {
        self.0.get(name).map(Tensor::dims)
    }

    fn rows(&self, name: &str, shape: &[usize]) -> ModelResult<Segment> {
        let tensor = self.0.get(name).ok_or_else(|| self.missing(name))?;
        if tensor.dims() != shape {
            let text = format!("tensor {name} has shape {:?}, the configuration says {shape:?}", tensor.dims());
            return Err(ModelError::Caller(text));
        }
        let values = tensor.flatten_all()?.to_dtype(DType::F32)?.to_vec1::<f32>()?;
        Ok(Segment { rows: matrix_dims(shape).0, values: SegmentValues::Memory(Arc::new(values)) })
    }

    fn missing(&self, name: &str) -> ModelError {
        ModelError::Caller(format!("tensor {name} is missing"))
    }

    fn bytes(&self) -> usize {
        0
    }
}
