//! Fetching the files of a model into the cache.

use std::fmt::Write as _;
use std::fs::{self, File, OpenOptions};
use std::io::{Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use sha1::Sha1;
use sha2::{Digest, Sha256};

use super::Progress;
use super::cache::{INDEX, Repo, shards};
use super::client::{Client, Failure, Remote};
use super::error::HubError;
use super::name::{RepoName, is_part};
use super::options::HubOptions;

/// Bytes between two reports.
const STEP: usize = 256 << 10;

/// Asks for the revision, fetches what is missing, and only then notes the revision as present.
pub(super) fn fetch(
    repo: &RepoName,
    cache: &Repo,
    options: &HubOptions,
    progress: &mut dyn FnMut(Progress),
) -> Result<PathBuf, HubError> {
    let client = Client::new(repo, options);
    let listing = client.listing()?;
    let wanted = wanted(repo, &listing.files)?;
    let snapshot = cache.snapshot(&listing.commit);
    let mut missing = Vec::new();
    let (mut done, mut total) = (0, 0);
    for file in wanted {
        // A commit never changes: what its snapshot has is right.
        if let Ok(there) = fs::metadata(snapshot.join(file)) {
            (done, total) = (done + there.len(), total + there.len());
            continue;
        }
        let remote = client.facts(&listing.commit, file)?;
        total += remote.size;
        missing.push((file, remote));
    }
    // Small files first: a wrong or unsupported model is found before its weights are fetched.
    missing.sort_by_key(|(_, remote)| remote.size);
    for (file, remote) in &missing {
        let job = Job { client: &client, cache, repo, options, commit: &listing.commit, file, remote };
        job.run(&mut |file_done| {
            let (file, file_total) = (file.to_string(), remote.size);
            progress(Progress { file, file_done, file_total, done: done + file_done, total });
        })?;
        done += remote.size;
    }
    check_shards(repo, &snapshot)?;
    cache.set_reference(&repo.revision, &listing.commit)?;
    Ok(snapshot)
}

/// The files of a model: configuration, tokenizer, templates, tensors; none in subfolders, no code, no pickles.
fn wanted<'a>(repo: &RepoName, files: &'a [String]) -> Result<Vec<&'a str>, HubError> {
    let kinds = ["json", "jinja", "safetensors", "txt"];
    let of = |kinds: &[&str]| -> Vec<&'a str> {
        let kind = |file: &&str| file.rsplit_once('.').is_some_and(|(_, kind)| kinds.contains(&kind));
        files.iter().map(String::as_str).filter(|file| is_part(file)).filter(kind).collect()
    };
    // Some models carry their weights a second time in their author's own form.
    let wanted: Vec<_> = of(&kinds).into_iter().filter(|file| !file.starts_with("consolidated")).collect();
    if !wanted.iter().any(|file| file.ends_with(".safetensors")) {
        let others = of(&["bin", "pt", "pth", "gguf", "onnx"]).join(", ");
        let others = if others.is_empty() { "no weights at all".into() } else { others };
        return Err(HubError::Unsupported(format!("{repo} has no .safetensors file (it has {others})")));
    }
    Ok(wanted)
}

/// The index names the shards a model needs; the hub may not have them all.
fn check_shards(repo: &RepoName, snapshot: &Path) -> Result<(), HubError> {
    let file = snapshot.join(INDEX);
    let Ok(index) = fs::read(&file) else { return Ok(()) };
    let shards = shards(&index).ok_or_else(|| HubError::file(&file, "no weight_map of file names"))?;
    match shards.iter().filter(|shard| !snapshot.join(shard).is_file()).min() {
        Some(shard) => {
            Err(HubError::Unsupported(format!("{repo}: {INDEX} names {shard}, which the hub does not have")))
        }
        None => Ok(()),
    }
}

/// One file on its way.
struct Job<'a> {
    client: &'a Client<'a>,
    cache: &'a Repo,
    repo: &'a RepoName,
    options: &'a HubOptions,
    commit: &'a str,
    file: &'a str,
    remote: &'a Remote,
}

