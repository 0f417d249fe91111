//! `zoetrope train` as one of several processes, in a program that was built without MPI.

use std::path::Path;
use std::process::Output;

use crate::program::{TOY, err, zoetrope};

const RECIPE: &str = "[[stage]]\nname = \"one\"\nsteps = 1\nbatch = 2\npack = 1\nmedia.max_frames = 2\n\
                      optimizer.lr = 0.01\ndata = [{ drawn = \"one_object\" }]\n";

fn train(folder: &Path, more: &[&str], variables: &[(&str, &str)]) -> Output {
    let recipe = folder.join("recipe.toml");
    std::fs::write(&recipe, RECIPE).expect("written");
    let recipe = recipe.display().to_string();
    let args = [&["train", &recipe, "--model", TOY][..], more].concat();
    zoetrope(&args).envs(variables.iter().copied()).output().expect("the binary starts")
}

#[test]
fn a_process_that_cannot_find_the_others_does_not_train_by_itself() {
    let folder = tempfile::tempdir().expect("a folder");
    let out = folder.path().join("run");
    let out = out.to_str().expect("UTF-8");
    for (launcher, variables) in [
        ("mpirun", [("OMPI_COMM_WORLD_RANK", "1"), ("OMPI_COMM_WORLD_SIZE", "2")]),
        ("mpiexec", [("PMI_RANK", "1"), ("PMI_SIZE", "2")]),
        ("srun", [("SLURM_PROCID", "1"), ("SLURM_STEP_NUM_TASKS", "2")]),
        ("torchrun", [("RANK", "1"), ("WORLD_SIZE", "2")]),
    ] {
        for more in [&["--out", out][..], &["--dry-run"]] {
            let output = train(folder.path(), more, &variables);
            let text = err(&output);
            assert_eq!(output.status.code(), Some(1), "{text}");
            assert!(text.contains(&format!("started as process 1 of 2 by {launcher}, but ")), "{text}");
            assert!(text.contains("MPI"), "{text}");
        }
        assert!(!Path::new(out).exists());
    }
}

#[test]
fn the_only_process_of_a_launcher_trains() {
    let folder = tempfile::tempdir().expect("a folder");
    let variables = [("OMPI_COMM_WORLD_RANK", "0"), ("OMPI_COMM_WORLD_SIZE", "1")];
    let output = train(folder.path(), &["--dry-run", "--json"], &variables);
    assert_eq!(output.status.code(), Some(0), "{}", err(&output));
    let said: serde_json::Value = serde_json::from_slice(&output.stdout).expect("one object");
    assert_eq!((said["processes"].as_u64(), said["steps"].as_u64()), (Some(1), Some(1)));
}
