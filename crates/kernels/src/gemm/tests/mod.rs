//! Tests of the packed products through their public functions, at every instruction set.

mod batch_invariance;
mod reference;

use std::sync::Arc;

use super::layout::NR;
use super::pack_weights::unpack_value;
use super::*;
use crate::elementwise::{activation, norm};
use crate::isa::Isa;

fn wave(n: usize, phase: f32) -> Vec<f32> {
    (0..n).map(|i| (i as f32 * 0.73 + phase).sin() * (1.0 + (i % 7) as f32 * 0.3)).collect()
}

fn sizes() -> Vec<(usize, usize, usize)> {
    let mut all: Vec<_> = (1..=26).map(|t| (t, 33, 40)).collect();
    all.extend((1..=9).map(|cols| (3, 5, cols)));
    all.extend((29..=36).map(|cols| (2, 34, cols)));
    all.extend([(5, 1, 255), (5, 31, 256), (13, 32, 257), (7, 64, 600), (2, 65, 1030), (0, 4, 4), (100, 96, 70)]);
    // Rows so long that they are cut into slices, in every weight_type.
    all.push((38, 3, 11_110));
    all
}

/// Every weight type at every instruction set, at all remainders of rows, lanes, k-steps and groups. f32 sums of `n`
/// terms are within `n` roundings of the sum of the terms' absolute values.
#[test]
fn every_isa_computes_the_definition() {
    for weight_type in WeightType::ALL {
        for (t, rows, cols) in sizes() {
            let (w, x, b) = (wave(rows * cols, 0.2), wave(t * cols, 1.0), wave(rows, 2.0));
            let packed = PackedMatrix::pack(weight_type, &w, rows, cols);
            assert_eq!(packed.bytes().len(), weight_type.bytes(rows, cols));
            for bias in [None, Some(&b[..])] {
                let want = reference::matmul(&packed, &x, bias);
                for isa in Isa::available() {
                    let mut y = vec![f32::NAN; t * rows];
                    packed.matmul_at(isa, &x, t, bias, &mut y);
                    for (at, (y, (want, size))) in y.iter().zip(&want).enumerate() {
                        let bound = size * (cols + 4) as f64 * f64::from(f32::EPSILON);
                        assert!(
                            (f64::from(*y) - want).abs() <= bound,
                            "{weight_type:?} {isa:?} {t} x {cols} x {rows} at {at}: {y} is not {want}"
                        );
                    }
                }
            }
        }
    }
}

#[test]
fn unpacked_weights_are_within_half_a_step_of_the_original() {
    let (rows, cols) = (37, 300);
    let w = wave(rows * cols, 0.4);
    for weight_type in WeightType::ALL {
        let back = PackedMatrix::pack(weight_type, &w, rows, cols).unpack(0..rows);
        for (row, (w, back)) in w.chunks(cols).zip(back.chunks(cols)).enumerate() {
            let most = w.iter().fold(0.0f32, |most, v| most.max(v.abs()));
            for (w, back) in w.iter().zip(back) {
                let bound = match weight_type {
                    WeightType::F32 => 0.0,
                    WeightType::Bf16 => w.abs() / 256.0,
                    // The scale is rounded up to bf16.
                    WeightType::Int8 => most / 127.0 * 0.5001 * (1.0 + 1.0 / 128.0),
                    // Half a step, which is at most a fourteenth of the range, and less than that again where the line
                    // leaves the ends.
                    WeightType::Int4 => most / 7.25 * 1.01,
                };
                assert!((w - back).abs() <= bound, "{weight_type:?} row {row}: {w} {back}");
            }
        }
    }
}

