//! What is fetched, where it lies, and what is left alone.

use std::path::Path;

use zoetrope_hub::{DownloadProgress, Extent, HubError, HubOptions, Unwatched, Watch, cached, pull};

use crate::stand_in::{COMMIT, Hub, MODEL, Remote, read, sha256, toy_files, weights, whole};

struct Reports(Vec<DownloadProgress>);

impl Watch for Reports {
    fn progress(&mut self, progress: DownloadProgress) {
        self.0.push(progress);
    }
}

#[test]
fn a_model_is_fetched_once_into_the_layout_of_the_reference() {
    let hub = Hub::new(&toy_files());
    let options = HubOptions { token: Some("s3cret".into()), ..hub.options() };
    let mut reports = Reports(Vec::new());
    let folder = pull(MODEL, &options, &mut reports).expect("pull");
    let reports = reports.0;
    assert_eq!(folder, hub.root().join("snapshots").join(COMMIT));
    assert_eq!(read(&folder.join("model.safetensors")), weights());
    assert_eq!(std::fs::read_to_string(hub.root().join("refs/main")).expect("ref"), COMMIT);
    let mut names: Vec<_> =
        std::fs::read_dir(&folder).expect("folder").map(|e| e.expect("entry").file_name()).collect();
    names.sort();
    assert_eq!(names, ["config.json", "model.safetensors", "tokenizer.json"]);
    #[cfg(unix)]
    {
        let link = std::fs::read_link(folder.join("model.safetensors")).expect("link");
        assert_eq!(link, Path::new("../../blobs").join(sha256(&weights())));
    }

    let last = reports.last().expect("reports").clone();
    let total = weights().len() as u64 + 10;
    assert_eq!(
        (last.file.as_str(), last.file_done, last.done, last.total),
        ("model.safetensors", 700_000, total, total)
    );
    assert!(reports.windows(2).all(|pair| pair[0].done <= pair[1].done), "never backwards");

    let log = hub.take_log();
    let (own, store): (Vec<_>, Vec<_>) = log.iter().partition(|line| !line.contains("/store/"));
    assert!(own.iter().all(|line| line.contains("Bearer s3cret")), "{own:?}");
    assert!(store.len() == 1 && !store[0].contains("s3cret"), "the token stays with its host: {store:?}");
    assert!(!log.iter().any(|line| line.contains(".py") || line.contains(".bin") || line.contains(".md")), "{log:?}");

    // Complete: no request at all. Asked for by `pull`: one, for the revision.
    assert_eq!(whole(MODEL, &options).expect("resolve"), folder);
    assert_eq!(whole(&format!("{MODEL}@{COMMIT}"), &options).expect("by commit"), folder);
    assert_eq!(hub.take_log(), Vec::<String>::new());
    assert_eq!(pull(MODEL, &options, &mut Unwatched).expect("again"), folder);
    let log = hub.take_log();
    assert!(log.len() == 1 && log[0].starts_with("GET /api/models/org/toy/revision/main?"), "{log:?}");
    let offline = HubOptions { offline: true, endpoint: "http://127.0.0.1:1".into(), ..options };
    assert_eq!(pull(MODEL, &offline, &mut Unwatched).expect("offline"), folder);
}

#[test]
fn without_the_network_only_complete_models_are_found() {
    let hub = Hub::new(&toy_files());
    let offline = HubOptions { offline: true, ..hub.options() };
    let error = whole(MODEL, &offline).expect_err("offline");
    assert!(matches!(error, HubError::Offline { .. }) && error.to_string().contains("HF_HUB_OFFLINE"), "{error}");
    assert_eq!(hub.take_log(), Vec::<String>::new());
    let folder = pull(MODEL, &hub.options(), &mut Unwatched).expect("pull");
    assert_eq!(whole(MODEL, &offline).expect("cached"), folder);
    std::fs::remove_file(folder.join("model.safetensors")).expect("remove");
    assert!(matches!(whole(MODEL, &offline), Err(HubError::Offline { .. })));
    // The blob is still there, so no bytes are fetched again.
    hub.take_log();
    assert_eq!(whole(MODEL, &hub.options()).expect("linked again"), folder);
    assert!(!hub.take_log().iter().any(|line| line.contains("GET /store/")));
}

