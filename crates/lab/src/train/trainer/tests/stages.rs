//! What stages freeze, carry over and resume.

use super::*;

const FROZEN: &str = "vision.learn = 'frozen'\nprojector.learn = 'frozen'\nlanguage.learn = 'frozen'\n";

/// Which tensors differ between the model before and after a stage, by group.
fn changed_groups(toy_folder: &str, lines: &str) -> (BTreeMap<ParameterGroup, usize>, BTreeMap<ParameterGroup, usize>) {
    let place = tempfile::tempdir().unwrap();
    let mut trainer = open(toy_folder, place.path(), &recipe(&format!("[[stage]]\nname = 'one'\n{lines}")));
    let before = exported(&trainer.export_merged().unwrap());
    let parameters = trainer.active.model.weights().parameters();
    run(&mut trainer, 2);
    let after = exported(&trainer.export_merged().unwrap());
    assert_eq!(before.keys().collect::<Vec<_>>(), after.keys().collect::<Vec<_>>());
    let (mut same, mut different) = (BTreeMap::new(), BTreeMap::new());
    for (name, tensor) in &before {
        let all = if bits(tensor) == bits(&after[name]) { &mut same } else { &mut different };
        // Tied heads have the embedding's name.
        *all.entry(parameters[name].group).or_insert(0) += 1;
    }
    (same, different)
}

#[test]
fn what_is_frozen_keeps_its_bits_and_what_is_not_changes() {
    use ParameterGroup::{Embeddings, Language, Projector, Vision};
    let stages = [
        (vec![Projector], FROZEN.replace("projector.learn = 'frozen'", "projector.learn = 'full'")),
        (vec![Vision], FROZEN.replace("vision.learn = 'frozen'", "vision.learn = 'full'")),
        (vec![Embeddings], format!("{FROZEN}embeddings.learn = 'full'\nlanguage.precision = 'int8'")),
        (
            vec![Language],
            FROZEN.replace("language.learn = 'frozen'", "language = { learn = 'lora', rank = 2, precision = 'int4' }"),
        ),
        (
            vec![Language],
            FROZEN.replace("language.learn = 'frozen'", "language.only = ['norm']\nembeddings.learn = 'frozen'"),
        ),
        (vec![Language, Projector], "vision.learn = 'frozen'\nembeddings.learn = 'frozen'".to_string()),
    ];
    for toy_folder in TOYS {
        for (learned, lines) in &stages {
            let (same, different) = changed_groups(toy_folder, lines);
            let changed: Vec<_> = different.keys().copied().collect();
            assert!(
                changed.iter().all(|group| learned.contains(group)),
                "{toy_folder} {lines}: {different:?} {same:?}"
            );
            assert!(
                learned.iter().all(|group| changed.contains(group)),
                "{toy_folder} {lines}: {different:?} {same:?}"
            );
        }
    }
}

/// Three stages: adapters over int8, other groups as a whole over what these have become, and one that continues.
const STAGES: &str = r#"
    [[stage]]
    name = "adapter"
    vision.learn = "frozen"
    language = { learn = "lora", rank = 2, alpha = 4, precision = "int8", lr = 0.02 }
    data = [{ data = "5", weight = 2 }, { data = "3", weight = 1 }]
    steps = 3
    [[stage]]
    name = "whole"
    language.learn = "full"
    vision = { learn = "lora", rank = 3 }
    epochs = 1.5
    ema = 0.5
    data = [{ data = "3" }, { data = "4" }]
    schedule.warmup_share = 0.5
    [[stage]]
    name = "more"
    continues = true
    batch = 3
    steps = 2
    data = [{ drawn = "one_object" }]
"#;

pub(super) fn bytes_of_checkpoint(folder: &Path) -> Vec<(String, Vec<u32>)> {
    let checkpoint = Checkpoint::read(&folder.join(CHECKPOINT)).unwrap().unwrap();
    let mut all: Vec<_> = checkpoint.weights.iter().map(|(name, tensor)| (name.clone(), bits(tensor))).collect();
    for (name, moments) in &checkpoint.moments {
        let both = moments.first.iter().chain(&moments.second).map(|value| value.to_bits());
        all.push((format!("moments of {name}"), both.collect()));
    }
    for (name, average) in &checkpoint.averages {
        all.push((format!("average of {name}"), average.iter().map(|value| value.to_bits()).collect()));
    }
    all.sort();
    all
}

