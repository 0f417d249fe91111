//! The hub client against a stand-in for the hub on this machine. No test uses the network.
#![cfg(feature = "download")]

use std::collections::HashMap;
use std::fmt::Write as _;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use sha1::Digest;
use zoetrope_hub::{DownloadProgress, HubError, HubOptions, cached, pull};

const COMMIT: &str = "0123456789abcdef0123456789abcdef01234567";
const MODEL: &str = "org/toy";

/// How the stand-in answers for a file.
#[derive(Clone, Debug, Default)]
struct Remote {
    bytes: Vec<u8>,
    /// Kept in git, or in the store of large files behind a redirect.
    large: bool,
    /// Number of bytes after which each of the next answers breaks off.
    breaks: Vec<usize>,
    /// Sends other bytes than announced.
    damaged: bool,
    /// Ignores `Range`.
    no_ranges: bool,
    /// Statuses given before the file itself is.
    statuses: Vec<u16>,
}

#[derive(Debug, Default)]
struct State {
    files: HashMap<String, Remote>,
    /// Status and error code for everything, instead of answers.
    refusal: Option<(u16, &'static str)>,
    /// "METHOD PATH RANGE AUTHORIZATION" of every request.
    log: Vec<String>,
}

/// A hub with one model.
struct Hub {
    port: u16,
    state: Arc<Mutex<State>>,
    folder: tempfile::TempDir,
}

impl Hub {
    fn new(files: &[(&str, Vec<u8>, bool)]) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("listen");
        let port = listener.local_addr().expect("address").port();
        let files = files.iter().map(|(name, bytes, large)| {
            (name.to_string(), Remote { bytes: bytes.clone(), large: *large, ..Remote::default() })
        });
        let state = Arc::new(Mutex::new(State { files: files.collect(), ..State::default() }));
        let shared = Arc::clone(&state);
        // Lives as long as the test's process.
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                // A client that goes away is no failure of the stand-in.
                let _ = serve(stream, &shared, port);
            }
        });
        Hub { port, state, folder: tempfile::tempdir().expect("folder") }
    }

    fn options(&self) -> HubOptions {
        HubOptions {
            cache: self.folder.path().join("hub"),
            endpoint: format!("http://127.0.0.1:{}", self.port),
            token: None,
            offline: false,
            retries: 2,
            pause: Duration::from_millis(1),
            timeout: Duration::from_secs(10),
        }
    }

    fn change(&self, file: &str, change: impl FnOnce(&mut Remote)) {
        change(self.state.lock().expect("state").files.get_mut(file).expect("file"));
    }

    fn take_log(&self) -> Vec<String> {
        std::mem::take(&mut self.state.lock().expect("state").log)
    }

    fn refuse(&self, status: u16, code: &'static str) {
        self.state.lock().expect("state").refusal = Some((status, code));
    }

    fn root(&self) -> PathBuf {
        self.folder.path().join("hub/models--org--toy")
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        write!(text, "{byte:02x}").expect("text");
        text
    })
}

fn etag(file: &Remote) -> String {
    if file.large {
        return hex(&sha2::Sha256::digest(&file.bytes));
    }
    hex(&sha1::Sha1::new().chain_update(format!("blob {}\0", file.bytes.len())).chain_update(&file.bytes).finalize())
}

