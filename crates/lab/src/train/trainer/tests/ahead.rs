//! Samples that are loaded ahead, media and features that are kept: the same losses and the same bytes without.

use zoetrope_models::weights::Learn;

use super::stages::bytes_of_checkpoint;
use super::*;
use crate::data::{self, LoaderOptions};

/// A clip of raw frames, whose pixels follow from `seed`.
fn clip(frames: usize, seed: usize) -> Vec<u8> {
    let (width, height) = (56, 42);
    let mut bytes = format!("YUV4MPEG2 W{width} H{height} F2:1 Ip A1:1 C420jpeg\n").into_bytes();
    for frame in 0..frames {
        bytes.extend(b"FRAME\n");
        let values = width * height + 2 * (width / 2) * (height / 2);
        bytes.extend((0..values).map(|at| ((at * (seed + 1) / 7 + 40 * frame) % 200) as u8 + 20));
    }
    bytes
}

/// A folder with clips, pictures and rows about them: row 3 has a clip that does not decode, row 5 is no sample.
fn desk() -> tempfile::TempDir {
    let desk = tempfile::tempdir().unwrap();
    let write = |name: &str, bytes: &[u8]| std::fs::write(desk.path().join(name), bytes).unwrap();
    (0..3).for_each(|seed| write(&format!("{seed}.y4m"), &clip(5, seed)));
    for seed in 0..2u32 {
        let picture = image::RgbImage::from_fn(50, 40, |x, y| image::Rgb([x * 5, y * 6, seed * 90].map(|v| v as u8)));
        picture.save(desk.path().join(format!("{seed}.png"))).unwrap();
    }
    let noise =
        image::RgbImage::from_fn(64, 64, |x, y| image::Rgb([(x * 37) ^ (y * 91), x * y, x ^ y].map(|v| v as u8)));
    noise.save(desk.path().join("torn.png")).unwrap();
    let whole = std::fs::read(desk.path().join("torn.png")).unwrap();
    write("torn.png", &whole[..whole.len() / 2]);
    let clip =
        |name: &str, answer: &str| format!(r#"{{"video": "{name}", "query": "<video>What?", "response": "{answer}"}}"#);
    let picture = |name: &str| format!(r#"{{"image": "{name}", "query": "<image>What?", "response": "It."}}"#);
    let long = format!(r#"{{"query": "{}", "response": "It."}}"#, "word ".repeat(400));
    let rows = [
        clip("0.y4m", "A red one."),
        picture("0.png"),
        picture("torn.png"),
        clip("1.y4m", "Two."),
        picture("none.png"),
        clip("0.y4m", "Another answer."),
        r#"{"query": "Hi", "response": "Hello."}"#.to_string(),
        long,
        clip("2.y4m", "Three."),
    ];
    write("rows.jsonl", rows.join("\n").as_bytes());
    write("held-out.jsonl", [clip("1.y4m", "It is."), picture("1.png")].join("\n").as_bytes());
    desk
}

/// Frozen, then learned, then frozen again, with adapters over packed matrices. A step has packs that are computed at
/// once.
const STAGES: &str = r#"
    max_bad = 1.0
    save_every = 3
    [[stage]]
    name = "frozen"
    epochs = 2
    batch = 4
    max_tokens = 300
    set = { merge = 2, prune = true }
    vision.learn = "frozen"
    language = { learn = "lora", rank = 2, precision = "int8" }
    data = [{ data = "rows.jsonl" }]
    eval = { every = 2, samples = 2, data = [{ data = "held-out.jsonl" }] }
    [[stage]]
    name = "learned"
    epochs = 1
    batch = 3
    max_tokens = 300
    data = [{ data = "rows.jsonl" }]
    [[stage]]
    name = "frozen again"
    epochs = 2
    batch = 4
    pack = 2
    max_tokens = 300
    vision.learn = "frozen"
    data = [{ data = "rows.jsonl" }, { data = "held-out.jsonl" }]
"#;

fn recipe_of(desk: &Path, loader: &LoaderOptions) -> Recipe {
    let (top, stages) = STAGES.split_at(STAGES.find("[[stage]]").unwrap());
    let defaults = "seed = 3\n[defaults]\nbatch = 2\npack = 1\nsteps = 2\nmedia.max_frames = 4\noptimizer.lr = 0.01\n";
    let mut recipe = Recipe::parse(&format!("{top}{defaults}{stages}")).unwrap();
    recipe.folder = desk.to_path_buf();
    recipe.loader = loader.clone();
    recipe
}

fn open_files(desk: &Path, folder: &Path, loader: &LoaderOptions) -> Trainer {
    Trainer::open_with(&toy(TOY), folder, recipe_of(desk, loader), false, &data::open).unwrap()
}

/// Loss, bad samples, samples that were too long, tokens and held-out loss of a step.
type Said = (u64, Vec<String>, u64, usize, Option<u64>);

/// What a run says of its steps, to the bit.
fn said(reports: &[StepReport]) -> Vec<Said> {
    let one = |report: &StepReport| {
        let bad = report.bad.iter().map(ToString::to_string).collect();
        let held_out = report.held_out.map(|held_out| held_out.loss.to_bits());
        (report.loss.to_bits(), bad, report.progress.too_long, report.tokens, held_out)
    };
    reports.iter().map(one).collect()
}

#[test]
fn what_is_loaded_ahead_and_kept_changes_no_bit() {
    let desk = desk();
    let plain = LoaderOptions { workers: 0, ahead_mb: 512, keep_mb: 0, keep_features: false, disk_mb: 0 };
    let folder = tempfile::tempdir().unwrap();
    let mut trainer = open_files(desk.path(), folder.path(), &plain);
    let reports = run(&mut trainer, usize::MAX);
    let (expected, bytes) = (said(&reports), bytes_of_checkpoint(folder.path()));
    let bad: Vec<&String> = expected.iter().flat_map(|step| &step.1).collect();
    assert!(bad.iter().any(|bad| bad.contains("row 5") && bad.contains("media missing")), "{bad:?}");
    assert!(bad.iter().any(|bad| bad.contains("row 3")), "{bad:?}");
    assert!(expected.last().unwrap().2 > 0 && expected.iter().any(|step| step.4.is_some()));
    drop(trainer);
    let some = [
        LoaderOptions { workers: 1, ..plain.clone() },
        // Nothing is made ahead but a run of frames of one sample.
        LoaderOptions { workers: 3, ahead_mb: 0, ..plain.clone() },
        LoaderOptions { workers: 2, keep_mb: 64, ..plain.clone() },
        LoaderOptions { workers: 0, keep_mb: 64, keep_features: true, ..plain.clone() },
        LoaderOptions { workers: 2, keep_mb: 0, keep_features: true, disk_mb: 64, ..plain.clone() },
        LoaderOptions { disk_mb: 64, ..LoaderOptions::default() },
    ];
    for loader in some {
        let folder = tempfile::tempdir().unwrap();
        let mut trainer = open_files(desk.path(), folder.path(), &loader);
        let reports = run(&mut trainer, usize::MAX);
        assert_eq!(said(&reports), expected, "{loader:?}");
        assert_eq!(trainer.kept.bytes() > 0, loader.keep_mb > 0, "{loader:?}");
        assert!(trainer.kept.bytes() <= loader.kept_bytes());
        drop(trainer);
        assert_eq!(bytes_of_checkpoint(folder.path()), bytes, "{loader:?}");
        let files = walk(&folder.path().join("features"));
        assert_eq!(files.is_empty(), loader.disk_mb == 0, "{loader:?} {files:?}");
    }
}

/// The files of features below `folder`.
fn walk(folder: &Path) -> Vec<PathBuf> {
    let found = std::fs::read_dir(folder).into_iter().flatten().flatten().map(|entry| entry.path());
    let all = found.flat_map(|path| if path.is_dir() { walk(&path) } else { vec![path] });
    all.filter(|path| path.extension().is_some_and(|ending| ending == "features")).collect()
}

#[test]
fn a_run_that_is_stopped_goes_on_with_what_was_loaded_ahead() {
    let desk = desk();
    let loader = LoaderOptions { workers: 2, disk_mb: 64, ..LoaderOptions::default() };
    let whole = tempfile::tempdir().unwrap();
    let expected = said(&run(&mut open_files(desk.path(), whole.path(), &loader), usize::MAX));
    let stopped = tempfile::tempdir().unwrap();
    // In the middle of a stage, at the end of one, one step into the next; at last with other ways of loading.
    for until in [2, 5, 6, 9] {
        let reports = run(&mut open_files(desk.path(), stopped.path(), &loader), until);
        let first = reports[0].progress.step - 1;
        assert_eq!(said(&reports), expected[first..until]);
    }
    let plain = LoaderOptions { workers: 0, keep_mb: 0, keep_features: false, ..LoaderOptions::default() };
    run(&mut open_files(desk.path(), stopped.path(), &plain), usize::MAX);
    assert_eq!(bytes_of_checkpoint(stopped.path()), bytes_of_checkpoint(whole.path()));
}

#[test]
fn features_of_another_encoder_are_not_taken() {
    let desk = desk();
    let loader = LoaderOptions { workers: 0, disk_mb: 64, ..LoaderOptions::default() };
    let folder = tempfile::tempdir().unwrap();
    let mut trainer = open_files(desk.path(), folder.path(), &loader);
    let encoder =
        |trainer: &Trainer| trainer.active.frozen_encoder(&trainer.origin, trainer.stage(), &trainer.learned).unwrap();
    let before = encoder(&trainer).unwrap();
    // Two epochs of nine samples in steps of four, then one in steps of three.
    run(&mut trainer, 5 + 3);
    assert_eq!(trainer.stage().learn(ParameterGroup::Vision), Learn::Full);
    assert!(encoder(&trainer).is_none());
    run(&mut trainer, usize::MAX);
    let after = encoder(&trainer).unwrap();
    assert_eq!((&before.family, &before.held_as), (&after.family, &after.held_as));
    assert_ne!(before.checkpoint, after.checkpoint);
    // What is learned above the encoder does not matter.
    let again = tempfile::tempdir().unwrap();
    let mut trainer = open_files(desk.path(), again.path(), &loader);
    run(&mut trainer, 3);
    assert_eq!(encoder(&trainer).unwrap(), before);
}

#[test]
fn a_trainer_that_is_dropped_leaves_no_worker_behind() {
    let data: Arc<dyn Dataset> = Arc::new(TestData { samples: 50, bad: Some(2), are_pairs: false });
    let opened = |_: &Path, _: &DataOptions| Ok(Arc::clone(&data));
    let mut recipe = recipe("[[stage]]\nname = 'one'\nsteps = 40\ndata = [{ data = '50' }]");
    let folder = tempfile::tempdir().unwrap();
    let mut trainer = Trainer::open_with(&toy(TOY), folder.path(), recipe.clone(), false, &opened).unwrap();
    run(&mut trainer, 1);
    assert!(trainer.feed.is_some() && Arc::strong_count(&data) > 1);
    drop(trainer);
    assert_eq!(Arc::strong_count(&data), 1);
    // A run that ends with an error does so, too.
    recipe.max_bad = 0.0;
    let folder = tempfile::tempdir().unwrap();
    let mut trainer = Trainer::open_with(&toy(TOY), folder.path(), recipe, false, &opened).unwrap();
    assert!(trainer.run(&mut |_| ControlFlow::Continue(())).is_err());
    drop(trainer);
    assert_eq!(Arc::strong_count(&data), 1);
}
