//! Losses and gradients of packs.

use super::*;
use crate::train::recipe::LossPer;

const ONE: &str = "[[stage]]\nname = 'one'\nbatch = 4\ndata = [{ data = '4' }]\n";

/// Loss, count and gradients of a step of four samples in packs of `pack`.
fn step(toy_folder: &str, lines: &str, pack: usize, per: LossPer) -> Accumulated {
    let folder = tempfile::tempdir().unwrap();
    let mut recipe = recipe(&format!("{ONE}{lines}"));
    (recipe.stages[0].pack, recipe.stages[0].loss) = (pack, per);
    let trainer = open(toy_folder, folder.path(), &recipe);
    let mixture = &trainer.plan.stages[0].mixture;
    let draws = mixture.draws(0, 0, 4);
    trainer.work(mixture).step(&draws).unwrap()
}

/// The largest difference of two gradients as a share of the largest value.
fn difference(a: &Accumulated, b: &Accumulated) -> f32 {
    assert_eq!(a.gradients.keys().collect::<Vec<_>>(), b.gradients.keys().collect::<Vec<_>>());
    let all = |sum: &Accumulated| sum.gradients.values().flatten().copied().collect::<Vec<f32>>();
    let (a, b) = (all(a), all(b));
    let size = a.iter().fold(0.0f32, |most, value| most.max(value.abs()));
    a.iter().zip(&b).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max) / size
}

#[test]
fn accumulated_packs_are_one_pack_and_one_pack_is_its_samples_alone() {
    for toy_folder in TOYS {
        for per in [LossPer::Token, LossPer::Sample] {
            let [alone, halves, whole] = [1, 2, 4].map(|pack| step(toy_folder, "", pack, per));
            assert_eq!((alone.count, halves.count), (whole.count, whole.count));
            for packed in [&halves, &whole] {
                let share = (packed.loss - alone.loss).abs() / alone.loss;
                assert!(share < 1e-5, "{toy_folder} {per:?}: {} and {}", packed.loss, alone.loss);
                // Sums of a thousand products of f32 in another order.
                assert!(difference(packed, &alone) < 1e-3, "{toy_folder} {per:?}: {}", difference(packed, &alone));
            }
        }
    }
}

#[test]
fn recomputed_layers_have_the_same_gradients() {
    let over_packed = "projector.learn = 'frozen'\nlanguage = { learn = 'lora', rank = 2, precision = 'int8' }\n";
    for toy_folder in TOYS {
        for lines in ["", "vision.learn = 'frozen'\n", "language.learn = 'frozen'\n", over_packed] {
            let kept = step(toy_folder, lines, 2, LossPer::Token);
            let again = step(toy_folder, &format!("recompute = true\n{lines}"), 2, LossPer::Token);
            let bits = |sum: &Accumulated| -> Vec<(String, Vec<u32>)> {
                let of = |values: &Vec<f32>| values.iter().map(|value| value.to_bits()).collect();
                sum.gradients.iter().map(|(name, values)| (name.clone(), of(values))).collect()
            };
            assert_eq!(kept.loss.to_bits(), again.loss.to_bits(), "{toy_folder} {lines}");
            assert!(bits(&kept) == bits(&again), "{toy_folder} {lines}");
        }
    }
}

#[test]
fn a_sample_counts_once_or_as_often_as_it_has_tokens() {
    let (token, sample) = (step(TOY, "", 4, LossPer::Token), step(TOY, "", 4, LossPer::Sample));
    let (nats, targets) = token.entries[&0];
    assert_eq!((token.count, sample.count), (targets as f64, 4.0));
    assert!((token.loss - nats).abs() < 1e-3 * nats);
    // Samples of other lengths: the mean of means is another one.
    assert!((token.loss / token.count - sample.loss / sample.count).abs() > 1e-4);
}

#[test]
fn adapters_over_packed_matrices_have_the_gradients_of_those_over_floats() {
    let lines = |precision: &str| {
        format!(
            "vision.learn = 'frozen'\nprojector.learn = 'frozen'\n\
             language = {{ learn = 'lora', rank = 4, precision = '{precision}' }}\n"
        )
    };
    let floats = step(TOY, &lines("f32"), 2, LossPer::Token);
    // The angle that the rounding of matrices makes: int8 keeps 1 % and int4 some percent of a value.
    for (precision, least) in [("bf16", 0.999), ("int8", 0.995), ("int4", 0.9)] {
        let packed = step(TOY, &lines(precision), 2, LossPer::Token);
        let pairs = || floats.gradients.iter().flat_map(|(name, own)| own.iter().zip(&packed.gradients[name]));
        let dot = |f: fn(f32, f32) -> f32| pairs().map(|(a, b)| f64::from(f(*a, *b))).sum::<f64>();
        let cosine = dot(|a, b| a * b) / (dot(|a, _| a * a) * dot(|_, b| b * b)).sqrt();
        assert!(cosine > least && dot(|a, _| a * a) > 0.0, "{precision}: {cosine}");
    }
}
