use super::*;

fn wave(n: usize, phase: f32) -> Vec<f32> {
    (0..n).map(|i| (i as f32 * 0.73 + phase).sin() * (1.0 + (i % 7) as f32 * 0.3)).collect()
}

fn sizes() -> Vec<(usize, usize, usize)> {
    let mut all: Vec<_> = (1..=26).map(|t| (t, 33, 40)).collect();
    all.extend((1..=9).map(|cols| (3, 5, cols)));
    all.extend((29..=36).map(|cols| (2, 34, cols)));
    all.extend([(5, 1, 255), (5, 31, 256), (13, 32, 257), (7, 64, 600), (2, 65, 1030), (0, 4, 4), (100, 96, 70)]);
    // Rows so long that they are cut into slices, in every kind.
    all.push((38, 3, 11_110));
    all
}

/// Every kind at every level, at all remainders of rows, lanes, steps, groups and chunks. f32 sums of `n` terms are
/// within `n` roundings of the sum of the terms' sizes.
#[test]
fn every_level_computes_the_definition() {
    for kind in Kind::ALL {
        for (t, rows, cols) in sizes() {
            let (w, x, b) = (wave(rows * cols, 0.2), wave(t * cols, 1.0), wave(rows, 2.0));
            let packed = Packed::pack(kind, &w, rows, cols);
            assert_eq!(packed.bytes().len(), kind.bytes(rows, cols));
            for bias in [None, Some(&b[..])] {
                let want = reference::multiply(&packed, &x, bias);
                for level in Level::available() {
                    let mut y = vec![f32::NAN; t * rows];
                    packed.multiply_at(level, &x, t, bias, &mut y);
                    for (at, (y, (want, size))) in y.iter().zip(&want).enumerate() {
                        let bound = size * (cols + 4) as f64 * f64::from(f32::EPSILON);
                        assert!(
                            (f64::from(*y) - want).abs() <= bound,
                            "{kind:?} {level:?} {t} x {cols} x {rows} at {at}: {y} is not {want}"
                        );
                    }
                }
            }
        }
    }
}

#[test]
fn what_is_stored_is_as_near_as_its_kind_allows() {
    let (rows, cols) = (37, 300);
    let w = wave(rows * cols, 0.4);
    for kind in Kind::ALL {
        let back = Packed::pack(kind, &w, rows, cols).unpack(0..rows);
        for (row, (w, back)) in w.chunks(cols).zip(back.chunks(cols)).enumerate() {
            let most = w.iter().fold(0.0f32, |most, v| most.max(v.abs()));
            for (w, back) in w.iter().zip(back) {
                let bound = match kind {
                    Kind::F32 => 0.0,
                    Kind::Bf16 => w.abs() / 256.0,
                    // The scale is rounded up to bf16.
                    Kind::Int8 => most / 127.0 * 0.5001 * (1.0 + 1.0 / 128.0),
                    // One step of at most `most / 7.25`; the far end may be cut by one.
                    Kind::Int4 => most / 7.25 * 1.01,
                };
                assert!((w - back).abs() <= bound, "{kind:?} row {row}: {w} {back}");
            }
        }
    }
}

#[test]
fn zeros_tiny_values_and_values_that_are_no_numbers() {
    for kind in Kind::ALL {
        for level in Level::available() {
            let zero = Packed::pack(kind, &[0.0; 3 * 40], 3, 40);
            let mut y = [f32::NAN; 6];
            zero.multiply_at(level, &wave(80, 0.0), 2, None, &mut y);
            assert_eq!(y, [0.0; 6], "{kind:?} {level:?}");
            let packed = Packed::pack(kind, &wave(3 * 40, 0.0), 3, 40);
            packed.multiply_at(level, &[1e-38; 80], 2, None, &mut y);
            assert!(y.iter().all(|y| y.abs() < 1e-35), "{kind:?} {level:?} {y:?}");
            let mut x = wave(80, 0.0);
            x[50] = f32::NAN;
            packed.multiply_at(level, &x, 2, None, &mut y);
            let (good, bad) = y.split_at(3);
            assert!(good.iter().all(|y| y.is_finite()) && bad.iter().all(|y| y.is_nan()), "{kind:?} {level:?} {y:?}");
        }
    }
}

#[test]
fn a_large_product_over_the_pool_equals_that_of_one_thread() {
    let (t, rows, cols) = (130, 700, 520);
    let (w, x) = (wave(rows * cols, 0.2), wave(t * cols, 1.0));
    let pool = |threads: usize| rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
    for kind in Kind::ALL {
        let packed = Packed::pack(kind, &w, rows, cols);
        let with = |threads: usize| {
            let mut y = vec![f32::NAN; t * rows];
            pool(threads).install(|| packed.multiply(&x, t, None, &mut y));
            y
        };
        assert_eq!(with(1), with(3), "{kind:?}");
    }
}

