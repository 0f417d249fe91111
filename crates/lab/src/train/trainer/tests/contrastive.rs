//! Stages that learn from captions alone.

use zoetrope_models::loading;
use zoetrope_models::weights::LoadOptions;

use super::*;
use crate::train::DryRun;
use crate::train::processes::Alone;

const TOY_WITH_HEADS: &str = "videochat2/toy";

/// A stage of captions, then one of answers.
fn stages() -> Recipe {
    recipe(
        r#"
        [[stage]]
        name = "captions"
        steps = 3
        batch = 3
        turns = 1
        objective = { kind = "contrastive" }
        vision = { learn = "full", only = ["vision_layernorm"] }
        language.learn = "frozen"
        optimizer.lr = 0.001
        data = [{ data = "5" }]

        [[stage]]
        name = "answers"
        steps = 1
        vision.learn = "frozen"
        language.learn = "frozen"
    "#,
    )
}

#[test]
fn what_is_learned_from_captions_goes_on_and_is_exported() {
    let place = tempfile::tempdir().unwrap();
    let mut trainer = open(TOY_WITH_HEADS, place.path(), &stages());
    let begun = exported(&PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../models/tests/golden/videochat2/toy")));
    let reports = run(&mut trainer, usize::MAX);
    assert_eq!(
        reports.iter().map(|report| &*report.stage).collect::<Vec<_>>(),
        ["captions", "captions", "captions", "answers"]
    );
    assert!(reports.iter().all(|report| report.loss.is_finite() && report.norm > 0.0 && report.bad.is_empty()));
    // Nats of the captions' words.
    assert!(reports[0].sources[0].1 > 0.5, "{:?}", reports[0].sources);
    let folder = trainer.export().unwrap();
    let ended = exported(&folder);
    let changed = |name: &str, ours: &str| bits(&begun[name]) != bits(&ended[ours]);
    for name in ["temp", "vision_proj.weight", "text_proj.bias", "itm_head.weight", "vision_temp_embed", "query_tokens"]
    {
        assert!(changed(name, name), "{name}");
    }
    assert!(changed("qformer.cls.predictions.bias", "qformer.cls.predictions.decoder.bias"));
    assert!(changed("vision_layernorm.weight", "vision_layernorm.weight"));
    // What is frozen, and what only the second stage looks at.
    let patches = "vision_encoder.encoder.patch_embed.proj.weight";
    assert!(!changed(patches, patches));
    // The folder goes on with its heads, and answers without them.
    let model = loading::open(&ModelCheckpoint::Folder(folder.clone()), LoadOptions::training()).unwrap();
    let aligner = model.aligner(None).unwrap().unwrap();
    assert_eq!(bits(aligner.temperature()), bits(&ended["temp"]));
}

#[test]
fn a_stopped_run_goes_on_to_the_same_bits() {
    let (whole, stopped) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let mut trainer = open(TOY_WITH_HEADS, whole.path(), &stages());
    let reports = run(&mut trainer, usize::MAX);
    let (mut losses, wanted) = (Vec::new(), trainer.weights());
    for until in [2, 3, 4] {
        let mut trainer = open(TOY_WITH_HEADS, stopped.path(), &stages());
        losses.extend(run(&mut trainer, until).into_iter().map(|report| report.loss));
        if until == 4 {
            let found = trainer.weights();
            assert_eq!(found.len(), wanted.len());
            wanted.iter().for_each(|(name, value)| assert_eq!(bits(value), bits(&found[name]), "{name}"));
        }
    }
    assert_eq!(losses, reports.iter().map(|report| report.loss).collect::<Vec<_>>());
}

/// Heads and everything else begin with random values.
#[test]
fn a_run_from_scratch_begins_with_captions() {
    let place = tempfile::tempdir().unwrap();
    let recipe = stages();
    let mut trainer =
        Trainer::open_with(&toy("videochat2/toy-hd"), place.path(), recipe, true, &open_test_data).unwrap();
    let reports = run(&mut trainer, usize::MAX);
    assert!(reports.iter().all(|report| report.loss.is_finite() && report.norm > 0.0));
    assert!(trainer.weights().contains_key("qformer.bert.encoder.layer.2.intermediate.dense.weight"));
}

#[test]
fn held_out_captions_are_measured() {
    let place = tempfile::tempdir().unwrap();
    let mut recipe = stages();
    recipe.stages.truncate(1);
    recipe.stages[0].eval =
        Some(crate::train::EvalOptions { every: 1, samples: 4, data: recipe.stages[0].data.clone() });
    let mut trainer = open(TOY_WITH_HEADS, place.path(), &recipe);
    for report in run(&mut trainer, usize::MAX) {
        let found = report.held_out.unwrap();
        assert!(found.loss.is_finite() && found.loss > 0.0 && found.samples == 4, "{found:?}");
    }
}

/// Without the decoder a sample has the words of its caption, and no tokens of its picture.
#[test]
fn a_dry_run_counts_the_words_of_captions() {
    let desk = tempfile::tempdir().unwrap();
    image::RgbImage::from_pixel(40, 40, image::Rgb([200, 30, 30])).save(desk.path().join("a.png")).unwrap();
    let row = |caption: &str, media: &str| {
        format!(r#"{{"query": "{media}Say.", "response": "{caption}"{}}}"#, {
            if media.is_empty() { "" } else { r#", "image": "a.png""# }
        })
    };
    let rows = [row("a red circle", "<image>"), row("red", "<image>"), row("no picture", "")];
    std::fs::write(desk.path().join("captions.jsonl"), rows.join("\n")).unwrap();
    let mut recipe = stages();
    recipe.stages[0].data[0].data = Some(desk.path().join("captions.jsonl"));
    let template = toy(TOY_WITH_HEADS);
    let dry_run = DryRun::open(Arc::new(Alone), &template, recipe, false).unwrap();
    let estimate = dry_run.stage(0).unwrap();
    let model = loading::open(&template, LoadOptions::training()).unwrap();
    let aligner = model.aligner(None).unwrap().unwrap();
    let [long, short] = ["a red circle", "red"].map(|caption| aligner.words(caption).unwrap().len());
    assert_eq!((estimate.longest, estimate.visual_tokens, estimate.bad), (long, 0.0, 1));
    assert_eq!(estimate.sample_tokens, (long + short) as f64 / 2.0);
    assert!(estimate.step_seconds.is_some());
}

#[test]
fn families_without_such_a_stage_refuse_it() {
    let place = tempfile::tempdir().unwrap();
    let error =
        Trainer::open_with(&toy(TOY), place.path(), stages(), false, &open_test_data).err().unwrap().to_string();
    assert!(error.contains("captions") && error.contains("objective.kind"), "{error}");
}
