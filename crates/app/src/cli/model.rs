//! Which model, where it runs and what its numbers are held as.

use std::ffi::{OsStr, OsString};

use candle_core::{DType, Device};
use clap::{Args, ValueEnum};
use zoetrope_models::kv::KvDtype;
use zoetrope_models::weights::{LoadOptions, Precision, WeightType};

use crate::failure::Failure;

/// Which model.
#[derive(Args, Debug)]
pub(crate) struct ModelArgs {
    /// A model folder or a name on the Hugging Face hub (see `pull`) [default: the embedded model]
    #[arg(long, short, value_name = "FOLDER|NAME", help_heading = "Model")]
    pub(crate) model: Option<OsString>,
    #[command(flatten)]
    pub(crate) base: BaseArgs,
    /// What matrices are held as and multiplied in
    #[arg(long, value_enum, default_value = "auto", help_heading = "Model")]
    pub(crate) dtype: WeightDtype,
    /// What keys and values, the memory that grows with prompt and answer, are held as
    #[arg(long, value_enum, default_value = "auto", help_heading = "Model")]
    pub(crate) kv_cache_dtype: KvCacheDtype,
    /// Where the model runs: cpu, cuda, cuda:N or metal (cuda and metal need a build with that feature)
    #[arg(long, value_name = "DEVICE", default_value = "cpu", value_parser = device_name, help_heading = "Model")]
    pub(crate) device: DeviceName,
}

/// What a model lies over.
#[derive(Args, Debug)]
pub(crate) struct BaseArgs {
    /// The model that an adapter (LoRA) or the files of a training stage were made from: what the folder lacks is taken
    /// from it
    #[arg(long, value_name = "FOLDER|NAME", help_heading = "Model")]
    pub(crate) base: Option<OsString>,
    /// An adapter (LoRA) to use with the model: what `train` or PEFT has written
    #[arg(long, value_name = "FOLDER|NAME", help_heading = "Model")]
    pub(crate) adapter: Option<OsString>,
}

/// What matrices are held as.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum WeightDtype {
    /// As a converted model has them; else int8 on a CPU (f32 for a model under 100 MB) and bf16 elsewhere
    Auto,
    /// 32-bit float
    F32,
    /// bfloat16, sums in f32
    Bf16,
    /// 8-bit integers with scales, sums exact
    Int8,
    /// 4-bit integers with a scale for 32
    Int4,
}

/// What keys and values are held as.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum KvCacheDtype {
    /// bf16 beside matrices held as bf16, int8 or int4; else f32
    Auto,
    /// 32-bit float
    F32,
    /// bfloat16
    Bf16,
    /// 8-bit integers with a scale for each token and head: half of bf16, and coarser (see docs/benchmarks.md)
    Int8,
}

/// What matrices of a converted model are packed as.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum PackedDtype {
    /// bfloat16
    Bf16,
    /// 8-bit integers with a scale a row
    Int8,
    /// 4-bit integers with a scale for 32
    Int4,
}

/// A device that a model can run on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum DeviceName {
    /// This machine's processor.
    Cpu,
    /// An NVIDIA GPU, by its number.
    Cuda(usize),
    /// The GPU of an Apple machine.
    Metal,
}

fn device_name(text: &str) -> Result<DeviceName, String> {
    match text.split_once(':') {
        None if text == "cpu" => Ok(DeviceName::Cpu),
        None if text == "cuda" => Ok(DeviceName::Cuda(0)),
        None if text == "metal" => Ok(DeviceName::Metal),
        Some(("cuda", number)) => {
            number.parse().map(DeviceName::Cuda).map_err(|_| format!("{number:?} is not the number of a GPU"))
        }
        _ => Err("neither cpu, cuda, cuda:N nor metal".to_string()),
    }
}

