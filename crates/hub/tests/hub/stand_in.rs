//! A hub with one model, on this machine.

use std::collections::HashMap;
use std::fmt::Write as _;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use sha1::Digest;
use zoetrope_hub::{Extent, HubError, HubOptions, Proxies, Unwatched, resolve};

pub(crate) const COMMIT: &str = "0123456789abcdef0123456789abcdef01234567";
pub(crate) const MODEL: &str = "org/toy";

/// How the stand-in answers for a file.
#[derive(Clone, Debug, Default)]
pub(crate) struct Remote {
    pub(crate) bytes: Vec<u8>,
    /// Kept in git, or in the store of large files behind a redirect.
    pub(crate) large: bool,
    /// Number of bytes after which each of the next answers breaks off.
    pub(crate) breaks: Vec<usize>,
    /// Sends other bytes than announced.
    pub(crate) damaged: bool,
    /// Ignores `Range`.
    pub(crate) no_ranges: bool,
    /// Statuses given before the file itself is.
    pub(crate) statuses: Vec<u16>,
}

/// The entity tags of small files.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Tags {
    /// Checksums of git, as the hub has them.
    #[default]
    Sums,
    /// Length and date, as web servers make them.
    Odd,
    /// SHA-1 of the bytes.
    Plain,
    None,
}

#[derive(Debug, Default)]
pub(crate) struct State {
    pub(crate) files: HashMap<String, Remote>,
    /// Status and error code for everything, instead of answers.
    pub(crate) refusal: Option<(u16, &'static str)>,
    /// "METHOD PATH RANGE AUTHORIZATION HOST" of every request.
    pub(crate) log: Vec<String>,
    /// Whether the list of files has sizes and checksums.
    pub(crate) sizes: bool,
    pub(crate) tags: Tags,
    /// A file that the list says to have an exabyte.
    pub(crate) huge: Option<&'static str>,
    /// Where requests for files are sent on to; the path is put behind it.
    pub(crate) mirror_of: Option<String>,
    /// Status of every HEAD request.
    pub(crate) head_status: Option<u16>,
}

/// A hub with one model.
pub(crate) struct Hub {
    pub(crate) port: u16,
    pub(crate) state: Arc<Mutex<State>>,
    pub(crate) folder: tempfile::TempDir,
}

impl Hub {
    pub(crate) fn new(files: &[(&str, Vec<u8>, bool)]) -> Self {
        Self::over(files, Ok)
    }

    /// Over connections that `wrap` makes of plain ones.
    pub(crate) fn over<S: Read + Write>(
        files: &[(&str, Vec<u8>, bool)],
        wrap: impl Fn(TcpStream) -> std::io::Result<S> + Send + 'static,
    ) -> Self {
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
                let _ = wrap(stream).and_then(|stream| serve(stream, &shared, port));
            }
        });
        Hub { port, state, folder: tempfile::tempdir().expect("folder") }
    }

    pub(crate) fn endpoint(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    pub(crate) fn options(&self) -> HubOptions {
        HubOptions {
            cache: self.folder.path().join("hub"),
            endpoint: self.endpoint(),
            token: None,
            offline: false,
            retries: 2,
            pause: Duration::from_millis(1),
            timeout: Duration::from_secs(10),
            proxies: Proxies::default(),
            certificates: Vec::new(),
        }
    }

    pub(crate) fn set(&self, change: impl FnOnce(&mut State)) {
        change(&mut self.state.lock().expect("state"));
    }

    pub(crate) fn change(&self, file: &str, change: impl FnOnce(&mut Remote)) {
        self.set(|state| change(state.files.get_mut(file).expect("file")));
    }

    pub(crate) fn take_log(&self) -> Vec<String> {
        std::mem::take(&mut self.state.lock().expect("state").log)
    }

    pub(crate) fn refuse(&self, status: u16, code: &'static str) {
        self.set(|state| state.refusal = Some((status, code)));
    }

    pub(crate) fn root(&self) -> PathBuf {
        self.folder.path().join("hub/models--org--toy")
    }

    pub(crate) fn snapshot(&self) -> PathBuf {
        self.root().join("snapshots").join(COMMIT)
    }

    /// Puts files into the cache as an interrupted program left them.
    pub(crate) fn cache_has(&self, files: &[(&str, Vec<u8>)]) {
        std::fs::create_dir_all(self.root().join("refs")).expect("folder");
        std::fs::write(self.root().join("refs/main"), COMMIT).expect("ref");
        std::fs::create_dir_all(self.snapshot()).expect("folder");
        for (name, bytes) in files {
            std::fs::write(self.snapshot().join(name), bytes).expect("file");
        }
    }
}

pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        write!(text, "{byte:02x}").expect("text");
        text
    })
}

pub(crate) fn sha256(bytes: &[u8]) -> String {
    hex(&sha2::Sha256::digest(bytes))
}

pub(crate) fn etag(file: &Remote) -> String {
    if file.large {
        return sha256(&file.bytes);
    }
    hex(&sha1::Sha1::new().chain_update(format!("blob {}\0", file.bytes.len())).chain_update(&file.bytes).finalize())
}

