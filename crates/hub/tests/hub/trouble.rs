//! Broken connections, wrong bytes, refusals.

use std::net::TcpListener;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use zoetrope_hub::{Extent, HubError, HubOptions, Retry, Unwatched, Watch, cached, pull};

use crate::stand_in::{COMMIT, Hub, MODEL, etag, read, sha256, toy_files, weights, whole};

#[test]
fn a_broken_download_goes_on_where_it_stopped() {
    let hub = Hub::new(&toy_files());
    // Within one call: three answers break off, the fourth is whole.
    hub.change("model.safetensors", |file| file.breaks = vec![100_000, 300_000, 0]);
    let folder = pull(MODEL, &hub.options(), &mut Unwatched).expect("pull");
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
        let error = pull(MODEL, &hub.options(), &mut Unwatched).expect_err("breaks off");
        assert!(matches!(error, HubError::Network { .. }), "{error}");
        let there = if no_ranges { 0 } else { 250_000 };
        assert!(error.to_string().contains(&format!("{there} of 700000 bytes")), "{error}");
        assert!(cached(MODEL, Extent::Whole, &hub.options()).expect("name").is_none(), "half a model is no model");
        hub.take_log();
        // A later process; were it not for ranges it would begin anew.
        let mut first = None;
        let folder = whole(MODEL, &hub.options()).expect("second call");
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
    let folder = pull(MODEL, &hub.options(), &mut Unwatched).expect("pull");
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
        let error = pull(MODEL, &hub.options(), &mut Unwatched).expect_err("damaged");
        let expected = etag(&hub.state.lock().expect("state").files[file]);
        assert!(matches!(&error, HubError::Checksum { file: named, .. } if named == file), "{error}");
        assert!(error.to_string().contains(&expected) && error.to_string().contains("deleted"), "{error}");
        let blobs = std::fs::read_dir(hub.root().join("blobs")).expect("blobs");
        let left: Vec<_> =
            blobs.map(|e| e.expect("entry").file_name()).filter(|n| n.to_string_lossy().contains(&expected)).collect();
        assert!(left.is_empty(), "{left:?}");
        assert!(!hub.root().join("snapshots").join(COMMIT).join(file).exists());
        assert!(cached(MODEL, Extent::Whole, &hub.options()).expect("name").is_none());
        hub.change(file, |remote| remote.damaged = false);
        pull(MODEL, &hub.options(), &mut Unwatched).expect("whole again");
    }
}

#[test]
fn a_damaged_part_of_an_earlier_call_does_not_survive() {
    let hub = Hub::new(&toy_files());
    let blobs = hub.root().join("blobs");
    std::fs::create_dir_all(&blobs).expect("folder");
    let part = blobs.join(format!("{}.incomplete", sha256(&weights())));
    std::fs::write(&part, vec![7; 1000]).expect("write");
    assert!(matches!(pull(MODEL, &hub.options(), &mut Unwatched), Err(HubError::Checksum { .. })));
    assert!(!part.exists());
    // Longer than the file can be: begun anew without a word.
    std::fs::write(&part, vec![7; 800_000]).expect("write");
    let folder = pull(MODEL, &hub.options(), &mut Unwatched).expect("pull");
    assert_eq!(read(&folder.join("model.safetensors")), weights());
}

