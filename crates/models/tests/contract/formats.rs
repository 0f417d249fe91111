//! The number formats that models and caches are tested in, and how far two ways to compute the same may differ.

use candle_core::DType;
use zoetrope_models::contract::model_info::ModelInfo;
use zoetrope_models::kv::KvDtype;
use zoetrope_models::weights::{Precision, WeightType};

use crate::compare::Tolerance;
use crate::device::{device, kernels};

/// How weights are held.
#[derive(Clone, Copy, Debug)]
pub(crate) struct WeightFormat {
    pub(crate) precision: Precision,
    /// Half the distance of neighboring values of activations, as a share of their size.
    rounding: f64,
}

/// What inference is tested in on this device.
pub(crate) fn weight_formats() -> Vec<WeightFormat> {
    let format = |precision: Precision, rounding: f64| WeightFormat { precision, rounding };
    let half = if device().is_cpu() { (DType::F16, 2f64.powi(-11)) } else { (DType::BF16, 2f64.powi(-9)) };
    if !kernels() {
        // candle has no bf16 products on the CPU.
        return vec![f32_format(), format(half.0.into(), half.1)];
    }
    // Activations before products with integers are int8: half of 1/127 of the largest of a group, which is about three
    // times the usual size.
    let int8 = 1.5 / 127.0;
    vec![
        f32_format(),
        format(Precision::Packed(WeightType::Bf16), 2f64.powi(-9)),
        format(Precision::Packed(WeightType::Int8), int8),
        format(Precision::Packed(WeightType::Int4), int8),
    ]
}

/// How far another order of its terms moves a sum, as a share of its size: n roundings of f32 for n products.
const ORDER: f64 = 512.0 / (1u64 << 24) as f64;

/// Plain f32.
pub(crate) fn f32_format() -> WeightFormat {
    WeightFormat { precision: DType::F32.into(), rounding: 2f64.powi(-24) }
}

/// What KV caches are tested in on this device.
pub(crate) fn kv_dtypes() -> Vec<KvDtype> {
    match kernels() {
        true => vec![DType::F32.into(), DType::BF16.into(), KvDtype::Int8],
        false => vec![DType::F32.into(), DType::BF16.into()],
    }
}

/// Half the distance of neighboring values of keys and values, as a share of their size.
fn kv_rounding(dtype: KvDtype) -> f64 {
    match dtype {
        KvDtype::Int8 => 1.5 / 127.0,
        KvDtype::Float(DType::BF16) => 2f64.powi(-9),
        KvDtype::Float(_) => 2f64.powi(-24),
    }
}

impl WeightFormat {
    /// What two ways may differ by that our kernels give the same bits: packed weights and attention in one form.
    /// Elsewhere as [`WeightFormat::other_order`].
    pub(crate) fn same_kernels(&self, info: &ModelInfo) -> Tolerance {
        if kernels() { Tolerance::Exact } else { self.other_order(info) }
    }

    /// As [`WeightFormat::same_kernels`] over a cache of `dtype`.
    pub(crate) fn same_kernels_over(&self, info: &ModelInfo, dtype: KvDtype) -> Tolerance {
        if kernels() { Tolerance::Exact } else { self.other_order_over(info, dtype) }
    }

    /// What logits may differ by when sums run in another order. An order moves a sum of n products by at most n
    /// roundings of f32, and then the rounding of activations may fall to the other side. That happens in each of about
    /// five products or attentions of a layer, and errors of all layers add.
    pub(crate) fn other_order(&self, info: &ModelInfo) -> Tolerance {
        Tolerance::Relative(stages(info) * (ORDER + self.rounding))
    }

    /// As [`WeightFormat::other_order`], over a cache of `dtype`: keys and values, too, may be rounded to the other side.
    /// That happens to the share of them that lies as near to a border as the order moves them, each of which moves by
    /// the distance of neighboring values.
    pub(crate) fn other_order_over(&self, info: &ModelInfo, dtype: KvDtype) -> Tolerance {
        let Tolerance::Relative(order) = self.other_order(info) else { return Tolerance::Exact };
        Tolerance::Relative(order + stages(info) * (ORDER * 2.0 * kv_rounding(dtype)).sqrt())
    }

    /// What logits may differ by when pictures, too, are computed in another order: the encoder has about as many
    /// stages as the decoder, and the projector fewer.
    pub(crate) fn through_everything(&self, info: &ModelInfo) -> Tolerance {
        match self.other_order(info) {
            Tolerance::Relative(decoder) => Tolerance::Relative(3.0 * decoder),
            exact => exact,
        }
    }

    /// What logits may differ by when keys and values are kept as `dtype` beside those in f32.
    pub(crate) fn other_kv(&self, info: &ModelInfo, dtype: KvDtype) -> Tolerance {
        let Tolerance::Relative(order) = self.other_order(info) else { return Tolerance::Exact };
        Tolerance::Relative(order + stages(info) * kv_rounding(dtype))
    }
}

/// Places of a decoder where values are rounded one after the other.
fn stages(info: &ModelInfo) -> f64 {
    (5 * info.kv.layers + 1) as f64
}
