//! One matrix product, checked.

use candle_core::{DType, Device, Tensor};
use zoetrope_kernels::gemm::{PackedMatrix, WeightType, relative_error};
use zoetrope_models::error::ModelError;
use zoetrope_models::weights::Weights;

use super::speed::{Speed, median, median_of_runs};
use crate::error::LabError;

/// Rows, columns and outputs of the 2B encoder's first MLP layer.
const SIZES: (usize, usize, usize) = (1024, 1152, 4304);

/// One product of the size of the 2B encoder's first MLP layer, 1024 x 1152 x 4304, as the model's matrices are held;
/// checked against f64 in some places.
pub fn matmul(weights: &Weights, repeats: usize) -> Result<Speed, LabError> {
    let (t, cols, rows) = SIZES;
    let value = |i: usize| ((i + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 40) as f32 / (1 << 23) as f32 - 1.0;
    let (x, w): (Vec<f32>, Vec<f32>) =
        ((0..t * cols).map(value).collect(), (1..=rows * cols).rev().map(value).collect());
    let (device, dtype) = (weights.device(), weights.held_as().dtype);
    let (weight_type, y, seconds) = if device.is_cpu() {
        let weight_type = weights.held_as().packed.unwrap_or(WeightType::F32);
        let (y, seconds) = packed_product(weight_type, &x, &w, repeats)?;
        (weight_type, y, seconds)
    } else {
        let weight_type = if dtype == DType::F32 { WeightType::F32 } else { WeightType::Bf16 };
        let (y, seconds) = device_product(device, dtype, &x, &w, repeats)?;
        (weight_type, y, seconds)
    };
    if let Err(off) = relative_error(weight_type, &x, &w, cols, &y) {
        let text = format!("the {} product is off by {off:.3}", weight_type.name());
        return Err(ModelError::Bug(text).into());
    }
    let rate = 1.0 / seconds;
    let giga_operations = 2.0 * (t * cols * rows) as f64 * rate / 1e9;
    Ok(Speed { work: "one product".into(), unit: "products/s", rate, giga_operations, giga_bytes: 0.0 })
}

/// The product and its seconds, by our kernels.
fn packed_product(weight_type: WeightType, x: &[f32], w: &[f32], repeats: usize) -> Result<(Vec<f32>, f64), LabError> {
    let (t, cols, rows) = SIZES;
    let packed = PackedMatrix::pack(weight_type, w, rows, cols);
    let mut y = vec![0.0; t * rows];
    let seconds = median(repeats, || {
        packed.matmul(x, t, None, &mut y);
        Ok(())
    })?;
    Ok((y, seconds))
}

/// The product and its seconds, on an accelerator.
fn device_product(
    device: &Device,
    dtype: DType,
    x: &[f32],
    w: &[f32],
    repeats: usize,
) -> Result<(Vec<f32>, f64), LabError> {
    let (t, cols, rows) = SIZES;
    let x = Tensor::from_slice(x, (t, cols), device)?.to_dtype(dtype)?;
    let w = Tensor::from_slice(w, (rows, cols), device)?.to_dtype(dtype)?.t()?;
    let y = x.matmul(&w)?;
    let seconds = median_of_runs(device, repeats, || Ok(x.matmul(&w)?))?;
    Ok((y.to_dtype(DType::F32)?.flatten_all()?.to_vec1()?, seconds))
}