#[test]
fn a_run_that_is_stopped_anywhere_ends_with_the_same_bytes() {
    let recipe = recipe(STAGES);
    let whole = tempfile::tempdir().unwrap();
    let mut trainer = open(TOY, whole.path(), &recipe);
    // 1.5 epochs of 7 samples are 10.5: 6 steps of 2.
    assert_eq!(trainer.steps(), 3 + 6 + 2);
    let reports = run(&mut trainer, usize::MAX);
    let names: Vec<&str> = reports.iter().map(|report| report.stage.as_str()).collect();
    assert_eq!((names[2], names[3], names[8], names[9]), ("adapter", "whole", "whole", "more"));
    assert_eq!(reports[10].progress.samples, 3 * 2 + 6 * 2 + 2 * 3);
    let expected = bytes_of_checkpoint(whole.path());
    let stopped = tempfile::tempdir().unwrap();
    // In the middle of a stage, at the end of one, in the middle of an epoch, at the end of all.
    for until in [1, 3, 4, 7, 9, 10, 11] {
        drop(trainer);
        trainer = open(TOY, stopped.path(), &recipe);
        let again = run(&mut trainer, until);
        for report in &again {
            assert_eq!(report.loss.to_bits(), reports[report.progress.step - 1].loss.to_bits());
        }
    }
    assert_eq!(bytes_of_checkpoint(stopped.path()), expected);
}

#[test]
fn a_stage_begins_with_the_model_that_the_one_before_has_left() {
    let folder = tempfile::tempdir().unwrap();
    let mut trainer = open(TOY, folder.path(), &recipe(&STAGES.replace(", precision = \"int8\"", "")));
    run(&mut trainer, 3);
    let draws = |trainer: &Trainer| {
        let mixture = &trainer.plan.stages[2].mixture;
        let draws = mixture.draws(0, 0, 3);
        trainer.work(mixture).losses(&draws).unwrap().loss
    };
    let before = draws(&trainer);
    let adapters = trainer.active.adapters(trainer.stage()).names().count();
    assert!(adapters > 0 && trainer.learned.is_empty());
    trainer.enter(1).unwrap();
    let after = draws(&trainer);
    assert!((before - after).abs() < 1e-4 * before, "{before} {after}");
    assert!(
        trainer.moments.is_empty()
            && trainer.weights().keys().all(|name| !name.contains("language_model.layers.0.self_attn.q_proj.lora"))
    );
}

#[test]
fn what_one_stage_has_learned_stays_when_the_next_learns_something_else() {
    let folder = tempfile::tempdir().unwrap();
    let stages =
        "[[stage]]\nname = 'one'\nprojector.only = ['bias']\n[[stage]]\nname = 'two'\nprojector.only = ['weight']";
    let mut trainer = open(TOY, folder.path(), &recipe(stages));
    let before = exported(&trainer.export().unwrap());
    run(&mut trainer, 2);
    let middle = exported(&trainer.export().unwrap());
    run(&mut trainer, 4);
    let last = exported(&trainer.export().unwrap());
    let projector = |name: &&String| name.contains("projector");
    for name in before.keys().filter(projector) {
        let (first, second) = (bits(&before[name]) != bits(&middle[name]), bits(&middle[name]) != bits(&last[name]));
        assert_eq!((first, second), (name.ends_with("bias"), name.ends_with("weight")), "{name}");
    }
    drop(trainer);
    let trainer = open(TOY, folder.path(), &recipe(stages));
    let again = exported(&trainer.export().unwrap());
    assert!(last.keys().all(|name| bits(&last[name]) == bits(&again[name])));
    let typo = recipe("[[stage]]\nname = 'one'\nprojector.only = ['bais']");
    let text = Trainer::open_with(&toy(TOY), &folder.path().join("x"), typo, false, &open_test_data).err().unwrap();
    assert!(
        text.to_string().contains("projector.only: no tensor of it has \"bais\" in its name; one is model.projector"),
        "{text}"
    );
}

