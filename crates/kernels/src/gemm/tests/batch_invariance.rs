//! Batch invariance: a row of the result has the same bits whatever other rows are in the call.

use super::super::fused::{fused_linear_at, fused_mlp_at};
use super::super::*;
use super::wave;
use crate::isa::Isa;

/// Most rows of `x` in a call.
const MAX_ROWS: usize = 40;

/// All pairs of an instruction set and a weight type.
fn isas_and_types() -> impl Iterator<Item = (Isa, WeightType)> {
    Isa::available().into_iter().flat_map(|isa| WeightType::ALL.map(|weight_type| (isa, weight_type)))
}

/// The numbers of rows of the calls: all, or some that are cut into blocks of every height when rows are long.
fn row_counts(cols: usize) -> Vec<usize> {
    if cols < 2000 { (1..=MAX_ROWS).collect() } else { vec![2, 6, 7, 13, 24, 38, MAX_ROWS] }
}

/// Checks that `run(x, t)`, whose result has `widths` values a row in consecutive matrices, gives for the first `t`
/// rows of `x` what it gives for each row alone, for all `counts` of rows.
fn check(what: &str, x: &[f32], widths: &[usize], counts: &[usize], run: impl Fn(&[f32], usize) -> Vec<f32>) {
    let cols = x.len() / MAX_ROWS;
    let alone: Vec<Vec<f32>> = x.chunks(cols).map(|row| run(row, 1)).collect();
    for &t in counts {
        let mut rest = &run(&x[..t * cols], t)[..];
        let mut first = 0;
        for width in widths {
            let (matrix, others) = rest.split_at(t * width);
            for (r, row) in matrix.chunks(*width).enumerate() {
                let want = &alone[r][first..first + width];
                let same = row.iter().zip(want).all(|(a, b)| a.to_bits() == b.to_bits());
                assert!(same, "{what}: row {r} of {t}: {row:?} alone {want:?}");
            }
            (rest, first) = (others, first + width);
        }
    }
}

#[test]
fn a_row_of_fused_linear_does_not_depend_on_the_other_rows() {
    // The last width is cut into slices when there are many rows.
    for (rows, cols) in [(70, 90), (33, 1030), (3, 11_110)] {
        let (w, x, b, norm) = (wave(rows * cols, 0.2), wave(MAX_ROWS * cols, 1.0), wave(rows, 2.0), wave(cols, 0.9));
        for (isa, weight_type) in isas_and_types() {
            let packed = PackedMatrix::pack(weight_type, &w, rows, cols);
            let all =
                [LinearWeights { weight: &packed, bias: Some(&b) }, LinearWeights { weight: &packed, bias: None }];
            for pre_norm in [
                PreNorm::None,
                PreNorm::RmsNorm { weight: &norm, eps: 1e-5 },
                PreNorm::LayerNorm { weight: &norm, bias: &norm, eps: 1e-5 },
            ] {
                check(
                    &format!("{isa:?} {weight_type:?} {cols} columns, {pre_norm:?}"),
                    &x,
                    &[rows, rows],
                    &row_counts(cols),
                    |x, t| fused_linear_at(isa, &all, x, t, pre_norm, None),
                );
            }
        }
    }
}

#[test]
fn a_row_of_fused_mlp_does_not_depend_on_the_other_rows() {
    // The second product of the last case is cut into slices when there are many rows.
    for (cols, hidden, rows) in [(90, 300, 70), (5, 11_110, 3)] {
        let (x, norm) = (wave(MAX_ROWS * cols, 1.0), wave(cols, 0.9));
        let (w1, w3, w2) = (wave(hidden * cols, 0.2), wave(hidden * cols, 1.2), wave(hidden * rows, 2.2));
        for (isa, weight_type) in isas_and_types() {
            let [gate, up] = [&w1, &w3].map(|w| PackedMatrix::pack(weight_type, w, hidden, cols));
            let down = PackedMatrix::pack(weight_type, &w2, rows, hidden);
            let [gate, up, down] = [&gate, &up, &down].map(|weight| LinearWeights { weight, bias: None });
            for activation in [MlpActivation::GeluTanh, MlpActivation::GeluErf, MlpActivation::SwiGlu] {
                let first = if activation == MlpActivation::SwiGlu { vec![gate, up] } else { vec![gate] };
                check(
                    &format!("{isa:?} {weight_type:?} {hidden} hidden, {activation:?}"),
                    &x,
                    &[rows],
                    &row_counts(hidden),
                    |x, t| {
                        let pre_norm = PreNorm::RmsNorm { weight: &norm, eps: 1e-5 };
                        fused_mlp_at(isa, &first, activation, down, x, t, pre_norm, None)
                    },
                );
            }
        }
    }
}
