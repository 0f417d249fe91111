//! What the packed products mean, in f64 and plain loops; the tests compare every level with it.

use super::layout::{bf16, from_bf16};
use super::{CHUNK, Kind, Packed};

/// `x` as the product of `kind` sees it.
pub(super) fn seen(kind: Kind, x: &[f32], cols: usize) -> Vec<f64> {
    let one = |row: &[f32]| -> Vec<f64> {
        match kind {
            Kind::F32 => row.iter().map(|v| f64::from(*v)).collect(),
            Kind::Bf16 => row.iter().map(|v| f64::from(from_bf16(bf16(*v)))).collect(),
            Kind::Int8 | Kind::Int4 => row.chunks(CHUNK).flat_map(whole).collect(),
        }
    };
    x.chunks(cols).flat_map(one).collect()
}

fn whole(values: &[f32]) -> Vec<f64> {
    let most = values.iter().fold(0.0f32, |most, v| most.max(v.abs()));
    let inverse = if most > 1e-30 { 127.0 / most } else { 0.0 };
    let scale = f64::from(most / 127.0);
    values.iter().map(|v| f64::from((v * inverse).round_ties_even()) * scale).collect()
}

/// `x W^T + b`, and beside every value the sum of the sizes of its terms.
pub(super) fn multiply(packed: &Packed, x: &[f32], b: Option<&[f32]>) -> Vec<(f64, f64)> {
    let (rows, cols) = packed.dims();
    let w = packed.unpack(0..rows);
    let x = seen(packed.kind(), x, cols);
    let one = |x: &[f64], row: usize| {
        let terms = || x.iter().zip(&w[row * cols..]).map(|(x, w)| x * f64::from(*w));
        let bias = b.map_or(0.0, |b| f64::from(b[row]));
        (terms().sum::<f64>() + bias, terms().map(f64::abs).sum::<f64>() + bias.abs())
    };
    x.chunks(cols).flat_map(|x| (0..rows).map(move |row| (x, row))).map(|(x, row)| one(x, row)).collect()
}