fn serve(mut stream: TcpStream, state: &Mutex<State>, port: u16) -> std::io::Result<()> {
    let mut lines = BufReader::new(stream.try_clone()?).lines();
    let request = lines.next().unwrap_or_else(|| Ok(String::new()))?;
    let mut headers = HashMap::new();
    for line in lines {
        let line = line?;
        let Some((name, value)) = line.split_once(':') else { break };
        headers.insert(name.to_ascii_lowercase(), value.trim().to_string());
    }
    let mut words = request.split(' ');
    let (method, path) = (words.next().unwrap_or_default(), words.next().unwrap_or_default());
    let said = |name: &str| headers.get(name).cloned().unwrap_or_else(|| "-".into());
    let mut state = state.lock().expect("state");
    let State { files, refusal, log } = &mut *state;
    log.push(format!("{method} {path} {} {} {}", said("range"), said("authorization"), said("host")));
    if let Some((status, code)) = *refusal {
        return write!(
            stream,
            "HTTP/1.1 {status} No\r\nx-error-code: {code}\r\ncontent-length: 0\r\nconnection: close\r\n\r\n"
        );
    }
    if path.starts_with("/api/models/org/toy/revision/") {
        let names: Vec<String> = files.keys().map(|name| format!("{{\"rfilename\":\"{name}\"}}")).collect();
        let json = format!("{{\"sha\":\"{COMMIT}\",\"siblings\":[{}]}}", names.join(","));
        return write!(stream, "HTTP/1.1 200 OK\r\ncontent-length: {}\r\nconnection: close\r\n\r\n{json}", json.len());
    }
    let name = path.rsplit('/').next().unwrap_or_default();
    let Some(file) = files.get_mut(name).filter(|_| path.contains(COMMIT) || path.starts_with("/store/")) else {
        return write!(stream, "HTTP/1.1 404 Not Found\r\nconnection: close\r\ncontent-length: 0\r\n\r\n");
    };
    if method == "GET" && !file.statuses.is_empty() {
        let status = file.statuses.remove(0);
        return write!(stream, "HTTP/1.1 {status} No\r\nconnection: close\r\ncontent-length: 0\r\n\r\n");
    }
    if file.large && !path.starts_with("/store/") {
        // Another name of this machine: to the client another host.
        return write!(
            stream,
            "HTTP/1.1 302 Found\r\nlocation: http://localhost:{port}/store/{name}\r\nx-linked-etag: \"{}\"\r\n\
             x-linked-size: {}\r\nconnection: close\r\ncontent-length: 0\r\n\r\n",
            etag(file),
            file.bytes.len()
        );
    }
    send(&mut stream, method, file, headers.get("range").map(String::as_str))
}

fn send(stream: &mut TcpStream, method: &str, file: &mut Remote, range: Option<&str>) -> std::io::Result<()> {
    let range = range.filter(|_| !file.no_ranges);
    let from: usize =
        range.and_then(|range| range.strip_prefix("bytes=")?.strip_suffix('-')?.parse().ok()).unwrap_or(0);
    let total = file.bytes.len();
    let (status, extra) = match range {
        Some(_) => {
            ("206 Partial Content", format!("content-range: bytes {from}-{}/{total}\r\n", total.saturating_sub(1)))
        }
        None => ("200 OK", String::new()),
    };
    write!(
        stream,
        "HTTP/1.1 {status}\r\netag: \"{}\"\r\n{extra}content-length: {}\r\nconnection: close\r\n\r\n",
        etag(file),
        total - from
    )?;
    if method == "HEAD" {
        return Ok(());
    }
    let mut body = file.bytes[from..].to_vec();
    if file.damaged {
        body.iter_mut().for_each(|byte| *byte ^= 1);
    }
    if !file.breaks.is_empty() {
        body.truncate(file.breaks.remove(0));
    }
    stream.write_all(&body)
}

fn weights() -> Vec<u8> {
    (0..700_000_u32).map(|i| (i.wrapping_mul(2_654_435_761) >> 13) as u8).collect()
}

fn toy_files() -> Vec<(&'static str, Vec<u8>, bool)> {
    vec![
        ("config.json", b"{\"a\": 1}".to_vec(), false),
        ("model.safetensors", weights(), true),
        ("tokenizer.json", b"{}".to_vec(), false),
        ("modeling_toy.py", b"import os".to_vec(), false),
        ("README.md", b"# Toy".to_vec(), false),
        ("pytorch_model.bin", b"pickle".to_vec(), true),
    ]
}

fn read(path: &Path) -> Vec<u8> {
    let mut bytes = Vec::new();
    std::fs::File::open(path).expect("open").read_to_end(&mut bytes).expect("read");
    bytes
}

fn quiet(_: DownloadProgress) {}

/// The folder of a model: cached, else downloaded.
fn resolve(name: &str, options: &HubOptions) -> Result<PathBuf, HubError> {
    match cached(name, options)? {
        Some(folder) => Ok(folder),
        None => pull(name, options, &mut quiet),
    }
}

