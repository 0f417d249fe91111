//! Numbers of DPO, answers of conversations, and the file of a reference.

use std::collections::BTreeMap;

use super::dpo::{Dpo, PairLogProbs};
use super::pairs::last_answers;
use super::reference::ReferenceLogProbs;
use super::rewards::RewardSum;

const PLAIN: Dpo = Dpo { beta: 0.5, label_smoothing: 0.0, rpo_alpha: 0.0 };

fn pair(chosen: f64, rejected: f64) -> PairLogProbs {
    PairLogProbs { chosen, rejected }
}

/// By hand: with `x = 0.5 ((-3 + 5) - (-9 + 7)) = 2`, the loss is `log(1 + exp(-2))`.
#[test]
fn the_loss_is_that_of_the_paper() {
    let found = PLAIN.loss(pair(-3.0, -9.0), pair(-5.0, -7.0), 4);
    assert!((found.loss - (1.0 + (-2.0f64).exp()).ln()).abs() < 1e-15, "{found:?}");
    assert_eq!((found.rewards.chosen, found.rewards.rejected), (1.0, -1.0));
    let smooth = Dpo { label_smoothing: 0.25, ..PLAIN }.loss(pair(-3.0, -9.0), pair(-5.0, -7.0), 4);
    let expected = 0.75 * (1.0 + (-2.0f64).exp()).ln() + 0.25 * (1.0 + 2.0f64.exp()).ln();
    assert!((smooth.loss - expected).abs() < 1e-15, "{smooth:?}");
    let rpo = Dpo { rpo_alpha: 2.0, ..PLAIN }.loss(pair(-3.0, -9.0), pair(-5.0, -7.0), 4);
    assert!((rpo.loss - found.loss - 2.0 * 3.0 / 4.0).abs() < 1e-15, "{rpo:?}");
    // A model that is its reference knows nothing of the preference.
    assert_eq!(PLAIN.loss(pair(-3.0, -9.0), pair(-3.0, -9.0), 4).loss, 2.0f64.ln());
}

#[test]
fn a_loss_far_from_zero_stays_finite() {
    let right = PLAIN.loss(pair(0.0, -4000.0), pair(0.0, 0.0), 1);
    let wrong = PLAIN.loss(pair(-4000.0, 0.0), pair(0.0, 0.0), 1);
    assert_eq!((right.loss, right.slopes.chosen), (0.0, 0.0));
    assert_eq!((wrong.loss, wrong.slopes.chosen, wrong.slopes.rejected), (2000.0, -0.5, 0.5));
}

#[test]
fn slopes_are_the_derivatives_of_the_loss() {
    let all = Dpo { beta: 0.3, label_smoothing: 0.1, rpo_alpha: 0.7 };
    let (reference, step) = (pair(-4.0, -6.0), 1e-5);
    for (chosen, rejected) in [(-3.0, -9.0), (-9.0, -3.0), (-4.0, -6.0), (-30.0, -31.0)] {
        let loss = |chosen: f64, rejected: f64| all.loss(pair(chosen, rejected), reference, 5).loss;
        let by_chosen = (loss(chosen + step, rejected) - loss(chosen - step, rejected)) / (2.0 * step);
        let by_rejected = (loss(chosen, rejected + step) - loss(chosen, rejected - step)) / (2.0 * step);
        let slopes = all.loss(pair(chosen, rejected), reference, 5).slopes;
        // The error of a central difference is of the second order, and that of its rounding 1e-16 / 1e-5.
        assert!((slopes.chosen - by_chosen).abs() < 1e-9, "{slopes:?} {by_chosen}");
        assert!((slopes.rejected - by_rejected).abs() < 1e-9, "{slopes:?} {by_rejected}");
    }
}

#[test]
fn rewards_are_means_over_all_pairs() {
    let mut sums = [RewardSum::default(); 2];
    assert_eq!(sums[0].mean(), None);
    sums[0].add(pair(1.0, -1.0));
    sums[1].add(pair(0.5, 2.0));
    sums[1].add(pair(0.0, 0.0));
    let mean = sums[0].with(sums[1]).mean().unwrap();
    assert_eq!((mean.chosen, mean.accuracy), (0.5, 1.0 / 3.0));
    assert!((mean.rejected - 1.0 / 3.0).abs() < 1e-15 && (mean.margin - 1.0 / 6.0).abs() < 1e-15, "{mean:?}");
}

#[test]
fn the_last_answers_are_the_last_runs_of_targets() {
    let targets = [3, 4, 5, 9, 10, 20];
    assert_eq!(last_answers(&targets, 1), [20]);
    assert_eq!(last_answers(&targets, 2), [9, 10, 20]);
    assert_eq!(last_answers(&targets, 3), targets);
    // A template that writes earlier answers as part of the question has one run alone.
    assert_eq!(last_answers(&targets, 7), targets);
    assert!(last_answers(&[], 1).is_empty());
}

#[test]
fn a_reference_is_read_as_it_was_written_and_by_its_own_run_alone() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("reference/stage-1.safetensors");
    let (ours, theirs) = ([7; 32], [8; 32]);
    let nothing = ReferenceLogProbs::default();
    assert_eq!(ReferenceLogProbs::read(&file, &ours).unwrap(), nothing);
    let learned = BTreeMap::from([((0, 5), Some(pair(-1.25, -0.1))), ((2, 1 << 40), None)]);
    let some = ReferenceLogProbs { learned, held_out: BTreeMap::new() };
    some.write(&file, &ours).unwrap();
    assert_eq!((ReferenceLogProbs::read(&file, &ours).unwrap(), some.len()), (some.clone(), 2));
    assert_eq!(ReferenceLogProbs::read(&file, &theirs).unwrap(), nothing);
    let more = ReferenceLogProbs { held_out: BTreeMap::from([((0, 0), Some(pair(-9.0, -8.0)))]), ..some };
    more.write(&file, &theirs).unwrap();
    assert_eq!(ReferenceLogProbs::read(&file, &theirs).unwrap(), more);
    let bytes = std::fs::read(&file).unwrap();
    std::fs::write(&file, &bytes[..bytes.len() - 9]).unwrap();
    let error = ReferenceLogProbs::read(&file, &theirs).unwrap_err().to_string();
    assert!(error.contains("stage-1.safetensors") && error.contains("remove it"), "{error}");
}
