//! The recipes that lie in `recipes/`.

use super::*;
use crate::train::recipe::{LearnKind, MixEntry, ObjectiveKind};

const FOLDER: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../recipes");

/// A recipe, the toy that it runs on, and its number of stages.
const PUBLISHED: [(&str, &str, usize); 8] = [
    ("videollama3", "videollama3/toy-hf", 4),
    ("llava-onevision", "llava_onevision/toy-hf", 4),
    ("llama-vid", "llama_vid/toy", 3),
    ("cogvlm2", "cogvlm2/toy-image", 2),
    ("cogvlm2-video", "cogvlm2/toy-video", 2),
    ("videochat2", "videochat2/toy-hd", 4),
    ("lora", "videollama3/toy-hf", 1),
    ("nano", "videollama3/toy-hf", 3),
];

fn read(name: &str) -> Recipe {
    Recipe::read(&Path::new(FOLDER).join(format!("{name}.toml"))).unwrap()
}

#[test]
fn every_recipe_is_in_the_list() {
    let mut files: Vec<String> = std::fs::read_dir(FOLDER)
        .unwrap()
        .map(|entry| entry.unwrap().path().file_stem().unwrap().to_string_lossy().into_owned())
        .collect();
    let mut listed = PUBLISHED.map(|(name, ..)| name.to_string());
    files.sort();
    listed.sort();
    assert_eq!(files, listed);
}

/// The recipe with a step a stage on drawn scenes, or on pairs where preferences are learned, and nothing else changed but sizes.
fn small(mut recipe: Recipe) -> Recipe {
    let pairs = || vec![MixEntry { data: Some("4-pairs".into()), ..MixEntry::default() }];
    let drawn = || vec![MixEntry { drawn: Some("one_object".to_string()), ..MixEntry::default() }];
    for stage in &mut recipe.stages {
        (stage.steps, stage.epochs, stage.batch, stage.pack) = (Some(1), None, 2, 2);
        stage.schedule.warmup = stage.schedule.warmup.map(|_| 0);
        stage.data = if stage.objective.kind == ObjectiveKind::Dpo { pairs() } else { drawn() };
        if let Some(eval) = &mut stage.eval {
            (eval.every, eval.samples, eval.data) = (1, 1, drawn());
        }
        for group in [&mut stage.vision, &mut stage.projector, &mut stage.language] {
            group.rank = group.rank.filter(|_| group.learn == Some(LearnKind::Lora)).map(|_| 2);
        }
    }
    recipe
}

#[test]
fn the_published_stages_run_at_toy_size() {
    for (name, toy_folder, stages) in PUBLISHED {
        let published = read(name);
        assert_eq!(published.stages.len(), stages, "{name}");
        assert!(name == "nano" || published.stages.iter().all(|stage| !stage.source.is_empty()), "{name}");
        let place = tempfile::tempdir().unwrap();
        let mut trainer = open(toy_folder, place.path(), &small(published));
        for report in run(&mut trainer, usize::MAX) {
            assert!(report.loss.is_finite() && report.norm > 0.0, "{name}, {}", report.stage);
            assert!(report.bad.is_empty(), "{name}, {}: {:?}", report.stage, report.bad);
            let is_dpo = name == "cogvlm2" && report.stage == "post-training 2";
            assert_eq!(report.rewards.is_some(), is_dpo, "{name}, {}", report.stage);
        }
        assert_eq!(trainer.progress.step, stages);
    }
}

#[test]
fn published_numbers_are_those_of_the_sources() {
    let rates = |name: &str| -> Vec<[f64; 3]> {
        use ParameterGroup::{Language, Projector, Vision};
        let stage = |stage: &Stage| {
            [Vision, Projector, Language].map(|group| match stage.learn(group) {
                zoetrope_models::weights::Learn::Frozen => 0.0,
                _ => (1e9 * stage.optimizer.lr * stage.lr_share(group)).round() / 1e9,
            })
        };
        read(name).stages.iter().map(stage).collect()
    };
    let fine = [2e-6, 1e-5, 1e-5];
    assert_eq!(rates("videollama3"), [[1e-5, 1e-3, 0.0], fine, fine, fine]);
    assert_eq!(rates("llava-onevision"), [[0.0, 1e-3, 0.0], fine, fine, fine]);
    assert_eq!(rates("llama-vid"), [[0.0, 1e-3, 0.0], [0.0, 2e-5, 2e-5], [0.0, 2e-5, 2e-5]]);
    assert_eq!(rates("cogvlm2"), [[1e-6, 1e-5, 1e-5]; 2]);
    assert_eq!(rates("cogvlm2-video"), [[4e-6; 3], [1e-6; 3]]);
    assert_eq!(rates("videochat2"), [[1e-4, 1e-4, 0.0], [1e-4, 1e-4, 0.0], [2e-5; 3], [1e-5; 3]]);
}

/// The rates of the recipe as it was written in JSON: one warm-up and one cosine over all stages.
#[test]
fn the_recipe_of_the_default_model_has_one_schedule_over_its_stages() {
    let plan = RunPlan::open(read("nano"), &open_test_data).unwrap();
    assert_eq!(plan.steps(), 10_200);
    let before = |step: usize| {
        if step < 100 {
            return 0.0009 * (step + 1) as f64 / 100.0;
        }
        let done = (step - 100) as f64 / 10_100.0;
        0.0009 * (0.01 + 0.99 * 0.5 * (1.0 + (std::f64::consts::PI * done).cos()))
    };
    for step in [0, 50, 99, 100, 2399, 2400, 3600, 10_199] {
        assert_eq!(plan.lr_at(step), before(step), "{step}");
    }
    assert_eq!((plan.stages[2].first_sample, plan.stages[2].schedule_first), (32 * 3600, 0));
}