#[test]
fn a_model_is_fetched_once_into_the_layout_of_the_reference() {
    let hub = Hub::new(&toy_files());
    let options = HubOptions { token: Some("s3cret".into()), ..hub.options() };
    let mut reports = Vec::new();
    let folder = pull(MODEL, &options, &mut |progress| reports.push(progress)).expect("pull");
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
        assert_eq!(link, Path::new("../../blobs").join(hex(&sha2::Sha256::digest(weights()))));
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
    assert_eq!(resolve(MODEL, &options).expect("resolve"), folder);
    assert_eq!(resolve(&format!("{MODEL}@{COMMIT}"), &options).expect("by commit"), folder);
    assert_eq!(hub.take_log(), Vec::<String>::new());
    assert_eq!(pull(MODEL, &options, &mut quiet).expect("again"), folder);
    let log = hub.take_log();
    assert!(log.len() == 1 && log[0].starts_with("GET /api/models/org/toy/revision/main "), "{log:?}");
    let offline = HubOptions { offline: true, endpoint: "http://127.0.0.1:1".into(), ..options };
    assert_eq!(pull(MODEL, &offline, &mut quiet).expect("offline"), folder);
}

#[test]
fn a_broken_download_goes_on_where_it_stopped() {
    let hub = Hub::new(&toy_files());
    // Within one call: three answers break off, the fourth is whole.
    hub.change("model.safetensors", |file| file.breaks = vec![100_000, 300_000, 0]);
    let folder = pull(MODEL, &hub.options(), &mut quiet).expect("pull");
    assert_eq!(read(&folder.join("model.safetensors")), weights());
    let ranges: Vec<String> = hub.take_log().into_iter().filter(|line| line.contains("/store/")).collect();
    let ranges: Vec<&str> = ranges.iter().map(|line| line.split(' ').nth(2).expect("range")).collect();
    assert_eq!(ranges, ["-", "bytes=100000-", "bytes=400000-", "bytes=400000-"]);
}

#[test]
fn the_next_call_uses_what_the_last_one_left() {
    for no_ranges in [false, true] {
        let hub = Hub::new(&toy_files());
        hub.change("model.safetensors", |file| {
            file.breaks = vec![250_000, 0, 0, 0];
            file.no_ranges = no_ranges;
        });
        let error = pull(MODEL, &hub.options(), &mut quiet).expect_err("breaks off");
        assert!(matches!(error, HubError::Network { .. }), "{error}");
        let there = if no_ranges { 0 } else { 250_000 };
        assert!(error.to_string().contains(&format!("{there} of 700000 bytes")), "{error}");
        assert!(cached(MODEL, &hub.options()).expect("name").is_none(), "half a model is no model");
        hub.take_log();
        // A later process; were it not for ranges it would begin anew.
        let mut first = None;
        let folder = resolve(MODEL, &hub.options()).expect("second call");
        assert_eq!(read(&folder.join("model.safetensors")), weights());
        let log = hub.take_log();
        first = first.or_else(|| log.iter().find(|line| line.contains("GET /store/")));
        let asked = if no_ranges { " - " } else { " bytes=250000- " };
        assert!(first.is_some_and(|line| line.contains(asked)), "{log:?}");
        assert!(!log.iter().any(|line| line.contains("GET") && line.contains("tokenizer.json")), "{log:?}");
    }
}

#[test]
fn a_server_without_ranges_begins_anew_and_is_still_checked() {
    let hub = Hub::new(&toy_files());
    hub.change("model.safetensors", |file| {
        file.no_ranges = true;
        file.breaks = vec![400_000];
    });
    let folder = pull(MODEL, &hub.options(), &mut quiet).expect("pull");
    assert_eq!(read(&folder.join("model.safetensors")), weights());
}

