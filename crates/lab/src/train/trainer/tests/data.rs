//! Samples that cannot be used, that are too long, and that are held out.

use super::*;

#[test]
fn bad_samples_are_counted_and_skipped_until_there_are_too_many() {
    let folder = tempfile::tempdir().unwrap();
    let mut recipe = recipe("[[stage]]\nname = 'one'\nepochs = 2\ndata = [{ data = '5-bad' }]");
    recipe.max_bad = 0.01;
    let mut trainer = open(TOY, folder.path(), &recipe);
    let mut bad = Vec::new();
    let error = trainer.run(&mut |report| {
        bad.extend(report.bad.clone());
        ControlFlow::Continue(())
    });
    // A hundred samples are the least that a share is taken of: one may be bad, the second one ends the run.
    let error = error.unwrap_err().to_string();
    assert_eq!(bad.len(), 1);
    assert_eq!(bad[0].to_string(), "test.json: row 3: no answer");
    assert!(
        error.contains("2 of") && error.contains("max_bad = 0.01") && error.contains("row 3: no answer"),
        "{error}"
    );
    recipe.max_bad = 0.1;
    let folder = tempfile::tempdir().unwrap();
    let mut trainer = open(TOY, folder.path(), &recipe);
    let reports = run(&mut trainer, usize::MAX);
    assert_eq!((trainer.progress.bad, trainer.progress.samples, reports.len()), (2, 10, 5));
}

#[test]
fn samples_that_are_too_long_are_counted_and_skipped() {
    let folder = tempfile::tempdir().unwrap();
    let lines = "[[stage]]\nname = 'one'\nepochs = 1\ndata = [{ data = '6' }]\n";
    let mut trainer = open(TOY, folder.path(), &recipe(&format!("{lines}max_tokens = 10")));
    let before = bits(&trainer.weights()["model.projector.readout.0.weight"]);
    let reports = run(&mut trainer, usize::MAX);
    assert_eq!((trainer.progress.too_long, trainer.progress.bad, reports.len()), (6, 0, 3));
    assert!(reports.iter().all(|report| report.tokens == 0 && report.norm == 0.0));
    assert_eq!(bits(&trainer.weights()["model.projector.readout.0.weight"]), before);
}

#[test]
fn the_model_with_the_lowest_held_out_loss_is_kept() {
    let folder = tempfile::tempdir().unwrap();
    let mut recipe = recipe(
        "[[stage]]\nname = 'one'\nsteps = 5\noptimizer.lr = 0.002\n\
         eval = { every = 2, samples = 3, data = [{ data = '2' }] }",
    );
    recipe.keep_best = true;
    let mut trainer = open(TOY, folder.path(), &recipe);
    let reports = run(&mut trainer, usize::MAX);
    let held_out: Vec<_> = reports.iter().map(|report| report.held_out).collect();
    assert!(held_out[0].is_none() && held_out[2].is_none(), "{held_out:?}");
    // After every second step, and after the last one.
    let lowest = held_out.iter().flatten().map(|held_out| held_out.loss).fold(f64::INFINITY, f64::min);
    // The file has fewer samples than are asked for.
    assert!(held_out.iter().flatten().all(|held_out| held_out.samples == 2), "{held_out:?}");
    assert_eq!(held_out.iter().flatten().count(), 3);
    assert_eq!(trainer.progress.best, Some(lowest));
    assert!(folder.path().join(BEST).join("model.safetensors").is_file());
    assert_eq!(reports[4].sources.len(), 1);
}
