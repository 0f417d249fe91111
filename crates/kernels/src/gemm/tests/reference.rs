//! The definition of the packed products in f64 and plain loops; the tests compare every instruction set with it.

use super::super::layout::ACT_GROUP;
use super::super::{PackedMatrix, WeightType};
use crate::bf16::{bf16_to_f32, f32_to_bf16};

/// `x` `[t, cols]` as a product with weights of `weight_type` rounds it.
fn round_activations(weight_type: WeightType, x: &[f32], cols: usize) -> Vec<f64> {
    let one = |row: &[f32]| -> Vec<f64> {
        match weight_type {
            WeightType::F32 => row.iter().map(|v| f64::from(*v)).collect(),
            WeightType::Bf16 => row.iter().map(|v| f64::from(bf16_to_f32(f32_to_bf16(*v)))).collect(),
            WeightType::Int8 | WeightType::Int4 => row.chunks(ACT_GROUP).flat_map(quantize).collect(),
        }
    };
    x.chunks(cols).flat_map(one).collect()
}

/// A group of activations, quantized and dequantized.
fn quantize(group: &[f32]) -> Vec<f64> {
    let abs_max = group.iter().fold(0.0f32, |max, v| max.max(v.abs()));
    let inverse = if abs_max > 1e-30 { 127.0 / abs_max } else { 0.0 };
    let scale = f64::from(abs_max / 127.0);
    group.iter().map(|v| f64::from((v * inverse).round_ties_even()) * scale).collect()
}

/// `x W^T + b`, and with every value the sum of the absolute values of its terms.
pub(super) fn matmul(packed: &PackedMatrix, x: &[f32], b: Option<&[f32]>) -> Vec<(f64, f64)> {
    let (rows, cols) = packed.dims();
    let w = packed.unpack(0..rows);
    let x = round_activations(packed.weight_type(), x, cols);
    let one = |x: &[f64], row: usize| {
        let terms = || x.iter().zip(&w[row * cols..]).map(|(x, w)| x * f64::from(*w));
        let bias = b.map_or(0.0, |b| f64::from(b[row]));
        (terms().sum::<f64>() + bias, terms().map(f64::abs).sum::<f64>() + bias.abs())
    };
    x.chunks(cols).flat_map(|x| (0..rows).map(move |row| (x, row))).map(|(x, row)| one(x, row)).collect()
}