#[test]
fn wrong_bytes_are_deleted_and_named() {
    for (file, parts) in [("model.safetensors", vec![]), ("config.json", vec![]), ("model.safetensors", vec![200_000])]
    {
        let hub = Hub::new(&toy_files());
        hub.change(file, |remote| {
            remote.damaged = true;
            remote.breaks = parts;
        });
        let error = pull(MODEL, &hub.options(), &mut quiet).expect_err("damaged");
        let expected = etag(&hub.state.lock().expect("state").files[file]);
        assert!(matches!(&error, HubError::Checksum { file: named, .. } if named == file), "{error}");
        assert!(error.to_string().contains(&expected) && error.to_string().contains("deleted"), "{error}");
        let blobs = std::fs::read_dir(hub.root().join("blobs")).expect("blobs");
        let left: Vec<_> =
            blobs.map(|e| e.expect("entry").file_name()).filter(|n| n.to_string_lossy().contains(&expected)).collect();
        assert!(left.is_empty(), "{left:?}");
        assert!(!hub.root().join("snapshots").join(COMMIT).join(file).exists());
        assert!(cached(MODEL, &hub.options()).expect("name").is_none());
        hub.change(file, |remote| remote.damaged = false);
        pull(MODEL, &hub.options(), &mut quiet).expect("whole again");
    }
}

#[test]
fn a_damaged_part_of_an_earlier_call_does_not_survive() {
    let hub = Hub::new(&toy_files());
    let blobs = hub.root().join("blobs");
    std::fs::create_dir_all(&blobs).expect("folder");
    let part = blobs.join(format!("{}.incomplete", hex(&sha2::Sha256::digest(weights()))));
    std::fs::write(&part, vec![7; 1000]).expect("write");
    assert!(matches!(pull(MODEL, &hub.options(), &mut quiet), Err(HubError::Checksum { .. })));
    assert!(!part.exists());
    // Longer than the file can be: begun anew without a word.
    std::fs::write(&part, vec![7; 800_000]).expect("write");
    let folder = pull(MODEL, &hub.options(), &mut quiet).expect("pull");
    assert_eq!(read(&folder.join("model.safetensors")), weights());
}

#[test]
fn passing_troubles_are_waited_out_and_lasting_ones_named() {
    let hub = Hub::new(&toy_files());
    hub.change("tokenizer.json", |file| file.statuses = vec![503, 429]);
    pull(MODEL, &hub.options(), &mut quiet).expect("after two pauses");
    let hub = Hub::new(&toy_files());
    hub.refuse(500, "");
    let error = pull(MODEL, &hub.options(), &mut quiet).expect_err("down");
    assert!(matches!(&error, HubError::Network { why, .. } if why.contains("500")), "{error}");
    assert_eq!(hub.take_log().len(), 3, "the first attempt and two more");
    // Nobody listens there.
    let closed = TcpListener::bind("127.0.0.1:0").expect("bind").local_addr().expect("address").port();
    let options = HubOptions { endpoint: format!("http://127.0.0.1:{closed}"), ..hub.options() };
    let error = resolve(MODEL, &options).expect_err("closed");
    assert!(matches!(&error, HubError::Network { url, .. } if url.contains(&closed.to_string())), "{error}");
}

#[test]
fn refusals_say_who_must_do_what() {
    let cases = [
        (404, "", None, "no such model"),
        (401, "RepoNotFound", None, "no such model"),
        (404, "RevisionNotFound", None, "no such revision \"main\""),
        (401, "GatedRepo", None, "set HF_TOKEN"),
        (403, "GatedRepo", Some("t"), "accept its terms"),
        (401, "", Some("t"), "token in HF_TOKEN is wrong"),
    ];
    for (status, code, token, part) in cases {
        let hub = Hub::new(&toy_files());
        hub.refuse(status, code);
        let options = HubOptions { token: token.map(str::to_string), ..hub.options() };
        let error = resolve(MODEL, &options).expect_err(part);
        let fits = match error {
            HubError::NotFound { .. } => part.starts_with("no such"),
            HubError::Gated { status: given, .. } => given == status && !part.starts_with("no such"),
            _ => false,
        };
        assert!(fits && error.to_string().contains(part) && error.to_string().contains(MODEL), "{error}");
        assert_eq!(hub.take_log().len(), 1, "refusals are final");
    }
}

