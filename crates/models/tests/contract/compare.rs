//! Comparisons that tell the first value which differs.

use candle_core::{DType, Device, Tensor};

/// How far values may differ.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Tolerance {
    /// Not by a bit.
    Exact,
    /// The differences of each row by this share of the root mean square of all wanted values, in the root mean square
    /// too; one value by four times as much, which is the largest of ten thousand normal ones.
    Relative(f64),
}

/// All values in f32.
pub(crate) fn values(x: &Tensor) -> Vec<f32> {
    let x = x.to_device(&Device::Cpu).unwrap().to_dtype(DType::F32).unwrap();
    x.flatten_all().unwrap().to_vec1().unwrap()
}

/// Fails unless `ours` is `want` within `tolerance`; `what` names family and case.
pub(crate) fn same(what: &str, ours: &Tensor, want: &Tensor, tolerance: Tolerance) {
    assert_eq!(ours.dims(), want.dims(), "{what}: shapes differ");
    let columns = want.dims().last().copied().unwrap_or(1).max(1);
    let (ours, want) = (values(ours), values(want));
    let size = root_mean_square(&want);
    let differences: Vec<f32> = ours.iter().zip(&want).map(|(ours, want)| ours - want).collect();
    let row_off = |at: usize| root_mean_square(&differences[at / columns * columns..][..columns]);
    let differs = |&at: &usize| match tolerance {
        Tolerance::Exact => ours[at].to_bits() != want[at].to_bits(),
        // A NaN differs from everything.
        Tolerance::Relative(share) => {
            let fits = f64::from(differences[at].abs()) <= 4.0 * share * size && row_off(at) <= share * size;
            !fits
        }
    };
    let wrong: Vec<usize> = (0..want.len()).filter(differs).collect();
    if let Some(&first) = wrong.first() {
        let (row, column) = (first / columns, first % columns);
        let largest = differences.iter().map(|difference| difference.abs()).fold(0.0, f32::max);
        panic!(
            "{what}: {} of {} values differ, the first in row {row}, column {column}: {} instead of {} ({tolerance:?}; \
             root mean square {size}, of the differences {}, largest {largest})",
            wrong.len(),
            want.len(),
            ours[first],
            want[first],
            root_mean_square(&differences)
        );
    }
}

/// Fails when a tensor has a value that is no number.
pub(crate) fn finite(what: &str, x: &Tensor) {
    let bad = values(x).iter().position(|value| !value.is_finite());
    assert!(bad.is_none(), "{what}: value {bad:?} is not finite");
}

/// Size of some values.
pub(crate) fn root_mean_square(values: &[f32]) -> f64 {
    let squares: f64 = values.iter().map(|value| f64::from(*value).powi(2)).sum();
    (squares / values.len().max(1) as f64).sqrt()
}