/// A super-block of pseudo-random numbers.
fn super_block(row: usize, block: usize) -> SuperBlock {
    let number = |at: usize, most: usize| ((row * 7919 + block * 104_729 + at * 31 + at * at * 17) % most) as u8;
    SuperBlock {
        scale_factor: 1e-3 * (1.0 + f32::from(number(1, 97))),
        minimum_factor: 1e-3 * f32::from(number(2, 89)),
        scales: std::array::from_fn(|group| number(group, 64)),
        minima: std::array::from_fn(|group| number(group + 9, 256)),
        nibbles: std::array::from_fn(|group| std::array::from_fn(|k| number(32 * group + k, 16))),
    }
}

#[test]
fn super_blocks_are_packed_without_rounding() {
    let (rows, cols) = (37, 768);
    let packed = PackedMatrix::from_super_blocks(rows, cols, super_block);
    assert_eq!((packed.weight_type(), packed.bytes().len()), (WeightType::Int4, WeightType::Int4.bytes(rows, cols)));
    for row in 0..rows {
        let of_block = |block: usize| {
            let b = super_block(row, block);
            let value = move |at: usize| {
                let (scale, minimum) = (f32::from(b.scales[at / 32]), f32::from(b.minima[at / 32]));
                b.scale_factor * scale * f32::from(b.nibbles[at / 32][at % 32]) - b.minimum_factor * minimum
            };
            (0..256).map(value)
        };
        let want: Vec<f32> = (0..cols / 256).flat_map(of_block).collect();
        assert_eq!(packed.unpack(row..row + 1), want, "row {row}");
    }
    // Lanes beyond the last row are zeros.
    let (bytes, panel) = (packed.bytes(), WeightType::Int4.bytes(NR, cols));
    assert!(
        (rows - NR..NR).all(|lane| (0..cols).all(|k| unpack_value(WeightType::Int4, &bytes[panel..], lane, k) == 0.0))
    );
}

#[test]
fn zeros_tiny_values_and_nan_rows() {
    for weight_type in WeightType::ALL {
        for isa in Isa::available() {
            let zero = PackedMatrix::pack(weight_type, &[0.0; 3 * 40], 3, 40);
            let mut y = [f32::NAN; 6];
            zero.matmul_at(isa, &wave(80, 0.0), 2, None, &mut y);
            assert_eq!(y, [0.0; 6], "{weight_type:?} {isa:?}");
            let packed = PackedMatrix::pack(weight_type, &wave(3 * 40, 0.0), 3, 40);
            packed.matmul_at(isa, &[1e-38; 80], 2, None, &mut y);
            assert!(y.iter().all(|y| y.abs() < 1e-35), "{weight_type:?} {isa:?} {y:?}");
            let mut x = wave(80, 0.0);
            x[50] = f32::NAN;
            packed.matmul_at(isa, &x, 2, None, &mut y);
            let (good, bad) = y.split_at(3);
            assert!(
                good.iter().all(|y| y.is_finite()) && bad.iter().all(|y| y.is_nan()),
                "{weight_type:?} {isa:?} {y:?}"
            );
        }
    }
}

#[test]
fn a_large_product_over_the_pool_equals_that_of_one_thread() {
    let (t, rows, cols) = (130, 700, 520);
    let (w, x) = (wave(rows * cols, 0.2), wave(t * cols, 1.0));
    let pool = |threads: usize| rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
    for weight_type in WeightType::ALL {
        let packed = PackedMatrix::pack(weight_type, &w, rows, cols);
        let with = |threads: usize| {
            let mut y = vec![f32::NAN; t * rows];
            pool(threads).install(|| packed.matmul(&x, t, None, &mut y));
            y
        };
        assert_eq!(with(1), with(3), "{weight_type:?}");
    }
}