#[test]
fn passing_troubles_are_waited_out_and_lasting_ones_named() {
    let hub = Hub::new(&toy_files());
    hub.change("tokenizer.json", |file| file.statuses = vec![503, 429]);
    pull(MODEL, &hub.options(), &mut Unwatched).expect("after two pauses");
    let hub = Hub::new(&toy_files());
    hub.refuse(500, "");
    let error = pull(MODEL, &hub.options(), &mut Unwatched).expect_err("down");
    assert!(matches!(&error, HubError::Network { why, .. } if why.contains("500")), "{error}");
    assert_eq!(hub.take_log().len(), 3, "the first attempt and two more");
    // Nobody listens there: told at once, whatever the pauses are.
    let closed = TcpListener::bind("127.0.0.1:0").expect("bind").local_addr().expect("address").port();
    for endpoint in [format!("http://127.0.0.1:{closed}"), "http://no-such-host.invalid".to_string()] {
        let options = HubOptions { endpoint: endpoint.clone(), pause: Duration::from_secs(60), ..hub.options() };
        let begin = Instant::now();
        let error = whole(MODEL, &options).expect_err("closed");
        assert!(matches!(&error, HubError::Network { url, .. } if url.contains(&endpoint)), "{error}");
        assert!(!error.to_string().contains("kept"), "nothing has been fetched: {error}");
        assert!(begin.elapsed() < Duration::from_secs(20), "{:?}", begin.elapsed());
    }
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
        let error = whole(MODEL, &options).expect_err(part);
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
fn two_calls_at_once_fetch_every_file_once() {
    let hub = Hub::new(&toy_files());
    let folders: Vec<PathBuf> = std::thread::scope(|scope| {
        let both: Vec<_> =
            (0..2).map(|_| scope.spawn(|| pull(MODEL, &hub.options(), &mut Unwatched).expect("pull"))).collect();
        both.into_iter().map(|one| one.join().expect("thread")).collect()
    });
    assert_eq!(folders[0], folders[1]);
    let fetched = hub.take_log().iter().filter(|line| line.contains("GET /store/")).count();
    assert_eq!(fetched, 1);
}

/// Remembers why requests were repeated.
struct Retries(Vec<String>);

impl Watch for Retries {
    fn retry(&mut self, retry: Retry<'_>) {
        self.0.push(format!("{} {} {}/{}", retry.url, retry.why, retry.attempt, retry.most));
    }
}

#[test]
fn waiting_is_told() {
    let hub = Hub::new(&toy_files());
    hub.change("tokenizer.json", |file| file.statuses = vec![503, 429]);
    hub.change("model.safetensors", |file| file.breaks = vec![0]);
    let mut retries = Retries(Vec::new());
    pull(MODEL, &hub.options(), &mut retries).expect("after pauses");
    let file = |name: &str| format!("{}/{MODEL}/resolve/{COMMIT}/{name}", hub.endpoint());
    assert_eq!(retries.0.len(), 3, "{:?}", retries.0);
    assert!(retries.0[0].starts_with(&file("tokenizer.json")) && retries.0[0].contains("503"), "{:?}", retries.0);
    assert!(retries.0[0].ends_with("1/2") && retries.0[1].ends_with("2/2"), "{:?}", retries.0);
    assert!(retries.0[2].starts_with(&file("model.safetensors")), "{:?}", retries.0);
}

#[test]
fn a_connection_that_falls_silent_is_given_up() {
    let silent = TcpListener::bind("127.0.0.1:0").expect("listen");
    let endpoint = format!("http://{}", silent.local_addr().expect("address"));
    let hub = Hub::new(&toy_files());
    let options = HubOptions { endpoint, timeout: Duration::from_millis(200), retries: 1, ..hub.options() };
    let mut retries = Retries(Vec::new());
    let error = pull(MODEL, &options, &mut retries).expect_err("silence");
    assert!(matches!(&error, HubError::Network { .. }) && retries.0.len() == 1, "{error}: {:?}", retries.0);
}

#[cfg(target_os = "linux")]
#[test]
fn a_disk_that_is_too_small_is_told_before_the_first_byte() {
    let hub = Hub::new(&toy_files());
    hub.set(|state| state.sizes = true);
    // More than any disk has, announced and never sent.
    hub.set(|state| state.huge = Some("model.safetensors"));
    let error = pull(MODEL, &hub.options(), &mut Unwatched).expect_err("too large");
    assert!(matches!(&error, HubError::Space { needed, free, .. } if needed > free && *free > 0), "{error}");
    assert!(error.to_string().contains("GB") && error.to_string().contains("free"), "{error}");
    assert!(!hub.take_log().iter().any(|line| line.contains("GET") && line.contains("safetensors")));
    assert!(hub.snapshot().join("config.json").is_file(), "small files stay");
}