impl DeviceName {
    /// Opens the device.
    pub(crate) fn open(self) -> Result<Device, Failure> {
        let (opened, feature, built) = match self {
            DeviceName::Cpu => return Ok(Device::Cpu),
            DeviceName::Cuda(number) => (Device::new_cuda(number), "cuda", cfg!(feature = "cuda")),
            DeviceName::Metal => (Device::new_metal(0), "metal", cfg!(feature = "metal")),
        };
        opened.map_err(|error| match built {
            true => Failure::Error(
                format!("--device {feature}: {}", without_backtrace(&error)),
                Some("check that the driver is installed and sees the GPU, or use --device cpu".to_string()),
            ),
            false => Failure::Error(
                format!("--device {feature}: this program was built without {feature}"),
                Some(format!("build it with `--features {feature}`, or use --device cpu")),
            ),
        })
    }
}

/// What went wrong. Errors of candle carry the stack of the program where `RUST_BACKTRACE` is set.
fn without_backtrace(error: &candle_core::Error) -> String {
    match error {
        candle_core::Error::WithBacktrace { inner, .. } => without_backtrace(inner),
        error => error.to_string(),
    }
}

impl ModelArgs {
    /// The model's name and that of its base.
    pub(crate) fn source(&self) -> ModelSource<'_> {
        self.base.under(self.model.as_deref())
    }

    /// How the weights are loaded.
    pub(crate) fn load_options(&self) -> Result<LoadOptions, Failure> {
        let device = self.device.open()?;
        let precision = self.dtype.precision(&device);
        Ok(LoadOptions { kv_dtype: self.kv_cache_dtype.kv_dtype(), device, ..LoadOptions::cpu(precision) })
    }
}

/// A model by its name, and the model that it lies over.
#[derive(Clone, Copy, Debug)]
pub(crate) struct ModelSource<'a> {
    /// A folder or a name on the hub; the embedded model for `None`.
    pub(crate) name: Option<&'a OsStr>,
    /// What it lies over: a folder or a name on the hub.
    pub(crate) base: Option<&'a OsStr>,
    /// What lies over it: a folder or a name on the hub.
    pub(crate) adapter: Option<&'a OsStr>,
}

impl BaseArgs {
    /// The model `name` over this base, with this adapter.
    pub(crate) fn under<'a>(&'a self, name: Option<&'a OsStr>) -> ModelSource<'a> {
        ModelSource { name, base: self.base.as_deref(), adapter: self.adapter.as_deref() }
    }
}

impl WeightDtype {
    fn precision(self, device: &Device) -> Precision {
        match self {
            WeightDtype::Auto => Precision::Auto,
            WeightDtype::F32 => DType::F32.into(),
            WeightDtype::Bf16 if !device.is_cpu() => DType::BF16.into(),
            WeightDtype::Bf16 => Precision::Packed(WeightType::Bf16),
            WeightDtype::Int8 => Precision::Packed(WeightType::Int8),
            WeightDtype::Int4 => Precision::Packed(WeightType::Int4),
        }
    }
}

impl KvCacheDtype {
    /// `None` leaves it to the model.
    fn kv_dtype(self) -> Option<KvDtype> {
        match self {
            KvCacheDtype::Auto => None,
            KvCacheDtype::F32 => Some(DType::F32.into()),
            KvCacheDtype::Bf16 => Some(DType::BF16.into()),
            KvCacheDtype::Int8 => Some(KvDtype::Int8),
        }
    }
}

impl From<PackedDtype> for WeightType {
    fn from(dtype: PackedDtype) -> Self {
        match dtype {
            PackedDtype::Bf16 => WeightType::Bf16,
            PackedDtype::Int8 => WeightType::Int8,
            PackedDtype::Int4 => WeightType::Int4,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn devices_by_name() {
        let known = [("cpu", DeviceName::Cpu), ("cuda", DeviceName::Cuda(0)), ("cuda:3", DeviceName::Cuda(3))];
        for (text, device) in known {
            assert_eq!(device_name(text), Ok(device));
        }
        for wrong in ["", "gpu", "cuda:", "cuda:x", "metal:0"] {
            assert!(device_name(wrong).is_err(), "{wrong}");
        }
    }
}
