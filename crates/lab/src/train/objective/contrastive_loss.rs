//! The arithmetic of contrast, matching and captioning (BLIP-2, arXiv 2301.12597, section 3.2; the mean over queries,
//! soft targets, the draw of wrong pairs and the smoothed words as in the authors' code of MVBench, arXiv 2311.17005).
//!
//! Legend: B samples of a step, P width in which media and captions are compared, L words, W vocabulary.

use candle_core::{D, Device, Result, Tensor};
use rand_xoshiro::SplitMix64;
use rand_xoshiro::rand_core::{RngCore, SeedableRng};

/// Weights of the three losses, and the share of a word's target that is spread over all words.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(in crate::train) struct ContrastiveWeights {
    pub(in crate::train) contrast: f64,
    pub(in crate::train) matching: f64,
    pub(in crate::train) captioning: f64,
    pub(in crate::train) label_smoothing: f64,
}

/// What every weight of a wrong sample has beside its probability, so that each may be drawn.
const LEAST_WEIGHT: f64 = 1e-4;

/// Similarities `[B, B]` of media `[B, P]` (rows) and captions `[B, P]` (columns), divided by the temperature.
pub(super) fn similarities(media_bp: &Tensor, captions_bp: &Tensor, temperature: &Tensor) -> Result<Tensor> {
    media_bp.matmul(&captions_bp.t()?)?.broadcast_div(temperature)
}

/// The contrast of similarities `[B, B]` in nats: the mean of both directions' cross entropies. The target of a row is
/// shared by all samples that are the row's own (`same`).
pub(super) fn contrast(similarities_bb: &Tensor, same: &[Vec<bool>]) -> Result<Tensor> {
    let b = same.len();
    let share = |row: &Vec<bool>| {
        let own = row.iter().filter(|same| **same).count().max(1) as f32;
        row.iter().map(move |same| if *same { 1.0 / own } else { 0.0 }).collect::<Vec<f32>>()
    };
    let targets: Vec<f32> = same.iter().flat_map(share).collect();
    let targets_bb = Tensor::from_vec(targets, (b, b), similarities_bb.device())?;
    let direction = |logits: &Tensor| (log_softmax(logits)? * &targets_bb)?.sum_all();
    let sum = (direction(similarities_bb)? + direction(&similarities_bb.t()?.contiguous()?)?)?;
    sum * (-0.5 / b as f64)
}

/// Which samples are one: the same row of the same file twice in a step.
pub(super) fn same_samples(identities: &[(usize, u64)]) -> Vec<Vec<bool>> {
    identities.iter().map(|one| identities.iter().map(|other| one == other).collect()).collect()
}

/// The wrong partner of a row of similarities: one that is not of the row's own, drawn with the probabilities of their
/// softmax and a little for each. `unit` is the draw, from 0 to 1. `None` when all are the row's own.
pub(super) fn wrong_partner(similarities: &[f32], own: &[bool], unit: f64) -> Option<usize> {
    let most = similarities.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    let exp = |value: &f32| f64::from(value - most).exp();
    let sum: f64 = similarities.iter().map(exp).sum();
    let weight = |(value, own): (&f32, &bool)| if *own { 0.0 } else { exp(value) / sum + LEAST_WEIGHT };
    let weights: Vec<f64> = similarities.iter().zip(own).map(weight).collect();
    let end = unit * weights.iter().sum::<f64>();
    let mut passed = 0.0;
    let found = weights.iter().position(|weight| {
        passed += weight;
        *weight > 0.0 && passed > end
    });
    found.or_else(|| weights.iter().rposition(|weight| *weight > 0.0))
}

/// A number from 0 to 1 (below) for a sample, by its entry and row, in the step of a run of `seed` that begins with
/// sample number `first`: `side` 0 draws its wrong media, 1 its wrong caption.
pub(super) fn unit(seed: u64, first: u64, (entry, row): (usize, u64), side: u64) -> f64 {
    let mixed = |state: u64| SplitMix64::seed_from_u64(state).next_u64();
    let bits = [first, entry as u64, row, side].into_iter().fold(mixed(seed), |bits, value| mixed(bits ^ value));
    (bits >> 11) as f64 / (1u64 << 53) as f64
}

/// Cross entropy of one pair's logits `[1, 2]` in nats, a scalar.
pub(super) fn matching(logits_12: &Tensor, belongs: bool) -> Result<Tensor> {
    log_softmax(logits_12)?.narrow(1, usize::from(belongs), 1)?.sum_all()?.neg()
}

/// The sum of the cross entropies of `words` `[L]` under logits `[L, W]` in nats, with `smoothing` of every target
/// spread over all words evenly.
pub(super) fn captioning(logits_lw: &Tensor, words: &[u32], smoothing: f64) -> Result<Tensor> {
    let logs_lw = log_softmax(logits_lw)?;
    let words = Tensor::from_slice(words, (words.len(), 1), &Device::Cpu)?.to_device(logs_lw.device())?;
    let (own, all) = (logs_lw.gather(&words, 1)?.sum_all()?, logs_lw.mean(D::Minus1)?.sum_all()?);
    (own * (smoothing - 1.0))? - (all * smoothing)?
}