/// One call with norm, two matrices, bias and residual equals separate operations.
#[test]
fn fused_linear_equals_separate_operations() {
    let (t, rows, cols) = (17, 70, 90);
    let (x, b, residual, norm_weight) =
        (wave(t * cols, 1.0), wave(rows, 2.0), wave(2 * t * rows, 0.7), wave(cols, 0.9));
    let mut normed = vec![0.0; x.len()];
    for weight_type in WeightType::ALL {
        let packed = PackedMatrix::pack(weight_type, &wave(rows * cols, 0.2), rows, cols);
        let all = [LinearWeights { weight: &packed, bias: Some(&b) }, LinearWeights { weight: &packed, bias: None }];
        let pre_norm = [
            PreNorm::None,
            PreNorm::RmsNorm { weight: &norm_weight, eps: 1e-5 },
            PreNorm::LayerNorm { weight: &norm_weight, bias: &norm_weight, eps: 1e-5 },
        ];
        for pre_norm in pre_norm {
            match pre_norm {
                PreNorm::None => normed.copy_from_slice(&x),
                PreNorm::RmsNorm { weight, eps } => norm::rms_norm(&x, weight, eps, &mut normed),
                PreNorm::LayerNorm { weight, bias, eps } => norm::layer_norm(&x, weight, bias, eps, &mut normed),
            }
            let mut want = vec![0.0; 2 * t * rows];
            let (first, second) = want.split_at_mut(t * rows);
            packed.matmul(&normed, t, Some(&b), first);
            packed.matmul(&normed, t, None, second);
            assert_eq!(fused_linear(&all, &x, t, pre_norm, None), want, "{weight_type:?}");
            let sum: Vec<f32> = want.iter().zip(&residual).map(|(a, b)| a + b).collect();
            assert_eq!(fused_linear(&all, &x, t, pre_norm, Some(&residual)), sum, "{weight_type:?}");
        }
    }
}

/// Neighbors of one type are multiplied together; the order of the results is that of the matrices.
#[test]
fn matrices_of_several_types_equal_separate_products() {
    let (t, rows, cols) = (9, 45, 70);
    let (x, b, norm_weight) = (wave(t * cols, 1.0), wave(rows, 2.0), wave(cols, 0.9));
    let types = [WeightType::Int4, WeightType::Int4, WeightType::Int8, WeightType::F32, WeightType::Int4];
    let packed: Vec<_> = types
        .iter()
        .zip(1..)
        .map(|(kind, phase)| PackedMatrix::pack(*kind, &wave(rows * cols, phase as f32), rows, cols))
        .collect();
    let all: Vec<_> = packed.iter().map(|weight| LinearWeights { weight, bias: Some(&b) }).collect();
    let residual = wave(all.len() * t * rows, 0.7);
    let norm = PreNorm::RmsNorm { weight: &norm_weight, eps: 1e-5 };
    let one = |(linear, residual)| fused_linear(&[linear], &x, t, norm, Some(residual));
    let want: Vec<f32> = all.iter().copied().zip(residual.chunks_exact(t * rows)).flat_map(one).collect();
    assert_eq!(fused_linear(&all, &x, t, norm, Some(&residual)), want);
}

#[test]
#[should_panic(expected = "size of the norm")]
fn a_norm_of_another_width_is_refused() {
    let packed = PackedMatrix::pack(WeightType::Int8, &wave(64, 0.2), 2, 32);
    let pre_norm = PreNorm::RmsNorm { weight: &[1.0; 31], eps: 1e-5 };
    fused_linear(&[LinearWeights { weight: &packed, bias: None }], &[0.0; 32], 1, pre_norm, None);
}

