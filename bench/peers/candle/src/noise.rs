//! Weights of any shape, made up: speed does not depend on their values, as long as none is denormal.

use candle_core::{DType, Device, Result, Shape, Tensor, bail};
use candle_nn::Init;
use candle_nn::var_builder::{SimpleBackend, VarBuilder};

struct Noise;

/// A tensor of evenly distributed noise between -0.05 and 0.05, the same each time.
pub fn tensor(shape: impl Into<Shape>, dtype: DType) -> Result<Tensor> {
    let shape = shape.into();
    let mut state = 1u32;
    let values: Vec<f32> = (0..shape.elem_count())
        .map(|_| {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            (state >> 8) as f32 / (1 << 24) as f32 * 0.1 - 0.05
        })
        .collect();
    Tensor::from_vec(values, shape, &Device::Cpu)?.to_dtype(dtype)
}

/// What a model is built from; it ties the head to the embedding, as the small Qwen2 does.
pub fn weights(dtype: DType) -> VarBuilder<'static> {
    VarBuilder::from_backend(Box::new(Noise), dtype, Device::Cpu)
}

impl SimpleBackend for Noise {
    fn get(&self, shape: Shape, _: &str, init: Init, dtype: DType, device: &Device) -> Result<Tensor> {
        match init {
            // The scale of a norm.
            Init::Const(1.0) => Tensor::ones(shape, dtype, device),
            _ => tensor(shape, dtype),
        }
    }

    fn get_unchecked(&self, name: &str, _: DType, _: &Device) -> Result<Tensor> {
        bail!("{name} was asked for without a shape")
    }

    fn contains_tensor(&self, name: &str) -> bool {
        name != "lm_head.weight"
    }
}
