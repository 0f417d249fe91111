//! The online softmax against f64, chunk after chunk, at every instruction set.

use super::state::RESCALE_THRESHOLD;
use super::*;

/// The values `[keys, NR]` of a panel.
fn unpack_panel(compute: WeightType, panel: &[u8], keys: usize) -> Vec<f32> {
    let word = |at: usize| u32::from_le_bytes([panel[at], panel[at + 1], panel[at + 2], panel[at + 3]]);
    let value = |n: usize| {
        let (key, lane) = (n / NR, n % NR);
        if compute == WeightType::F32 {
            return f32::from_bits(word(4 * n));
        }
        let pair = word(4 * (key / 2 * NR + lane));
        f32::from_bits(if key % 2 == 0 { pair << 16 } else { pair & 0xffff_0000 })
    };
    (0..keys * NR).map(value).collect()
}

/// Allowed relative error of `exp(score - max)`, with the rounding to bf16.
fn allowed(compute: WeightType, score: f32) -> f64 {
    // The score times log2(e), and the largest one's, are rounded before they are subtracted.
    let exponent = f64::from(score.abs() + 40.0) * f64::from(f32::EPSILON);
    4e-7 + exponent + if compute == WeightType::Bf16 { 2.7e-6 + 1.0 / 256.0 } else { 0.0 }
}

#[test]
fn probabilities_and_sums_match_the_definition_chunk_after_chunk() {
    let both = Isa::available().into_iter().flat_map(|isa| [(isa, WeightType::F32), (isa, WeightType::Bf16)]);
    for (isa, compute) in both {
        let (mut state, mut sums, mut earlier) = (OnlineSoftmax::new(), [0.0f64; NR], [0.0f32; NR]);
        for (chunk, keys) in [1, 2, 7, 192, 5, 64, 33].into_iter().enumerate() {
            // Maxima rise by little and by much; some lanes see nothing yet, some a part.
            let score = |n: usize| ((n * 29 % 83) as f32 - 40.0) * 0.4 + (chunk * (n % NR)) as f32 * 0.1;
            let mut scores: Vec<f32> = (0..keys * NR).map(score).collect();
            let visible = std::array::from_fn(|lane| if lane % 3 == 0 { keys } else { lane * chunk / 2 % 40 } as u32);
            let mut pairs = vec![9; keys.div_ceil(2) * NR];
            let panel = online_softmax_panel(isa, compute, &mut scores, &visible, &mut state, &mut pairs).to_vec();
            for lane in 0..NR {
                let max = if state.max[lane] == f32::NEG_INFINITY { 0.0 } else { state.max[lane] };
                let factor = f64::from(earlier[lane] - max).exp();
                assert!(sums[lane] == 0.0 || (f64::from(state.factor[lane]) - factor).abs() <= 4e-6 * factor);
                sums[lane] *= factor;
                earlier[lane] = max;
                for (key, got) in unpack_panel(compute, &panel, keys).chunks(NR).map(|row| row[lane]).enumerate() {
                    let score = score(key * NR + lane);
                    let want = if (key as u32) < visible[lane] { f64::from(score - max).exp() } else { 0.0 };
                    let most = allowed(compute, score) * want;
                    assert!((f64::from(got) - want).abs() <= most, "{isa:?} {compute:?}, {keys} keys: {got} {want}");
                    assert!(want <= f64::from(RESCALE_THRESHOLD).exp(), "{score} above {max}");
                    sums[lane] += want;
                }
                let off = (f64::from(state.sum[lane]) - sums[lane]).abs();
                assert!(off <= 2e-5 * sums[lane], "{isa:?} {compute:?} lane {lane}: {off} of {}", sums[lane]);
            }
        }
    }
}

#[test]
fn scores_that_are_not_finite_affect_only_their_lane() {
    let both = Isa::available().into_iter().flat_map(|isa| [(isa, WeightType::F32), (isa, WeightType::Bf16)]);
    for (isa, compute) in both {
        let mut scores = vec![1.0; 4 * NR];
        (scores[3], scores[NR + 4], scores[2 * NR + 5]) = (f32::NEG_INFINITY, f32::NAN, -1e30);
        let (mut state, mut pairs) = (OnlineSoftmax::new(), vec![9; 2 * NR]);
        let panel = online_softmax_panel(isa, compute, &mut scores, &[4; NR], &mut state, &mut pairs).to_vec();
        for (n, weight) in unpack_panel(compute, &panel, 4).into_iter().enumerate() {
            match (n / NR, n % NR) {
                (0, 3) | (2, 5) => assert!((0.0..1e-37).contains(&weight), "{isa:?} {compute:?}: {weight}"),
                (1, 4) => assert!(weight.is_nan(), "{isa:?} {compute:?}: {weight}"),
                _ => assert_eq!(weight, 1.0, "{isa:?} {compute:?} at {n}"),
            }
        }
        let wrong: Vec<usize> = (0..NR).filter(|lane| !state.sum[*lane].is_finite()).collect();
        assert_eq!(wrong, [4], "{isa:?} {compute:?}");
    }
}