#[test]
fn averages_are_what_a_stage_gives() {
    let folder = tempfile::tempdir().unwrap();
    let stages = "[[stage]]\nname = 'one'\nema = 0.75\nsteps = 3\n[[stage]]\nname = 'two'";
    let mut trainer = open(TOY, folder.path(), &recipe(stages));
    let mut seen: Vec<BTreeMap<String, Vec<f32>>> = Vec::new();
    for _ in 0..3 {
        trainer.step().unwrap();
        seen.push(trainer.weights().iter().map(|(name, tensor)| (name.clone(), values(tensor))).collect());
    }
    let given = exported(&trainer.export().unwrap());
    let average = |name: &String, at: usize| {
        let second = 0.75 * seen[0][name][at] + 0.25 * seen[1][name][at];
        0.75 * second + 0.25 * seen[2][name][at]
    };
    for (name, tensor) in &given {
        assert!(
            values(tensor).iter().enumerate().all(|(at, value)| (value - average(name, at)).abs() < 1e-6),
            "{name}"
        );
    }
    // The run itself goes on from its last step, and the next stage from the averages.
    assert!(given.iter().any(|(name, tensor)| values(tensor) != seen[2][name]));
    assert!(trainer.weights().iter().all(|(name, tensor)| values(tensor) == seen[2][name]));
    trainer.enter(1).unwrap();
    let weights = trainer.weights();
    assert!(given.iter().all(|(name, tensor)| bits(tensor) == bits(&weights[name])));
}

#[test]
fn groups_have_rates_of_their_own() {
    let folder = tempfile::tempdir().unwrap();
    let lines = "vision.lr = 0.001\nprojector.lr = 0.002\nlanguage.lr = 0.004\nembeddings.lr = 0.008\n";
    let mut trainer =
        open(TOY, folder.path(), &recipe(&format!("[[stage]]\nname = 'one'\n{lines}schedule.kind = 'constant'")));
    let before = trainer.weights();
    let deep =
        |all: &HashMap<String, Tensor>| all.iter().map(|(n, t)| (n.clone(), values(t))).collect::<HashMap<_, _>>();
    let before = deep(&before);
    let report = trainer.step().unwrap();
    let after = deep(&trainer.weights());
    let mut largest: BTreeMap<ParameterGroup, f32> = BTreeMap::new();
    for (name, trained) in &trainer.active.trained {
        let moved = before[name].iter().zip(&after[name]).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
        let most = largest.entry(trained.group).or_default();
        *most = most.max(moved);
    }
    // The first step of AdamW moves by the rate.
    use ParameterGroup::{Embeddings, Language, Projector, Vision};
    for (group, rate) in [(Vision, 0.001), (Projector, 0.002), (Language, 0.004), (Embeddings, 0.008)] {
        assert!((largest[&group] / rate - 1.0).abs() < 0.01, "{group:?}: {largest:?}");
        assert!(report.group_norms[&group] > 0.0);
    }
}

#[test]
fn a_run_from_scratch_may_freeze_what_it_has_drawn() {
    let folder = tempfile::tempdir().unwrap();
    let stages = format!("[[stage]]\nname = 'one'\n{FROZEN}embeddings.learn = 'full'\n[[stage]]\nname = 'two'");
    let open = || Trainer::open_with(&toy(TOY), folder.path(), recipe(&stages), true, &open_test_data).unwrap();
    let mut trainer = open();
    let first = exported(&trainer.export().unwrap());
    run(&mut trainer, 2);
    drop(trainer);
    let mut trainer = open();
    let middle = exported(&trainer.export().unwrap());
    let changed: Vec<&String> = first.keys().filter(|name| bits(&first[*name]) != bits(&middle[*name])).collect();
    assert!(
        !changed.is_empty() && changed.iter().all(|name| name.contains("embed") || name.contains("head")),
        "{changed:?}"
    );
    run(&mut trainer, 4);
    let last = exported(&trainer.export().unwrap());
    assert!(first.keys().filter(|name| bits(&first[*name]) != bits(&last[*name])).count() > changed.len());
}

#[test]
fn a_run_that_diverges_ends_with_the_last_good_checkpoint_named() {
    let folder = tempfile::tempdir().unwrap();
    let mut wild =
        recipe("[[stage]]\nname = 'one'\nsteps = 400\noptimizer = { lr = 10, clip = 1e9 }\nschedule.warmup = 30");
    wild.save_every = 5;
    let mut trainer = open(TOY, folder.path(), &wild);
    let error = trainer.run(&mut |_| ControlFlow::Continue(())).unwrap_err().to_string();
    let at = trainer.progress.step;
    let saved = Checkpoint::read(&folder.path().join(CHECKPOINT)).unwrap().unwrap().progress.step;
    assert_eq!(saved, at / 5 * 5, "{error}");
    let named = format!("that of step {saved}, {}", folder.path().join(CHECKPOINT).display());
    assert!(error.contains(&format!("at step {at}")) && error.contains(&named), "{error}");
}
