//! How much of a model is fetched: outlines, halves, headers; and who may refuse the rest.

use std::error::Error;
use std::path::Path;

use zoetrope_hub::{Extent, HubError, HubOptions, Unwatched, Watch, cached, preview, pull, resolve};

use crate::stand_in::{COMMIT, Hub, MODEL, read, toy_files, weights, whole};

/// Takes no model.
struct Refuses;

impl Watch for Refuses {
    fn admit(&mut self, folder: &Path) -> Result<(), Box<dyn Error + Send + Sync>> {
        assert!(folder.join("config.json").is_file() && folder.join("tokenizer.json").is_file());
        Err("of another family".into())
    }
}

const INDEX: &[u8] =
    br#"{"weight_map": {"a": "model-00001-of-00002.safetensors", "b": "model-00002-of-00002.safetensors"}}"#;

fn sharded_files() -> Vec<(&'static str, Vec<u8>, bool)> {
    vec![
        ("config.json", b"{}".to_vec(), false),
        ("tokenizer.json", b"{}".to_vec(), false),
        ("preprocessor_config.json", b"{\"size\": 1}".to_vec(), false),
        ("model.safetensors.index.json", INDEX.to_vec(), false),
        ("model-00001-of-00002.safetensors", weights(), true),
        ("model-00002-of-00002.safetensors", vec![3; 10], true),
    ]
}

fn asked_for_weights(log: &[String]) -> bool {
    log.iter().any(|line| line.starts_with("GET") && (line.contains(".safetensors ") || line.contains(".bin ")))
}

#[test]
fn an_outline_has_no_weights_and_the_whole_goes_on_from_it() {
    for sizes in [false, true] {
        let hub = Hub::new(&toy_files());
        hub.set(|state| state.sizes = sizes);
        let options = hub.options();
        let outline = resolve(MODEL, Extent::Outline, &options, &mut Unwatched).expect("outline");
        assert!(outline.join("config.json").is_file() && !outline.join("model.safetensors").exists());
        let log = hub.take_log();
        assert!(!asked_for_weights(&log), "{log:?}");
        assert_eq!(log.iter().any(|line| line.starts_with("HEAD")), !sizes, "the list has what HEAD would ask for");
        // Known now: no request.
        assert_eq!(resolve(MODEL, Extent::Outline, &options, &mut Unwatched).expect("again"), outline);
        assert_eq!(hub.take_log(), Vec::<String>::new());
        assert_eq!(cached(MODEL, Extent::Whole, &options).expect("name"), None);
        assert_eq!(whole(MODEL, &options).expect("whole"), outline);
        assert_eq!(read(&outline.join("model.safetensors")), weights());
        assert!(!hub.take_log().iter().any(|line| line.starts_with("GET") && line.contains("config.json")));
    }
}

#[test]
fn a_model_that_is_refused_costs_no_weights() {
    for files in [toy_files(), sharded_files()] {
        let hub = Hub::new(&files);
        for _ in 0..2 {
            let error = pull(MODEL, &hub.options(), &mut Refuses).expect_err("refused");
            assert!(matches!(error, HubError::Refused(_)) && error.to_string() == "of another family", "{error}");
            let error = resolve(MODEL, Extent::Whole, &hub.options(), &mut Refuses).expect_err("refused");
            assert!(matches!(error, HubError::Refused(_)), "{error}");
            assert!(matches!(preview(MODEL, &hub.options(), &mut Refuses), Err(HubError::Refused(_))));
        }
        let log = hub.take_log();
        assert!(!asked_for_weights(&log), "{log:?}");
    }
}

#[test]
fn adapters_are_left_to_the_caller_and_other_formats_refused_before_anything_large() {
    let adapter = [("adapter_config.json", b"{}".to_vec(), false), ("adapter_model.safetensors", weights(), true)];
    let hub = Hub::new(&adapter);
    // The program refuses one without its base when its configuration is there, before its weights.
    let folder = pull(MODEL, &hub.options(), &mut Unwatched).expect("an adapter");
    assert!(folder.join("adapter_config.json").is_file() && folder.join("adapter_model.safetensors").is_file());
    hub.take_log();
    let hub = Hub::new(&[("README.md", vec![], false), ("x-Q4.gguf", weights(), true)]);
    let error = pull(MODEL, &hub.options(), &mut Unwatched).expect_err("GGUF").to_string();
    assert!(error.contains("x-Q4.gguf") && error.contains("original model"), "{error}");
    assert_eq!(hub.take_log().len(), 1);
}

#[test]
fn half_a_cache_is_completed() {
    let part = |names: &[&str]| -> Vec<(&'static str, Vec<u8>)> {
        let all = sharded_files().into_iter().filter(|(name, ..)| names.contains(name));
        all.map(|(name, bytes, _)| (name, bytes)).collect()
    };
    let first = "model-00001-of-00002.safetensors";
    let second = "model-00002-of-00002.safetensors";
    let index = "model.safetensors.index.json";
    for (names, missing) in [
        (vec!["config.json"], "tokenizer.json"),
        // Python fetches in any order: no index yet.
        (vec!["config.json", "tokenizer.json", first], "weights"),
        (vec!["config.json", "tokenizer.json", first, second], "weights"),
        (vec!["config.json", "tokenizer.json", index, first], second),
        (vec!["config.json", index, first, second], "tokenizer.json"),
        (vec!["tokenizer.json", index, first, second], "config.json"),
    ] {
        let hub = Hub::new(&sharded_files());
        hub.cache_has(&part(&names));
        let offline = HubOptions { offline: true, ..hub.options() };
        let error = whole(MODEL, &offline).expect_err("offline");
        assert!(matches!(error, HubError::Offline { .. }) && error.to_string().contains(missing), "{error}");
        let folder = whole(MODEL, &hub.options()).expect("completed");
        for (name, bytes, _) in sharded_files() {
            assert_eq!(read(&folder.join(name)), bytes, "{name} after {names:?}");
        }
        let log = hub.take_log();
        let again = |name: &&str| log.iter().any(|line| line.starts_with("GET") && line.contains(&format!("/{name} ")));
        assert!(!names.iter().any(again), "{log:?}");
        whole(MODEL, &offline).expect("complete");
    }
}

