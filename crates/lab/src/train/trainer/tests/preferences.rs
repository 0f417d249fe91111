//! Stages that learn preferences (DPO): their references, what they resume from, and what is of no use to them.

use zoetrope_models::weights::{GroupRule, Learn, LoadOptions};

use super::stages::bytes_of_checkpoint;
use super::*;
use crate::train::mixture::Draw;
use crate::train::objective::ReferenceProgress;
use crate::train::pack::{Pack, losses};

/// Adapters alone, so that the reference is the model without them.
const ADAPTERS: &str = "vision.learn = 'frozen'\nprojector.learn = 'frozen'\n\
                        language = { learn = 'lora', rank = 4, alpha = 8 }\n";
const DPO: &str = "[[stage]]\nname = 'one'\nobjective = { kind = 'dpo', beta = 0.3 }\ndata = [{ data = '6-pairs' }]\n";

fn stage_file(folder: &Path, stage: usize) -> PathBuf {
    folder.join("reference").join(format!("stage-{stage}.safetensors"))
}

/// Cross entropies of the drawn samples of a test.
fn nats(model: &dyn zoetrope_models::contract::VideoLanguageModel, trainer: &Trainer) -> Vec<f32> {
    let samples: Vec<Sample> = (0..2).map(|n| Sample::drawn(Split::HeldOut, n, &Difficulty::one_object(), 3)).collect();
    let mut pack = Pack::default();
    samples.iter().for_each(|sample| pack.add(model, sample, &trainer.active.options).unwrap());
    values(&losses(model, &pack).unwrap())
}

/// In every part of the model, over matrices of every kind.
#[test]
fn a_model_without_its_adapters_is_the_base_model_to_the_bit() {
    let of_bits = |nats: &[f32]| nats.iter().map(|nats| nats.to_bits()).collect::<Vec<_>>();
    for toy_folder in TOYS {
        for precision in ["f32", "bf16", "int8", "int4"] {
            let folder = tempfile::tempdir().unwrap();
            let lora = format!("{{ learn = 'lora', rank = 3, precision = '{precision}' }}");
            let parts = format!("vision = {lora}\nprojector = {lora}\nlanguage = {lora}\n");
            let mut trainer = open(toy_folder, folder.path(), &recipe(&format!("[[stage]]\nname = 'one'\n{parts}")));
            run(&mut trainer, 2);
            let model = trainer.active.model.as_ref();
            let (with, without) = (nats(model, &trainer), model.weights().without_adapters(|| nats(model, &trainer)));
            let options = trainer.stage().load_options();
            let frozen = |rule: &GroupRule| GroupRule { learn: Some(Learn::Frozen), ..*rule };
            let rules = options.rules.iter().map(frozen).collect();
            let base = zoetrope_models::loading::open(&toy(toy_folder), LoadOptions { rules, ..options }).unwrap();
            let name = format!("{toy_folder} in {precision}");
            assert_eq!(of_bits(&without), of_bits(&nats(base.as_ref(), &trainer)), "{name}");
            assert_ne!(of_bits(&without), of_bits(&with), "{name}: nothing was learned");
            assert_eq!(of_bits(&nats(model, &trainer)), of_bits(&with), "{name}: the adapters are on again");
        }
    }
}