impl Job<'_> {
    fn run(&self, report: &mut dyn FnMut(u64)) -> Result<(), HubError> {
        let Remote { etag, size } = self.remote;
        report(0);
        let _lock = self.cache.lock(etag)?;
        let blob = self.cache.blob(etag);
        // Another process, or another file with the same bytes, may have brought it.
        if fs::metadata(&blob).map(|there| there.len()).ok() != Some(*size) {
            let part = blob.with_extension("incomplete");
            self.fill(&part, report)?;
            fs::rename(&part, &blob).map_err(|error| HubError::file(&blob, error))?;
        }
        self.cache.link(self.commit, self.file, etag)?;
        report(*size);
        Ok(())
    }

    /// Brings `part` to its full length, from what it has, and checks it.
    fn fill(&self, part: &Path, report: &mut dyn FnMut(u64)) -> Result<(), HubError> {
        let failed = |error: std::io::Error| HubError::file(part, error);
        fs::create_dir_all(part.parent().unwrap_or(Path::new("."))).map_err(failed)?;
        let mut open = OpenOptions::new();
        let mut file = open.create(true).truncate(false).read(true).write(true).open(part).map_err(failed)?;
        let mut sum = Sum::new(self.remote);
        let mut have = sum.read(&mut file, self.remote.size).map_err(failed)?;
        let mut attempt = 0;
        while have < self.remote.size {
            report(have);
            let before = have;
            match self.receive(part, &mut file, &mut sum, &mut have, report) {
                Ok(()) => {}
                Err(Failure::Final(error)) => return Err(error),
                Err(Failure::Passing(why)) => {
                    // Only attempts that brought nothing count.
                    attempt = if have > before { 0 } else { attempt + 1 };
                    if attempt > self.options.retries {
                        let url = self.client.file_url(self.commit, self.file);
                        let why = format!("{why} ({have} of {} bytes)", self.remote.size);
                        return Err(self.client.network(&url, why));
                    }
                    self.client.wait(attempt);
                }
            }
        }
        file.sync_all().map_err(failed)?;
        drop(file);
        match sum.verify(&self.remote.etag) {
            Ok(()) => Ok(()),
            Err(found) => {
                fs::remove_file(part).map_err(failed)?;
                let (repo, file, expected) = (self.repo.to_string(), self.file.into(), self.remote.etag.clone());
                Err(HubError::Checksum { repo, file, expected, found })
            }
        }
    }

    /// One request; `have` says how far it came.
    fn receive(
        &self,
        part: &Path,
        file: &mut File,
        sum: &mut Sum,
        have: &mut u64,
        report: &mut dyn FnMut(u64),
    ) -> Result<(), Failure> {
        let failed = |error: std::io::Error| Failure::Final(HubError::file(part, error));
        let response = self.client.bytes(self.commit, self.file, *have)?;
        let status = response.status().as_u16();
        let range = response.headers().get("content-range").and_then(|range| range.to_str().ok());
        let goes_on = status == 206 && range.is_none_or(|range| range.starts_with(&format!("bytes {have}-")));
        if *have > 0 && !goes_on {
            // The server begins at the beginning, or knows no such part: so do we.
            file.set_len(0).and_then(|()| file.rewind()).map_err(failed)?;
            (*sum, *have) = (Sum::new(self.remote), 0);
            if status != 200 {
                return Err(Failure::Passing(format!("status {status} for a part of the file")));
            }
        }
        let mut body = response.into_body().into_with_config().limit(u64::MAX).reader();
        let mut buffer = vec![0; STEP];
        while *have < self.remote.size {
            let most = STEP.min(usize::try_from(self.remote.size - *have).unwrap_or(STEP));
            let count = match body.read(&mut buffer[..most]) {
                Ok(0) => return Err(Failure::Passing("the answer ended early".into())),
                Ok(count) => count,
                Err(error) if error.kind() == std::io::ErrorKind::Interrupted => continue,
                Err(error) => return Err(Failure::Passing(error.to_string())),
            };
            file.write_all(&buffer[..count]).map_err(failed)?;
            sum.add(&buffer[..count]);
            *have += count as u64;
            report(*have);
        }
        Ok(())
    }
}

/// The checksum that an entity tag stands for.
enum Sum {
    /// Large files: SHA-256 of the bytes.
    Sha256(Sha256),
    /// Files that git keeps: SHA-1 of a header with the length, and the bytes.
    Git(Sha1),
    /// Some other hub's tag: only the length is known.
    Unknown,
}

impl Sum {
    fn new(remote: &Remote) -> Self {
        let hexadecimal = remote.etag.bytes().all(|byte| byte.is_ascii_hexdigit());
        match remote.etag.len() {
            64 if hexadecimal => Sum::Sha256(Sha256::new()),
            40 if hexadecimal => Sum::Git(Sha1::new().chain_update(format!("blob {}\0", remote.size))),
            _ => Sum::Unknown,
        }
    }

    fn add(&mut self, bytes: &[u8]) {
        match self {
            Sum::Sha256(sum) => sum.update(bytes),
            Sum::Git(sum) => sum.update(bytes),
            Sum::Unknown => {}
        }
    }

    /// Adds what a file has, at most `limit` bytes; cuts off the rest and stands at its end.
    fn read(&mut self, file: &mut File, limit: u64) -> std::io::Result<u64> {
        let length = file.metadata()?.len();
        // Longer than it may be: not a part of this file.
        let have = if length > limit { 0 } else { length };
        file.set_len(have)?;
        file.seek(SeekFrom::Start(0))?;
        let mut buffer = vec![0; STEP];
        loop {
            match file.read(&mut buffer)? {
                0 => return Ok(have),
                count => self.add(&buffer[..count]),
            }
        }
    }

    /// Compares; the error is what was found.
    fn verify(self, etag: &str) -> Result<(), String> {
        let found = match self {
            Sum::Sha256(sum) => hexadecimal(&sum.finalize()),
            Sum::Git(sum) => hexadecimal(&sum.finalize()),
            Sum::Unknown => return Ok(()),
        };
        if found.eq_ignore_ascii_case(etag) { Ok(()) } else { Err(found) }
    }
}

fn hexadecimal(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        // Writing to a string cannot fail.
        let _ = write!(text, "{byte:02x}");
        text
    })
}