#[test]
fn without_the_network_only_complete_models_are_found() {
    let hub = Hub::new(&toy_files());
    let offline = HubOptions { offline: true, ..hub.options() };
    let error = resolve(MODEL, &offline).expect_err("offline");
    assert!(matches!(error, HubError::Offline { .. }) && error.to_string().contains("HF_HUB_OFFLINE"), "{error}");
    assert_eq!(hub.take_log(), Vec::<String>::new());
    let folder = pull(MODEL, &hub.options(), &mut quiet).expect("pull");
    assert_eq!(resolve(MODEL, &offline).expect("cached"), folder);
    std::fs::remove_file(folder.join("model.safetensors")).expect("remove");
    assert!(matches!(resolve(MODEL, &offline), Err(HubError::Offline { .. })));
    // The blob is still there, so no bytes are fetched again.
    hub.take_log();
    assert_eq!(resolve(MODEL, &hub.options()).expect("linked again"), folder);
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
    let error = pull(MODEL, &hub.options(), &mut quiet).expect_err("a shard is missing").to_string();
    assert!(error.contains("model-00002-of-00002.safetensors"), "{error}");
    assert!(cached(MODEL, &hub.options()).expect("name").is_none());
    files.push(("model-00002-of-00002.safetensors", vec![3; 10], true));
    let hub = Hub::new(&files);
    let folder = pull(MODEL, &hub.options(), &mut quiet).expect("all shards");
    std::fs::remove_file(folder.join("model-00002-of-00002.safetensors")).expect("remove");
    assert!(cached(MODEL, &hub.options()).expect("name").is_none());
}

#[test]
fn folders_are_used_as_they_are_and_models_without_tensors_are_refused() {
    let hub = Hub::new(&[("config.json", b"{}".to_vec(), false), ("model.onnx", vec![1], true)]);
    let here = hub.folder.path().to_str().expect("path");
    assert_eq!(resolve(here, &hub.options()).expect("folder"), hub.folder.path());
    let error = resolve(&format!("{here}/nowhere"), &hub.options()).expect_err("no folder");
    assert!(matches!(&error, HubError::Caller(text) if text.contains("nowhere")), "{error}");
    assert_eq!(hub.take_log(), Vec::<String>::new());
    let error = resolve(MODEL, &hub.options()).expect_err("no tensors");
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
    let error = pull(MODEL, &Hub::new(&files).options(), &mut quiet).expect_err("a shard is missing").to_string();
    assert!(error.contains("pytorch_model-2.bin"), "{error}");
    files.push(("pytorch_model-2.bin", vec![2], true));
    let hub = Hub::new(&files);
    let folder = pull(MODEL, &hub.options(), &mut quiet).expect("all shards");
    assert!(folder.join("pytorch_model-2.bin").is_file() && !folder.join("training_args.bin").exists());
    assert_eq!(cached(MODEL, &hub.options()).expect("name"), Some(folder.clone()));
    std::fs::remove_file(folder.join("pytorch_model-1.bin")).expect("remove");
    assert!(cached(MODEL, &hub.options()).expect("name").is_none());
}

#[test]
fn names_of_files_cannot_leave_the_cache() {
    let hub = Hub::new(&toy_files());
    let escape = Remote { bytes: b"{}".to_vec(), ..Remote::default() };
    for name in ["../../evil.json", "/tmp/evil.json", "sub/x.json", "..json", ".hidden.json", "a\\\\b.json"] {
        hub.state.lock().expect("state").files.insert(name.into(), escape.clone());
    }
    let folder = pull(MODEL, &hub.options(), &mut quiet).expect("pull");
    assert_eq!(std::fs::read_dir(&folder).expect("folder").count(), 3);
    assert!(
        !hub.take_log().iter().any(|line| line.contains("evil") || line.contains("sub") || line.contains("hidden"))
    );
}

#[test]
fn two_calls_at_once_fetch_every_file_once() {
    let hub = Hub::new(&toy_files());
    let folders: Vec<PathBuf> = std::thread::scope(|scope| {
        let both: Vec<_> =
            (0..2).map(|_| scope.spawn(|| pull(MODEL, &hub.options(), &mut quiet).expect("pull"))).collect();
        both.into_iter().map(|one| one.join().expect("thread")).collect()
    });
    assert_eq!(folders[0], folders[1]);
    let fetched = hub.take_log().iter().filter(|line| line.contains("GET /store/")).count();
    assert_eq!(fetched, 1);
}