/// Before the first update the model is its reference: every pair has a loss of log 2 and no reward.
#[test]
fn a_stage_begins_at_log_2_and_learns_what_is_preferred() {
    for toy_folder in TOYS {
        for (lines, is_stored) in [(ADAPTERS, false), ("", true)] {
            let folder = tempfile::tempdir().unwrap();
            let stage = format!("{DPO}{lines}steps = 12\nbatch = 3\npack = 2\noptimizer.lr = 0.003\n");
            let mut trainer = open(toy_folder, folder.path(), &recipe(&stage));
            let reports = run(&mut trainer, usize::MAX);
            let (first, last) = (reports[0].rewards.unwrap(), reports[11].rewards.unwrap());
            // The stored reference saw each pair alone, and sums in packs are rounded otherwise.
            let rounding = if is_stored { 1e-4 } else { 0.0 };
            assert!((reports[0].loss - 2.0f64.ln()).abs() <= rounding, "{toy_folder}: {}", reports[0].loss);
            assert!(first.margin.abs() <= rounding, "{toy_folder}: {first:?}");
            assert!(last.accuracy == 1.0 && last.margin > 0.1, "{toy_folder}: {last:?}");
            assert!((last.chosen - last.rejected - last.margin).abs() < 1e-12);
            assert!(reports[11].loss < 0.66, "{toy_folder}: {}", reports[11].loss);
            assert_eq!(stage_file(folder.path(), 1).exists(), is_stored, "{toy_folder}");
        }
    }
}

#[test]
fn the_gradient_of_pairs_does_not_depend_on_packs() {
    let step = |pack: usize, lines: &str| {
        let folder = tempfile::tempdir().unwrap();
        let stage = format!("{DPO}{ADAPTERS}batch = 4\npack = {pack}\n{lines}");
        let mut trainer = open(TOY, folder.path(), &recipe(&stage));
        run(&mut trainer, 1);
        let draws = trainer.plan.stages[0].draws(trainer.progress.samples, 4);
        trainer.work(&trainer.plan.stages[0].mixture).learn(&draws).unwrap()
    };
    let (alone, packed) = (step(1, ""), step(4, ""));
    assert_eq!((alone.count, alone.tokens), (4.0, packed.tokens));
    let (size, mut furthest) = (alone.gradients.values().flatten().fold(0.0f32, |most, v| most.max(v.abs())), 0.0f32);
    for (name, own) in &alone.gradients {
        let pairs = own.iter().zip(&packed.gradients[name]);
        furthest = pairs.map(|(a, b)| (a - b).abs()).fold(furthest, f32::max);
    }
    // Sums of a thousand products of f32 in another order, after a step of such.
    assert!(size > 0.0 && furthest < 2e-3 * size, "{furthest} of {size}");
    let again = step(4, "recompute = true\n");
    assert!(again.gradients == packed.gradients, "layers that are computed again");
}

/// Adapters over their own reference, the same adapters going on over a stored one, and all weights; all held out.
const STAGES: &str = r#"
    [[stage]]
    name = "adapters"
    objective = { kind = "dpo" }
    vision.learn = "frozen"
    projector.learn = "frozen"
    language = { learn = "lora", rank = 2, alpha = 4, precision = "int8", lr = 0.02 }
    data = [{ data = "5-pairs" }]
    eval = { every = 2, samples = 2, data = [{ data = "3-pairs" }] }
    steps = 3
    [[stage]]
    name = "on"
    objective = { kind = "dpo", label_smoothing = 0.1 }
    vision.learn = "frozen"
    projector.learn = "frozen"
    language = { learn = "lora", rank = 2, alpha = 4, precision = "int8" }
    data = [{ data = "5-pairs" }]
    steps = 2
    [[stage]]
    name = "whole"
    objective = { kind = "dpo", rpo_alpha = 0.5 }
    ema = 0.5
    data = [{ data = "3-pairs" }, { data = "4-pairs" }]
    eval = { every = 2, samples = 2, data = [{ data = "3-pairs" }] }
    steps = 4
"#;

