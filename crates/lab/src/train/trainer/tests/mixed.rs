//! Mixed precision: f32 weights whose products are of bf16 values.

use super::*;

const F32: &str = "[[stage]]\nname = \"one\"\nbatch = 4\npack = 2\n";
const MIXED: &str = "[[stage]]\nname = \"one\"\nbatch = 4\npack = 2\nvision.precision = \"bf16\"\n\
                     projector.precision = \"bf16\"\nlanguage.precision = \"bf16\"\n";

fn step(toy_folder: &str, stage: &str) -> Accumulated {
    let folder = tempfile::tempdir().unwrap();
    let trainer = open(toy_folder, folder.path(), &recipe(stage));
    let draws = trainer.plan.stages[0].draws(0, 4);
    trainer.work(&trainer.plan.stages[0].mixture).step(&draws).unwrap()
}

/// A factor that is rounded to bf16 is off by 2^-9 of itself at most, 1.1e-3 in the mean square, two of them by 1.6e-3. A
/// gradient of these toys has passed some forty products one after the other, forward and back, which are 1e-2 in the mean
/// square; norms and softmax make that a few times as much.
#[test]
fn gradients_are_those_of_f32_but_for_the_rounding_of_factors() {
    for toy_folder in TOYS {
        let (exact, mixed) = (step(toy_folder, F32), step(toy_folder, MIXED));
        assert_eq!((exact.count, exact.gradients.len()), (mixed.count, mixed.gradients.len()));
        let (mut off, mut all) = (0.0, 0.0);
        for (name, own) in &exact.gradients {
            for (a, b) in own.iter().zip(&mixed.gradients[name]) {
                off += f64::from(a - b).powi(2);
                all += f64::from(*a).powi(2);
            }
        }
        let (gradient, loss) = ((off / all).sqrt(), (mixed.loss / exact.loss - 1.0).abs());
        println!("{toy_folder}: gradient {gradient:.1e}, loss {loss:.1e} from f32");
        assert!(gradient > 1e-4 && gradient < 5e-2, "{toy_folder}: {gradient}");
        assert!(loss < 1e-2, "{toy_folder}: {loss}");
    }
}

/// What is learned stays f32: a step moves weights by less than bf16 could hold.
#[test]
fn weights_are_kept_in_f32() {
    let folder = tempfile::tempdir().unwrap();
    let mut trainer = open(TOY, folder.path(), &recipe(&format!("{MIXED}optimizer.lr = 1e-6\n")));
    let before: BTreeMap<_, _> =
        trainer.active.trained.iter().map(|(name, own)| (name.clone(), values(own.variable.as_tensor()))).collect();
    run(&mut trainer, 1);
    let after = trainer.weights();
    // From 2^-8 on, neighbors in bf16 are 2^-16 apart, which is 15 steps of this rate.
    let moved = before.iter().map(|(name, old)| {
        let new = values(&after[name]);
        old.iter().zip(&new).filter(|(old, new)| old.abs() > 1.0 / 256.0 && old != new).count()
    });
    assert!(moved.sum::<usize>() > 1000);
}
