//! `zoetrope train` on clips, end to end: what it says of decoding, and what it keeps.

use std::path::Path;

use crate::program::{TOY, ends, err, fails, out, zoetrope};

/// What a command that ends well writes to both outputs.
fn done(args: &[&str]) -> (String, String) {
    let output = ends(zoetrope(args));
    (out(&output), err(&output))
}

/// Three clips and five rows about them.
fn write_data(folder: &Path) {
    let (width, height) = (56, 42);
    for clip in 0..3 {
        let mut bytes = format!("YUV4MPEG2 W{width} H{height} F2:1 Ip A1:1 C420jpeg\n").into_bytes();
        for frame in 0..6 {
            bytes.extend(b"FRAME\n");
            bytes.extend((0..width * height * 3 / 2).map(|at| ((at * (clip + 2) + frame * 9) % 220 + 16) as u8));
        }
        std::fs::write(folder.join(format!("{clip}.y4m")), bytes).expect("written");
    }
    let row = |row: usize| {
        let video = format!("{}.y4m", row % 3);
        serde_json::json!({ "video": video, "query": "<video>What?", "response": format!("Answer {row}.") }).to_string()
    };
    std::fs::write(folder.join("rows.jsonl"), (0..5).map(row).collect::<Vec<_>>().join("\n")).expect("written");
}

const RECIPE: &str = r#"
LOADER

[[stage]]
name = "adapter"
epochs = 4
batch = 2
pack = 1
media.max_frames = 4
vision.learn = "frozen"
projector.learn = "frozen"
language = { learn = "lora", rank = 2 }
optimizer.lr = 0.01
data = [{ data = "rows.jsonl" }]
"#;

#[test]
fn training_says_how_long_it_waited_and_what_features_take() {
    let folder = tempfile::tempdir().expect("a folder");
    write_data(folder.path());
    let path = |name: &str| folder.path().join(name).display().to_string();
    let recipe = |name: &str, loader: &str| {
        std::fs::write(folder.path().join(name), RECIPE.replace("LOADER", loader)).expect("written");
        path(name)
    };
    let plain = recipe("plain.toml", "[loader]\nworkers = 0\nkeep_mb = 0\nkeep_features = false");
    let ahead = recipe("ahead.toml", "[loader]\nworkers = 2\ndisk_mb = 50");

    let (out, _) = done(&["train", &ahead, "--model", TOY, "--dry-run"]);
    let line = out.lines().find(|line| line.contains("features of the frozen encoder")).unwrap_or(&out);
    assert!(line.contains("for all samples") && line.contains("50.0 MB on disk"), "{out}");
    let (out, _) = done(&["train", &ahead, "--model", TOY, "--dry-run", "--json"]);
    let estimate: serde_json::Value = serde_json::from_str(&out).expect("one object");
    let estimated = estimate["stages"][0]["stage"]["feature_bytes"].as_u64().expect("bytes");
    let (out, _) = done(&["train", &plain, "--model", TOY, "--dry-run"]);
    assert!(!out.contains("features of"), "{out}");

    let (_, err) = done(&["train", &plain, "--model", TOY, "--out", &path("plain")]);
    assert!(err.contains("step 10 of 10") && err.contains("% of the time waiting for data"), "{err}");
    let (_, err) = done(&["train", &ahead, "--model", TOY, "--out", &path("ahead"), "--until", "4"]);
    assert!(!err.contains("skipped"), "{err}");
    // Another way of loading is no other run.
    done(&["train", &plain, "--model", TOY, "--out", &path("ahead"), "--until", "5"]);
    done(&["train", &ahead, "--model", TOY, "--out", &path("ahead")]);
    let steps = |run: &str| {
        let lines = std::fs::read_to_string(folder.path().join(run).join("metrics.jsonl")).expect("metrics");
        let lines: Vec<serde_json::Value> =
            lines.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect();
        lines.into_iter().filter(|line| line["record"] == "step").collect::<Vec<_>>()
    };
    let (one, other) = (steps("plain"), steps("ahead"));
    assert_eq!((one.len(), other.len()), (10, 10));
    for (one, other) in one.iter().zip(&other) {
        assert_eq!((&one["loss"], &one["gradient_norm"]), (&other["loss"], &other["gradient_norm"]));
        let waited = one["waited"].as_f64().expect("seconds");
        assert!(waited > 0.0 && waited <= one["seconds"].as_f64().expect("seconds"), "{one}");
    }
    let weights = |run: &str| std::fs::read(folder.path().join(run).join("adapter/adapter_model.safetensors"));
    assert_eq!(weights("plain").expect("an adapter"), weights("ahead").expect("an adapter"));

    // Each clip lies once on disk; the estimate counts the clip of each of the five rows.
    let folders = std::fs::read_dir(folder.path().join("ahead/features")).expect("a folder").flatten();
    let files = folders.flat_map(|folder| std::fs::read_dir(folder.path()).into_iter().flatten().flatten());
    let sizes: Vec<u64> = files.map(|file| file.metadata().expect("a file").len()).collect();
    assert_eq!(sizes.len(), 3, "{sizes:?}");
    // A file also has a header.
    let bytes: u64 = sizes.iter().sum();
    assert!(bytes > estimated * 3 / 5 && bytes < estimated * 3 / 5 + 3 * 8192, "{bytes} {estimated}");

    let wrong = recipe("wrong.toml", "[loader]\nworker = 1");
    fails(&["train", &wrong, "--model", TOY, "--out", &path("wrong")], 1, &["did you mean \"workers\"?"]);
}