#[test]
fn a_run_of_preferences_that_is_stopped_anywhere_ends_with_the_same_bytes() {
    let recipe = recipe(STAGES);
    let whole = tempfile::tempdir().unwrap();
    let mut trainer = open(TOY, whole.path(), &recipe);
    let reports = run(&mut trainer, usize::MAX);
    assert!(reports.iter().all(|report| report.rewards.is_some() && report.bad.is_empty()));
    let held_out: Vec<usize> = reports.iter().filter_map(|report| Some(report.held_out?.samples)).collect();
    assert_eq!(held_out, [2, 2, 2, 2], "after steps 2, 3, 7 and 9");
    assert!(reports.iter().filter_map(|report| report.held_out).all(|held_out| held_out.rewards.is_some()));
    let stored = |folder: &Path| [1, 2, 3].map(|stage| std::fs::read(stage_file(folder, stage)).ok());
    assert!(stored(whole.path())[0].is_none() && stored(whole.path())[1].is_some());
    let stopped = tempfile::tempdir().unwrap();
    for until in [1, 3, 4, 5, 6, 8, 9] {
        drop(trainer);
        trainer = open(TOY, stopped.path(), &recipe);
        for report in run(&mut trainer, until) {
            let other = &reports[report.progress.step - 1];
            assert_eq!(report.loss.to_bits(), other.loss.to_bits(), "step {}", report.progress.step);
            assert_eq!((report.rewards, report.held_out), (other.rewards, other.held_out));
        }
    }
    assert_eq!(bytes_of_checkpoint(stopped.path()), bytes_of_checkpoint(whole.path()));
    assert!(stored(stopped.path()) == stored(whole.path()), "the stored references");
}