/// Logarithms of the softmax of every row.
fn log_softmax(logits: &Tensor) -> Result<Tensor> {
    let most = logits.max_keepdim(D::Minus1)?.detach();
    let shifted = logits.broadcast_sub(&most)?;
    shifted.broadcast_sub(&shifted.exp()?.sum_keepdim(D::Minus1)?.log()?)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tensor(values: &[&[f32]]) -> Tensor {
        let rows: Vec<Vec<f32>> = values.iter().map(|row| row.to_vec()).collect();
        Tensor::new(rows, &Device::Cpu).unwrap()
    }

    fn scalar(t: &Tensor) -> f64 {
        f64::from(t.to_scalar::<f32>().unwrap())
    }

    #[test]
    fn what_is_all_alike_has_the_loss_of_a_guess() {
        let flat = tensor(&[&[0.3f32; 4][..]; 4]);
        let same = same_samples(&[(0, 0), (0, 1), (1, 0), (1, 1)]);
        assert!((scalar(&contrast(&flat, &same).unwrap()) - 4f64.ln()).abs() < 1e-6);
        // Two of four are one sample: they share their targets, and a guess has the same loss.
        let same = same_samples(&[(0, 5), (0, 5), (1, 0), (1, 1)]);
        assert_eq!(same[0], [true, true, false, false]);
        assert!((scalar(&contrast(&flat, &same).unwrap()) - 4f64.ln()).abs() < 1e-6);
    }

    /// By hand: rows and columns have different cross entropies.
    #[test]
    fn both_directions_count_half() {
        let similarities = tensor(&[&[1.0, 0.0], &[3.0, 2.0]]);
        let cross = |own: f64, other: f64| (own.exp() + other.exp()).ln() - own;
        let rows = (cross(1.0, 0.0) + cross(2.0, 3.0)) / 2.0;
        let columns = (cross(1.0, 3.0) + cross(2.0, 0.0)) / 2.0;
        let found = contrast(&similarities, &same_samples(&[(0, 0), (0, 1)])).unwrap();
        assert!((scalar(&found) - (rows + columns) / 2.0).abs() < 1e-6);
    }

    #[test]
    fn a_wrong_partner_is_never_the_own_one_and_comes_as_often_as_its_weight() {
        let (similarities, own) = ([9.0, 2.0, 1.0, 0.0], [true, false, false, true]);
        let draws = 10_000;
        let mut counts = [0; 4];
        for n in 0..draws {
            counts[wrong_partner(&similarities, &own, (n as f64 + 0.5) / f64::from(draws)).unwrap()] += 1;
        }
        // Softmax over all four, the row's own among them, and 1e-4 for each that is left.
        let sum: f64 = similarities.iter().map(|value| f64::from(*value - 9.0).exp()).sum();
        let weights = [2.0f64, 1.0].map(|value| (value - 9.0).exp() / sum + 1e-4);
        let share = weights[0] / (weights[0] + weights[1]);
        assert_eq!((counts[0], counts[3]), (0, 0));
        assert!((f64::from(counts[1]) / f64::from(draws) - share).abs() < 1e-3, "{counts:?} {share}");
        assert_eq!(wrong_partner(&similarities, &own, 1.0), Some(2));
        assert_eq!(wrong_partner(&[1.0, 2.0], &[true, true], 0.5), None);
    }

    #[test]
    fn draws_follow_from_seed_step_and_sample() {
        let draws: Vec<f64> = (0..1000).map(|row| unit(7, 64, (0, row), 1)).collect();
        let mean = draws.iter().sum::<f64>() / 1000.0;
        assert!((mean - 0.5).abs() < 0.05 && draws.iter().all(|unit| (0.0..1.0).contains(unit)), "{mean}");
        assert_eq!(draws[3], unit(7, 64, (0, 3), 1));
        let others = [unit(8, 64, (0, 3), 1), unit(7, 65, (0, 3), 1), unit(7, 64, (1, 3), 1), unit(7, 64, (0, 3), 0)];
        assert!(others.iter().all(|other| *other != draws[3]));
    }

    #[test]
    fn smoothed_words_are_those_of_a_hand_computation() {
        let logits = tensor(&[&[1.0, 0.0, -1.0], &[0.0, 0.0, 2.0]]);
        let logs = |row: [f64; 3]| {
            let sum = row.iter().map(|x| x.exp()).sum::<f64>().ln();
            row.map(|x| x - sum)
        };
        let (a, b) = (logs([1.0, 0.0, -1.0]), logs([0.0, 0.0, 2.0]));
        let own = -a[1] - b[2];
        let all = -(a.iter().sum::<f64>() + b.iter().sum::<f64>()) / 3.0;
        for smoothing in [0.0, 0.1] {
            let found = scalar(&captioning(&logits, &[1, 2], smoothing).unwrap());
            assert!((found - ((1.0 - smoothing) * own + smoothing * all)).abs() < 1e-6, "{smoothing}");
        }
        let pair = tensor(&[&[0.5, -0.5]]);
        assert!((scalar(&matching(&pair, true).unwrap()) - (1.0 + 1f64.exp()).ln()).abs() < 1e-6);
    }
}