/// The hidden values of both ways are rounded alike, except where f32 rounding puts them on different sides of a half
/// step; hence the tolerance relative to the largest value.
#[test]
fn fused_mlp_equals_separate_operations() {
    for (t, hidden, cols, rows) in [(1, 300, 90, 70), (17, 130, 33, 40), (100, 257, 128, 64)] {
        let (x, b1, b2) = (wave(t * cols, 1.0), wave(hidden, 2.0), wave(rows, 0.3));
        let (w1, w3, w2) = (wave(hidden * cols, 0.2), wave(hidden * cols, 1.2), wave(hidden * rows, 2.2));
        for weight_type in WeightType::ALL {
            let [p1, p3] = [&w1, &w3].map(|w| PackedMatrix::pack(weight_type, w, hidden, cols));
            let p2 = PackedMatrix::pack(weight_type, &w2, rows, hidden);
            let [up, gate] =
                [LinearWeights { weight: &p3, bias: None }, LinearWeights { weight: &p1, bias: Some(&b1) }];
            let second = LinearWeights { weight: &p2, bias: Some(&b2) };
            for mlp_activation in [MlpActivation::GeluTanh, MlpActivation::GeluErf, MlpActivation::SwiGlu] {
                let first = if mlp_activation == MlpActivation::SwiGlu { vec![gate, up] } else { vec![gate] };
                let values = fused_linear(&first, &x, t, PreNorm::None, None);
                let (g, u) = values.split_at(t * hidden);
                let mut y = g.to_vec();
                match mlp_activation {
                    MlpActivation::GeluTanh => activation::gelu_tanh(g, &mut y),
                    MlpActivation::GeluErf => activation::gelu_erf(g, &mut y),
                    MlpActivation::SwiGlu => activation::swiglu(g, u, &mut y),
                }
                let residual = wave(t * rows, 0.0);
                let want = fused_linear(&[second], &y, t, PreNorm::None, Some(&residual));
                let got = fused_mlp(&first, mlp_activation, second, &x, t, PreNorm::None, Some(&residual));
                let most = want.iter().fold(0.0f32, |most, v| most.max(v.abs()));
                let off = got.iter().zip(&want).fold(0.0f32, |off, (a, b)| off.max((a - b).abs()));
                let bound = if weight_type == WeightType::F32 { 1e-5 } else { 1e-3 };
                assert!(
                    off <= bound * most,
                    "{weight_type:?} {mlp_activation:?} {t} x {cols} x {hidden}: {off} of {most}"
                );
            }
        }
    }
}

#[test]
fn a_matrix_from_packed_bytes_is_the_packed_one_and_a_wrong_range_is_refused() {
    let (rows, cols) = (45, 70);
    for weight_type in WeightType::ALL {
        let packed = PackedMatrix::pack(weight_type, &wave(rows * cols, 0.1), rows, cols);
        let mut bytes = vec![7; 64];
        bytes.extend(packed.bytes());
        let end = bytes.len();
        let bytes: SharedBytes = Arc::new(bytes);
        let shared = PackedMatrix::from_packed(weight_type, rows, cols, Arc::clone(&bytes), 64..end).unwrap();
        assert_eq!(shared.unpack(0..rows), packed.unpack(0..rows));
        assert!(PackedMatrix::from_packed(weight_type, rows + NR, cols, Arc::clone(&bytes), 64..end).is_none());
        assert!(PackedMatrix::from_packed(weight_type, rows, cols, bytes, 65..end + 1).is_none());
    }
}

#[test]
fn the_input_gradient_uses_the_unpacked_weights() {
    let (t, rows, cols) = (5, 300, 41);
    let dy = wave(t * rows, 0.3);
    for weight_type in WeightType::ALL {
        let packed = PackedMatrix::pack(weight_type, &wave(rows * cols, 0.2), rows, cols);
        let w = packed.unpack(0..rows);
        let mut dx = vec![f32::NAN; t * cols];
        packed.matmul_backward_input(&dy, t, &mut dx);
        for (at, dx) in dx.iter().enumerate() {
            let (r, k) = (at / cols, at % cols);
            let terms = || (0..rows).map(|o| f64::from(dy[r * rows + o]) * f64::from(w[o * cols + k]));
            let bound = terms().map(f64::abs).sum::<f64>() * rows as f64 * f64::from(f32::EPSILON);
            assert!((f64::from(*dx) - terms().sum::<f64>()).abs() <= bound, "{weight_type:?} at {at}");
        }
    }
}