/// A run that is watched; the pass of the reference ends after `blocks` reports.
fn watched(folder: &Path, recipe: &Recipe, blocks: usize) -> (Vec<ReferenceProgress>, Result<usize, String>) {
    let mut trainer = open(TOY, folder, recipe);
    let mut seen = Vec::new();
    let mut on_reference = |progress: &ReferenceProgress| {
        seen.push(progress.clone());
        if seen.len() == blocks { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    };
    let ended = trainer.run_watched(&mut |_| ControlFlow::Continue(()), &mut on_reference);
    let ended = ended.map(|()| trainer.progress.step).map_err(|error| error.to_string());
    (seen, ended)
}

#[test]
fn a_pass_of_the_reference_goes_on_where_it_was_stopped() {
    let rows = 9 * rayon::current_num_threads() as u64;
    let stage = DPO.replace("6-pairs", &format!("{rows}-pairs"));
    let recipe = recipe(&format!("{stage}epochs = 1\nlanguage.learn = 'frozen'\n"));
    let [whole, stopped] = [(); 2].map(|()| tempfile::tempdir().unwrap());
    let (seen, ended) = watched(whole.path(), &recipe, usize::MAX);
    let all = rows as usize;
    assert_eq!((seen.len(), seen.last().map(|last| (last.done, last.pairs))), (3, Some((all, all))));
    assert_eq!((ended, seen[0].stage.as_str()), (Ok(all.div_ceil(2)), "one"));
    let (seen, ended) = watched(stopped.path(), &recipe, 1);
    assert_eq!((seen.len(), ended), (1, Ok(0)));
    assert!(seen[0].done < all && stage_file(stopped.path(), 1).is_file());
    assert!(!stopped.path().join(CHECKPOINT).exists());
    let (more, ended) = watched(stopped.path(), &recipe, usize::MAX);
    assert_eq!((more.len(), ended), (2, Ok(all.div_ceil(2))), "{more:?}");
    assert!(more[0].done > seen[0].done);
    assert_eq!(bytes_of_checkpoint(stopped.path()), bytes_of_checkpoint(whole.path()));
}

#[test]
fn a_reference_that_is_gone_or_of_another_run_is_not_taken() {
    let folder = tempfile::tempdir().unwrap();
    let recipe_of = |beta: f64| recipe(&DPO.replace("0.3", &beta.to_string()));
    // No step was taken, so another recipe may begin here; its reference is its own.
    let (_, ended) = watched(folder.path(), &recipe_of(0.3), 1);
    assert_eq!(ended, Ok(0));
    let (seen, _) = watched(folder.path(), &recipe_of(0.2), 1);
    assert_eq!((seen.len(), seen[0].done), (1, 4));
    let mut trainer = open(TOY, folder.path(), &recipe_of(0.2));
    run(&mut trainer, 1);
    drop(trainer);
    std::fs::remove_file(stage_file(folder.path(), 1)).unwrap();
    let (_, ended) = watched(folder.path(), &recipe_of(0.2), usize::MAX);
    let text = ended.unwrap_err();
    assert!(text.contains("stage-1.safetensors") && text.contains("of 4 pairs of stage \"one\""), "{text}");
    // Adapters can be switched off at any time.
    let folder = tempfile::tempdir().unwrap();
    let stored = DPO.replace("beta = 0.3", "precompute_ref_log_probs = true");
    let adapters = recipe(&format!("{stored}{ADAPTERS}"));
    let mut trainer = open(TOY, folder.path(), &adapters);
    run(&mut trainer, 1);
    drop(trainer);
    let before = std::fs::read(stage_file(folder.path(), 1)).unwrap();
    std::fs::remove_file(stage_file(folder.path(), 1)).unwrap();
    assert_eq!(watched(folder.path(), &adapters, usize::MAX).1, Ok(2));
    assert!(std::fs::read(stage_file(folder.path(), 1)).unwrap() == before);
}

#[test]
fn rows_without_a_pair_are_bad_and_pairs_without_the_objective_are_their_chosen_answers() {
    let folder = tempfile::tempdir().unwrap();
    let mut mixed = recipe(&format!("{}{ADAPTERS}batch = 8\n", DPO.replace("-pairs' }", "-pairs' }, { data = '2' }")));
    mixed.max_bad = 1.0;
    let mut trainer = open(TOY, folder.path(), &mixed);
    let reports = run(&mut trainer, 1);
    assert_eq!((reports[0].bad.len(), reports[0].sources.len()), (2, 1));
    let text = reports[0].bad[0].to_string();
    assert!(text.contains("no pair of preferences: objective.kind is \"dpo\""), "{text}");
    assert_eq!(reports[0].bad[0].kind(), "no pair of preferences");

    let step = |data: &str| {
        let folder = tempfile::tempdir().unwrap();
        let stage = format!("[[stage]]\nname = 'one'\ndata = [{{ data = '{data}' }}]\nbatch = 4\n");
        let mut trainer = open(TOY, folder.path(), &recipe(&stage));
        let draws: Vec<Draw> = trainer.plan.stages[0].draws(0, 4);
        let sum = trainer.work(&trainer.plan.stages[0].mixture).learn(&draws).unwrap();
        let report = run(&mut trainer, 1).remove(0);
        (sum.loss.to_bits(), sum.tokens, report.rewards.is_some(), report.chosen_only)
    };
    let (pairs, alone) = (step("6-pairs"), step("6"));
    assert_eq!((pairs.0, pairs.1, pairs.2, pairs.3), (alone.0, alone.1, false, 4));
    assert_eq!((alone.2, alone.3), (false, 0));
}

#[test]
fn pairs_are_too_long_when_either_conversation_is() {
    let folder = tempfile::tempdir().unwrap();
    let tokens = {
        let trainer = open(TOY, folder.path(), &recipe(&format!("{DPO}{ADAPTERS}")));
        let sample = trainer.plan.stages[0].mixture.sample(&trainer.plan.stages[0].draws(0, 1)[0]).unwrap();
        let (processor, options) = (trainer.active.model.processor(), &trainer.active.options);
        let count = |sample: &Sample| crate::train::pack::count_tokens(&**processor, sample, options).unwrap().0;
        (count(&sample), count(&sample.of_rejected().unwrap()))
    };
    assert!(tokens.0 < tokens.1, "{tokens:?}");
    for (most, too_long) in [(tokens.1, 0), (tokens.1 - 1, 1)] {
        let folder = tempfile::tempdir().unwrap();
        let stage = format!("{DPO}{ADAPTERS}batch = 1\nmax_tokens = {most}\n");
        let mut trainer = open(TOY, folder.path(), &recipe(&stage));
        run(&mut trainer, 1);
        assert_eq!(trainer.progress.too_long, too_long);
    }
}