/// What the op computes in one pass, and the same in steps.
#[test]
fn what_comes_before_and_after_a_product_is_the_same_in_one_pass() {
    let (t, rows, cols) = (17, 70, 90);
    let (x, b, add, norm) = (wave(t * cols, 1.0), wave(rows, 2.0), wave(2 * t * rows, 0.7), wave(cols, 0.9));
    let mut normed = vec![0.0; x.len()];
    for kind in Kind::ALL {
        let packed = Packed::pack(kind, &wave(rows * cols, 0.2), rows, cols);
        let all = [Affine { weight: &packed, bias: Some(&b) }, Affine { weight: &packed, bias: None }];
        let before = [
            Before::Keep,
            Before::RmsNorm { weight: &norm, eps: 1e-5 },
            Before::LayerNorm { weight: &norm, bias: &norm, eps: 1e-5 },
        ];
        for before in before {
            match before {
                Before::Keep => normed.copy_from_slice(&x),
                Before::RmsNorm { weight, eps } => crate::norm::rms_norm(&x, weight, eps, &mut normed),
                Before::LayerNorm { weight, bias, eps } => crate::norm::layer_norm(&x, weight, bias, eps, &mut normed),
            }
            let mut want = vec![0.0; 2 * t * rows];
            let (first, second) = want.split_at_mut(t * rows);
            packed.multiply(&normed, t, Some(&b), first);
            packed.multiply(&normed, t, None, second);
            assert_eq!(products(&all, &x, t, before, None), want, "{kind:?}");
            let sum: Vec<f32> = want.iter().zip(&add).map(|(a, b)| a + b).collect();
            assert_eq!(products(&all, &x, t, before, Some(&add)), sum, "{kind:?}");
        }
    }
}

#[test]
#[should_panic(expected = "size of the norm")]
fn a_norm_of_another_width_is_refused() {
    let packed = Packed::pack(Kind::Int8, &wave(64, 0.2), 2, 32);
    let before = Before::RmsNorm { weight: &[1.0; 31], eps: 1e-5 };
    products(&[Affine { weight: &packed, bias: None }], &[0.0; 32], 1, before, None);
}

/// Two products with what is between them equal the same in steps: the values between are rounded alike, except where
/// the activations of both ways fall on different sides of a half step (f32 roundings), hence the share of the largest.
#[test]
fn a_perceptron_is_two_products() {
    for (t, middle, cols, rows) in [(1, 300, 90, 70), (17, 130, 33, 40), (100, 257, 128, 64)] {
        let (x, b1, b2) = (wave(t * cols, 1.0), wave(middle, 2.0), wave(rows, 0.3));
        let (w1, w3, w2) = (wave(middle * cols, 0.2), wave(middle * cols, 1.2), wave(middle * rows, 2.2));
        for kind in Kind::ALL {
            let [p1, p3] = [&w1, &w3].map(|w| Packed::pack(kind, w, middle, cols));
            let p2 = Packed::pack(kind, &w2, rows, middle);
            let [up, gate] = [Affine { weight: &p3, bias: None }, Affine { weight: &p1, bias: Some(&b1) }];
            let second = Affine { weight: &p2, bias: Some(&b2) };
            for between in [Between::GeluTanh, Between::GeluErf, Between::SwiGlu] {
                let first = if between == Between::SwiGlu { vec![gate, up] } else { vec![gate] };
                let values = products(&first, &x, t, Before::Keep, None);
                let (g, u) = values.split_at(t * middle);
                let mut y = g.to_vec();
                match between {
                    Between::GeluTanh => crate::activation::gelu_tanh(g, &mut y),
                    Between::GeluErf => crate::activation::gelu_erf(g, &mut y),
                    Between::SwiGlu => crate::activation::swiglu(g, u, &mut y),
                }
                let add = wave(t * rows, 0.0);
                let want = products(&[second], &y, t, Before::Keep, Some(&add));
                let got = perceptron(&first, between, second, &x, t, Before::Keep, Some(&add));
                let most = want.iter().fold(0.0f32, |most, v| most.max(v.abs()));
                let off = got.iter().zip(&want).fold(0.0f32, |off, (a, b)| off.max((a - b).abs()));
                let bound = if kind == Kind::F32 { 1e-5 } else { 1e-3 };
                assert!(off <= bound * most, "{kind:?} {between:?} {t} x {cols} x {middle}: {off} of {most}");
            }
        }
    }
}

#[test]
fn a_mapped_matrix_is_the_packed_one_and_a_wrong_range_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("w");
    let (rows, cols) = (45, 70);
    for kind in Kind::ALL {
        let packed = Packed::pack(kind, &wave(rows * cols, 0.1), rows, cols);
        let mut bytes = vec![7; 64];
        bytes.extend(packed.bytes());
        std::fs::write(&file, &bytes).unwrap();
        let map = Arc::new(Mapped::open(&file).unwrap());
        let mapped = Packed::mapped(kind, rows, cols, Arc::clone(&map), 64..bytes.len()).unwrap();
        assert_eq!(mapped.unpack(0..rows), packed.unpack(0..rows));
        assert!(Packed::mapped(kind, rows + LANES, cols, Arc::clone(&map), 64..bytes.len()).is_none());
        assert!(Packed::mapped(kind, rows, cols, map, 65..bytes.len() + 1).is_none());
    }
}

#[test]
fn the_gradient_to_the_input_is_that_of_the_stored_values() {
    let (t, rows, cols) = (5, 300, 41);
    let dy = wave(t * rows, 0.3);
    for kind in Kind::ALL {
        let packed = Packed::pack(kind, &wave(rows * cols, 0.2), rows, cols);
        let w = packed.unpack(0..rows);
        let mut dx = vec![f32::NAN; t * cols];
        packed.multiply_transposed(&dy, t, &mut dx);
        for (at, dx) in dx.iter().enumerate() {
            let (r, k) = (at / cols, at % cols);
            let terms = || (0..rows).map(|o| f64::from(dy[r * rows + o]) * f64::from(w[o * cols + k]));
            let bound = terms().map(f64::abs).sum::<f64>() * rows as f64 * f64::from(f32::EPSILON);
            assert!((f64::from(*dx) - terms().sum::<f64>()).abs() <= bound, "{kind:?} at {at}");
        }
    }
}
