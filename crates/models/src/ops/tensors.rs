//! Values of tensors for the kernels.

use std::sync::OnceLock;

use candle_core::{CpuStorage, DType, Layout, Result, Storage, Tensor, bail};

/// Whether our CPU kernels compute on `device`; elsewhere candle's own operations do. `ZOETROPE_OPS=candle` sends the
/// CPU through candle's operations, too, so that the path of accelerators is tested without one.
pub(crate) fn kernels_serve(device: &candle_core::Device) -> bool {
    static CANDLE: OnceLock<bool> = OnceLock::new();
    let candle = CANDLE.get_or_init(|| std::env::var("ZOETROPE_OPS").is_ok_and(|value| value == "candle"));
    device.is_cpu() && !candle
}

/// Whether our kernels compute on `x`.
pub(super) fn use_kernels(x: &Tensor) -> bool {
    kernels_serve(x.device())
}

/// Whether a gradient flows through one of `tensors`.
pub(super) fn is_tracked(tensors: &[&Tensor]) -> bool {
    tensors.iter().any(|tensor| tensor.track_op())
}

/// The tensor as contiguous f32.
pub(crate) fn contiguous_f32(x: &Tensor) -> Result<Tensor> {
    x.to_dtype(DType::F32)?.contiguous()
}

/// Computes `f` in f32 on contiguous values and converts back: our kernels know no other type of activations.
pub(super) fn in_f32(x: &Tensor, f: impl FnOnce(&Tensor) -> Result<Tensor>) -> Result<Tensor> {
    let dtype = x.dtype();
    f(&contiguous_f32(x)?)?.to_dtype(dtype)
}

/// The values of a contiguous f32 storage.
pub(super) fn f32_slice<'a>(storage: &'a CpuStorage, layout: &Layout) -> Result<&'a [f32]> {
    match layout.contiguous_offsets() {
        Some((start, end)) => Ok(&storage.as_slice::<f32>()?[start..end]),
        None => bail!("kernel input must be contiguous"),
    }
}

/// Runs `f` on the values of CPU tensors as f32.
pub(crate) fn with_values<R>(tensors: &[&Tensor], f: impl FnOnce(&[&[f32]]) -> R) -> Result<R> {
    let tensors = tensors.iter().map(|t| contiguous_f32(t)).collect::<Result<Vec<_>>>()?;
    let guards: Vec<_> = tensors.iter().map(|t| t.storage_and_layout()).collect();
    let mut slices = Vec::with_capacity(guards.len());
    for (storage, layout) in &guards {
        match &**storage {
            Storage::Cpu(storage) => slices.push(f32_slice(storage, layout)?),
            _ => bail!("kernels read CPU tensors only"),
        }
    }
    Ok(f(&slices))
}

/// A tensor of `values` with the shape and device of `like`.
pub(super) fn tensor_like(values: Vec<f32>, like: &Tensor) -> Result<Tensor> {
    Tensor::from_vec(values, like.shape(), like.device())
}