/// The list of files as the hub gives it.
fn listing(state: &State) -> String {
    let sibling = |(name, file): (&String, &Remote)| {
        let is_huge = state.huge == Some(name.as_str());
        let (size, tag) = (if is_huge { 1 << 60 } else { file.bytes.len() }, etag(file));
        match (state.sizes, file.large) {
            (false, _) => format!("{{\"rfilename\":\"{name}\"}}"),
            (true, false) => format!("{{\"rfilename\":\"{name}\",\"size\":{size},\"blobId\":\"{tag}\"}}"),
            (true, true) => {
                let lfs = format!("{{\"sha256\":\"{tag}\",\"size\":{size},\"pointerSize\":134}}");
                format!("{{\"rfilename\":\"{name}\",\"size\":{size},\"blobId\":\"{COMMIT}\",\"lfs\":{lfs}}}")
            }
        }
    };
    let names: Vec<String> = state.files.iter().map(sibling).collect();
    format!("{{\"sha\":\"{COMMIT}\",\"siblings\":[{}]}}", names.join(","))
}

fn serve<S: Read + Write>(mut stream: S, state: &Mutex<State>, port: u16) -> std::io::Result<()> {
    let mut lines = BufReader::new(&mut stream).lines();
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
    state.log.push(format!("{method} {path} {} {} {}", said("range"), said("authorization"), said("host")));
    let mut empty = |status: u16, headers: &str| {
        write!(stream, "HTTP/1.1 {status} No\r\n{headers}connection: close\r\ncontent-length: 0\r\n\r\n")
    };
    if let Some((status, code)) = state.refusal {
        return empty(status, &format!("x-error-code: {code}\r\n"));
    }
    let path = path.strip_prefix("/hf").unwrap_or(path);
    if path.starts_with("/api/models/org/toy/revision/") {
        let json = listing(&state);
        return write!(stream, "HTTP/1.1 200 OK\r\ncontent-length: {}\r\nconnection: close\r\n\r\n{json}", json.len());
    }
    if let Some(status) = state.head_status.filter(|_| method == "HEAD") {
        return empty(status, "");
    }
    if let Some(upstream) = &state.mirror_of {
        return empty(308, &format!("location: {upstream}{path}\r\n"));
    }
    let tags = state.tags;
    let name = path.rsplit('/').next().unwrap_or_default();
    let known = path.contains(COMMIT) || path.starts_with("/store/");
    let Some(file) = state.files.get_mut(name).filter(|_| known) else { return empty(404, "") };
    if method == "GET" && !file.statuses.is_empty() {
        let status = file.statuses.remove(0);
        return empty(status, "");
    }
    if file.large && !path.starts_with("/store/") {
        // Another name of this machine: to the client another host.
        let (tag, size) = (etag(file), file.bytes.len());
        let to = format!("location: http://localhost:{port}/store/{name}\r\n");
        return empty(302, &format!("{to}x-linked-etag: \"{tag}\"\r\nx-linked-size: {size}\r\n"));
    }
    let tag = match tags {
        Tags::Sums => format!("etag: \"{}\"\r\n", etag(file)),
        Tags::Odd => format!("etag: W/\"{:x}-6b0a3b41\"\r\n", file.bytes.len()),
        Tags::Plain => format!("etag: {}\r\n", hex(&sha1::Sha1::digest(&file.bytes))),
        Tags::None => String::new(),
    };
    send(&mut stream, method, file, &tag, headers.get("range").map(String::as_str))
}

fn send(
    stream: &mut impl Write,
    method: &str,
    file: &mut Remote,
    tag: &str,
    range: Option<&str>,
) -> std::io::Result<()> {
    let total = file.bytes.len();
    let range = range.filter(|_| !file.no_ranges).and_then(|range| range.strip_prefix("bytes=")?.split_once('-'));
    let (from, to) = range.unwrap_or(("0", ""));
    let from: usize = from.parse().unwrap_or(0);
    let to = to.parse().map_or(total, |last: usize| (last + 1).min(total));
    let (status, extra) = match range {
        Some(_) => ("206 Partial Content", format!("content-range: bytes {from}-{}/{total}\r\n", to.saturating_sub(1))),
        None => ("200 OK", String::new()),
    };
    let length = to - from;
    write!(stream, "HTTP/1.1 {status}\r\n{tag}{extra}content-length: {length}\r\nconnection: close\r\n\r\n")?;
    if method == "HEAD" {
        return Ok(());
    }
    let mut body = file.bytes[from..to].to_vec();
    if file.damaged {
        body.iter_mut().for_each(|byte| *byte ^= 1);
    }
    if !file.breaks.is_empty() {
        body.truncate(file.breaks.remove(0));
    }
    stream.write_all(&body)
}

pub(crate) fn weights() -> Vec<u8> {
    (0..700_000_u32).map(|i| (i.wrapping_mul(2_654_435_761) >> 13) as u8).collect()
}

pub(crate) fn toy_files() -> Vec<(&'static str, Vec<u8>, bool)> {
    vec![
        ("config.json", b"{\"a\": 1}".to_vec(), false),
        ("model.safetensors", weights(), true),
        ("tokenizer.json", b"{}".to_vec(), false),
        ("modeling_toy.py", b"import os".to_vec(), false),
        ("README.md", b"# Toy".to_vec(), false),
        ("pytorch_model.bin", b"pickle".to_vec(), true),
    ]
}

pub(crate) fn read(path: &Path) -> Vec<u8> {
    std::fs::read(path).expect("read")
}

/// The folder of a whole model: cached, else downloaded.
pub(crate) fn whole(name: &str, options: &HubOptions) -> Result<PathBuf, HubError> {
    resolve(name, Extent::Whole, options, &mut Unwatched)
}
