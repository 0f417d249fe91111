//! What the machine allows at most (the roofline model).

use candle_core::{DType, Device, DeviceLocation, Tensor};
use zoetrope_kernels::gemm::WeightType;
use zoetrope_kernels::roofline as kernel;
use zoetrope_models::weights::Weights;

use super::speed::{Speed, median_of_runs};
use crate::error::LabError;

/// What the machine allows at most.
#[derive(Clone, Debug, serde::Serialize)]
pub struct Roofline {
    /// Where the model computes: "avx2, 8 threads", "CUDA device 0".
    pub place: String,
    /// 1e9 operations per second of the widest product instruction for the model's weights, where there is one; on an
    /// accelerator those of a large product.
    pub giga_operations: Option<f64>,
    /// 1e9 bytes read per second; on an accelerator read and written by a copy.
    pub giga_bytes: f64,
}

impl Roofline {
    /// What share of it `speed` reaches: of the bytes where weights are read for every unit, else of the operations.
    pub fn share(&self, speed: &Speed) -> Option<f64> {
        if speed.giga_bytes > 0.0 {
            return Some(speed.giga_bytes / self.giga_bytes);
        }
        self.giga_operations.map(|most| speed.giga_operations / most)
    }
}

/// Bytes a thread reads when memory is measured: more than caches hold.
const FAR: usize = 256 << 20;

/// Bytes that are copied to measure an accelerator's memory, and the side of the product that measures its operations.
const COPIED: usize = 1 << 30;
const SIDE: usize = 8192;

/// The roofline where the model computes, for what its matrices are held as.
///
/// # Errors
/// When the accelerator fails or has too little memory left to be measured.
pub fn roofline(weights: &Weights) -> Result<Roofline, LabError> {
    let device = weights.device();
    if !device.is_cpu() {
        return accelerator(device, weights.held_as().dtype);
    }
    let weight_type = weights.held_as().packed.unwrap_or(WeightType::F32);
    let threads = rayon::current_num_threads();
    Ok(Roofline {
        place: format!("{}, {threads} threads", instruction_set()),
        giga_operations: kernel::peak_ops_per_second(weight_type, threads).map(|n| n / 1e9),
        giga_bytes: kernel::read_bytes_per_second(threads, FAR) / 1e9,
    })
}

/// The instruction set that kernels use on this machine, in lower case.
pub fn instruction_set() -> String {
    format!("{:?}", zoetrope_kernels::isa::isa()).to_lowercase()
}

fn accelerator(device: &Device, dtype: DType) -> Result<Roofline, LabError> {
    const REPEATS: usize = 3;
    let x = Tensor::ones((SIDE, SIDE), dtype, device)?;
    let product = median_of_runs(device, REPEATS, || Ok(x.matmul(&x)?))?;
    let bytes = Tensor::zeros(COPIED, DType::U8, device)?;
    let copy = median_of_runs(device, REPEATS, || Ok(bytes.force_contiguous()?))?;
    let place = match device.location() {
        DeviceLocation::Cpu => "CPU".to_string(),
        DeviceLocation::Cuda { gpu_id } => format!("CUDA device {gpu_id}"),
        DeviceLocation::Metal { gpu_id } => format!("Metal device {gpu_id}"),
    };
    Ok(Roofline {
        place,
        giga_operations: Some(2.0 * (SIDE as f64).powi(3) / product / 1e9),
        giga_bytes: 2.0 * COPIED as f64 / copy / 1e9,
    })
}