#[test]
fn sharded_models_need_every_shard() {
    let index =
        br#"{"weight_map": {"a": "model-00001-of-00002.safetensors", "b": "model-00002-of-00002.safetensors"}}"#;
    let mut files = vec![
        ("config.json", b"{}".to_vec(), false),
        ("model.safetensors.index.json", index.to_vec(), false),
        ("model-00001-of-00002.safetensors", weights(), true),
    ];
    let hub = Hub::new(&files);
    let error = pull(MODEL, &hub.options(), &mut Unwatched).expect_err("a shard is missing").to_string();
    assert!(error.contains("model-00002-of-00002.safetensors"), "{error}");
    assert!(cached(MODEL, Extent::Whole, &hub.options()).expect("name").is_none());
    files.push(("model-00002-of-00002.safetensors", vec![3; 10], true));
    let hub = Hub::new(&files);
    let folder = pull(MODEL, &hub.options(), &mut Unwatched).expect("all shards");
    std::fs::remove_file(folder.join("model-00002-of-00002.safetensors")).expect("remove");
    assert!(cached(MODEL, Extent::Whole, &hub.options()).expect("name").is_none());
}

#[test]
fn folders_are_used_as_they_are_and_models_without_tensors_are_refused() {
    let hub = Hub::new(&[("config.json", b"{}".to_vec(), false), ("model.onnx", vec![1], true)]);
    let here = hub.folder.path().to_str().expect("path");
    assert_eq!(whole(here, &hub.options()).expect("folder"), hub.folder.path());
    let error = whole(&format!("{here}/nowhere"), &hub.options()).expect_err("no folder");
    assert!(matches!(&error, HubError::Caller(text) if text.contains("nowhere")), "{error}");
    assert_eq!(hub.take_log(), Vec::<String>::new());
    let error = whole(MODEL, &hub.options()).expect_err("no tensors");
    assert!(matches!(&error, HubError::Unsupported(text) if text.contains("it has model.onnx")), "{error}");
}

#[test]
fn pytorch_files_are_downloaded_where_there_is_nothing_better() {
    let index = br#"{"weight_map": {"a": "pytorch_model-1.bin", "b": "pytorch_model-2.bin"}}"#.to_vec();
    let mut files = vec![
        ("config.json", b"{}".to_vec(), false),
        ("training_args.bin", vec![3], true),
        ("pytorch_model.bin.index.json", index, false),
        ("pytorch_model-1.bin", vec![1], true),
    ];
    let error = pull(MODEL, &Hub::new(&files).options(), &mut Unwatched).expect_err("a shard is missing").to_string();
    assert!(error.contains("pytorch_model-2.bin"), "{error}");
    files.push(("pytorch_model-2.bin", vec![2], true));
    let hub = Hub::new(&files);
    let folder = pull(MODEL, &hub.options(), &mut Unwatched).expect("all shards");
    assert!(folder.join("pytorch_model-2.bin").is_file() && !folder.join("training_args.bin").exists());
    assert_eq!(cached(MODEL, Extent::Whole, &hub.options()).expect("name"), Some(folder.clone()));
    std::fs::remove_file(folder.join("pytorch_model-1.bin")).expect("remove");
    assert!(cached(MODEL, Extent::Whole, &hub.options()).expect("name").is_none());
}

#[test]
fn names_of_files_cannot_leave_the_cache() {
    let hub = Hub::new(&toy_files());
    let escape = Remote { bytes: b"{}".to_vec(), ..Remote::default() };
    for name in ["../../evil.json", "/tmp/evil.json", "sub/x.json", "..json", ".hidden.json", "a\\\\b.json"] {
        hub.state.lock().expect("state").files.insert(name.into(), escape.clone());
    }
    let folder = pull(MODEL, &hub.options(), &mut Unwatched).expect("pull");
    assert_eq!(std::fs::read_dir(&folder).expect("folder").count(), 3);
    assert!(
        !hub.take_log().iter().any(|line| line.contains("evil") || line.contains("sub") || line.contains("hidden"))
    );
}