#[test]
fn files_that_a_model_may_have_are_asked_for_once() {
    // Enough to load, and without the file that says which pixels the model sees.
    let hub = Hub::new(&sharded_files());
    let files = sharded_files().into_iter().filter(|(name, ..)| *name != "preprocessor_config.json");
    hub.cache_has(&files.map(|(name, bytes, _)| (name, bytes)).collect::<Vec<_>>());
    let away = HubOptions { endpoint: "http://127.0.0.1:1".into(), ..hub.options() };
    let offline = HubOptions { offline: true, ..away.clone() };
    for options in [away, offline] {
        let folder = whole(MODEL, &options).expect("usable where nobody can be asked");
        assert!(!folder.join("preprocessor_config.json").exists());
    }
    let folder = whole(MODEL, &hub.options()).expect("asked");
    assert_eq!(read(&folder.join("preprocessor_config.json")), b"{\"size\": 1}");
    assert!(!hub.take_log().is_empty());
    // The list said which files there are not.
    assert!(hub.root().join(".no_exist").join(COMMIT).join("generation_config.json").is_file());
    whole(MODEL, &hub.options()).expect("complete");
    assert_eq!(hub.take_log(), Vec::<String>::new());
}

/// A safetensors file with one tensor, whose header is padded to `header` bytes.
fn safetensors(header: usize) -> Vec<u8> {
    let json = r#"{"a":{"dtype":"F32","shape":[100000],"data_offsets":[0,400000]}}"#;
    let mut bytes = (header as u64).to_le_bytes().to_vec();
    bytes.extend(json.bytes().chain(std::iter::repeat(b' ')).take(header));
    bytes.extend((0..400_000).map(|i| (i % 250 + 1) as u8));
    bytes
}

#[test]
fn a_preview_has_headers_in_files_of_the_right_length() {
    for (header, no_ranges) in [(200, false), (400_000, false), (200, true)] {
        let bytes = safetensors(header);
        let mut files = toy_files();
        files[1].1 = bytes.clone();
        let hub = Hub::new(&files);
        hub.change("model.safetensors", |file| file.no_ranges = no_ranges);
        let looked = preview(MODEL, &hub.options(), &mut Unwatched).expect("preview");
        let file = read(&looked.folder().join("model.safetensors"));
        let end = header + 8;
        assert_eq!((file.len(), &file[..end]), (bytes.len(), &bytes[..end]));
        assert!(file[end..].iter().all(|&byte| byte == 0), "no values");
        assert_eq!(read(&looked.folder().join("config.json")), b"{\"a\": 1}");
        assert!(!hub.snapshot().join("model.safetensors").exists());
        let log = hub.take_log();
        let mut asked = log.iter().filter(|line| line.starts_with("GET /store/"));
        assert!(asked.all(|line| line.contains(" bytes=0-")), "{log:?}");
        let folder = looked.folder().to_path_buf();
        drop(looked);
        assert!(!folder.exists());
        // What is whole is given as it is.
        let folder = whole(MODEL, &hub.options()).expect("whole");
        assert_eq!(preview(MODEL, &hub.options(), &mut Unwatched).expect("preview").folder(), folder);
    }
}

#[test]
fn a_preview_of_senseless_weights_is_refused() {
    for bytes in [vec![], vec![255; 4000], 1_000_000_u64.to_le_bytes().to_vec()] {
        let mut files = toy_files();
        files[1].1 = bytes;
        let error = preview(MODEL, &Hub::new(&files).options(), &mut Unwatched).expect_err("no header");
        assert!(matches!(&error, HubError::Malformed { url, .. } if url.ends_with("model.safetensors")), "{error}");
    }
}

#[test]
fn a_complete_model_needs_no_write() {
    let hub = Hub::new(&sharded_files());
    let folder = whole(MODEL, &hub.options()).expect("whole");
    let files = || {
        let mut all: Vec<_> = walk(hub.folder.path()).into_iter().collect();
        all.sort();
        all
    };
    let before = files();
    assert_eq!(pull(MODEL, &hub.options(), &mut Unwatched).expect("again"), folder);
    assert_eq!(files(), before, "names and times of change");
    // A file in the place of a folder stands for a file system that cannot be written: the tests may run as root.
    std::fs::remove_dir_all(hub.folder.path().join("hub/.locks")).expect("remove");
    std::fs::write(hub.folder.path().join("hub/.locks"), "").expect("write");
    assert_eq!(pull(MODEL, &hub.options(), &mut Unwatched).expect("read-only"), folder);
    std::fs::remove_file(folder.join("model-00002-of-00002.safetensors")).expect("remove");
    let error = pull(MODEL, &hub.options(), &mut Unwatched).expect_err("incomplete");
    assert!(matches!(error, HubError::File { .. }) && error.to_string().contains(".locks"), "{error}");
}

fn walk(folder: &Path) -> Vec<(std::path::PathBuf, std::time::SystemTime)> {
    let mut all = Vec::new();
    for entry in std::fs::read_dir(folder).expect("folder") {
        let path = entry.expect("entry").path();
        let metadata = path.symlink_metadata().expect("metadata");
        all.push((path.clone(), metadata.modified().expect("time")));
        if metadata.is_dir() {
            all.extend(walk(&path));
        }
    }
    all
}
