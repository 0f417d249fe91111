//! Downloads the files of a model into the cache.

use std::fmt::Write as _;
use std::fs::{self, File, OpenOptions};
use std::io::{Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use sha1::Sha1;
use sha2::{Digest, Sha256};

use crate::cache::{FORMATS, Repo, WeightFormat, shards};
use crate::client::{Client, RemoteFile, RequestError};
use crate::error::HubError;
use crate::name::{RepoName, is_part};
use crate::options::HubOptions;
use crate::progress::DownloadProgress;

/// Bytes between two reports.
const STEP: usize = 256 << 10;

/// Resolves the revision, downloads missing files, then records the revision as present.
pub(crate) fn download(
    repo: &RepoName,
    cache: &Repo,
    options: &HubOptions,
    progress: &mut dyn FnMut(DownloadProgress),
) -> Result<PathBuf, HubError> {
    let client = Client::new(repo, options);
    let listing = client.listing()?;
    let (wanted, format) = wanted(repo, &listing.files)?;
    let snapshot = cache.snapshot(&listing.commit);
    let mut missing = Vec::new();
    let (mut done, mut total) = (0, 0);
    for file in wanted {
        // A commit never changes: what its snapshot has is right.
        if let Ok(there) = fs::metadata(snapshot.join(file)) {
            (done, total) = (done + there.len(), total + there.len());
            continue;
        }
        let remote = client.metadata(&listing.commit, file)?;
        total += remote.size;
        missing.push((file, remote));
    }
    // Small files first: a wrong or unsupported model is found before its weights are downloaded.
    missing.sort_by_key(|(_, remote)| remote.size);
    for (file, remote) in &missing {
        let job = Job { client: &client, cache, repo, options, commit: &listing.commit, file, remote };
        job.run(&mut |file_done| {
            let (file, file_total) = (file.to_string(), remote.size);
            progress(DownloadProgress { file, file_done, file_total, done: done + file_done, total });
        })?;
        done += remote.size;
    }
    check_shards(repo, &snapshot, format)?;
    cache.set_reference(&repo.revision, &listing.commit)?;
    Ok(snapshot)
}

/// The files of a model: configuration, tokenizer, templates, tensors of one format; none in subfolders, no code.
fn wanted<'a>(repo: &RepoName, files: &'a [String]) -> Result<(Vec<&'a str>, &'static WeightFormat), HubError> {
    let files: Vec<&str> = files.iter().map(String::as_str).filter(|file| is_part(file)).collect();
    let of = |endings: &[&str]| -> Vec<&'a str> {
        let ending = |file: &&str| file.rsplit_once('.').is_some_and(|(_, ending)| endings.contains(&ending));
        files.iter().copied().filter(ending).collect()
    };
    let Some(format) = FORMATS.iter().find(|format| files.iter().any(|file| format.is_file(file))) else {
        let others = of(&["bin", "pt", "pth", "gguf", "onnx"]).join(", ");
        let others = if others.is_empty() { "no weights at all".into() } else { others };
        let text = format!("{repo} has neither .safetensors files nor pytorch_model.bin (it has {others})");
        return Err(HubError::Unsupported(text));
    };
    let others = FORMATS.iter().filter(|other| other.index != format.index);
    let others: Vec<&str> = others.map(|other| other.index).collect();
    let mut wanted = of(&["json", "jinja", "txt"]);
    wanted.retain(|file| !others.contains(file));
    wanted.extend(files.iter().filter(|file| format.is_file(file)));
    Ok((wanted, format))
}

/// Fails when the hub lacks a shard that the index names.
fn check_shards(repo: &RepoName, snapshot: &Path, format: &WeightFormat) -> Result<(), HubError> {
    let index_name = format.index;
    let file = snapshot.join(index_name);
    let Ok(index) = fs::read(&file) else { return Ok(()) };
    let shards = shards(&index).ok_or_else(|| HubError::file(&file, "no weight_map of file names"))?;
    match shards.iter().filter(|shard| !snapshot.join(shard).is_file()).min() {
        Some(shard) => {
            Err(HubError::Unsupported(format!("{repo}: {index_name} names {shard}, which the hub does not have")))
        }
        None => Ok(()),
    }
}

/// One file to download.
struct Job<'a> {
    client: &'a Client<'a>,
    cache: &'a Repo,
    repo: &'a RepoName,
    options: &'a HubOptions,
    commit: &'a str,
    file: &'a str,
    remote: &'a RemoteFile,
}

impl Job<'_> {
    fn run(&self, report: &mut dyn FnMut(u64)) -> Result<(), HubError> {
        let RemoteFile { etag, size } = self.remote;
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

    /// Downloads the rest of `part` and verifies its checksum.
    fn fill(&self, part: &Path, report: &mut dyn FnMut(u64)) -> Result<(), HubError> {
        let failed = |error: std::io::Error| HubError::file(part, error);
        fs::create_dir_all(part.parent().unwrap_or(Path::new("."))).map_err(failed)?;
        let mut open = OpenOptions::new();
        let mut file = open.create(true).truncate(false).read(true).write(true).open(part).map_err(failed)?;
        let mut sum = Checksum::new(self.remote);
        let mut have = sum.read(&mut file, self.remote.size).map_err(failed)?;
        let mut attempt = 0;
        while have < self.remote.size {
            report(have);
            let before = have;
            match self.receive(part, &mut file, &mut sum, &mut have, report) {
                Ok(()) => {}
                Err(RequestError::Permanent(error)) => return Err(error),
                Err(RequestError::Transient(why)) => {
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

    /// One request; `have` is updated as bytes arrive.
    fn receive(
        &self,
        part: &Path,
        file: &mut File,
        sum: &mut Checksum,
        have: &mut u64,
        report: &mut dyn FnMut(u64),
    ) -> Result<(), RequestError> {
        let failed = |error: std::io::Error| RequestError::Permanent(HubError::file(part, error));
        let response = self.client.bytes(self.commit, self.file, *have)?;
        let status = response.status().as_u16();
        let range = response.headers().get("content-range").and_then(|range| range.to_str().ok());
        let goes_on = status == 206 && range.is_none_or(|range| range.starts_with(&format!("bytes {have}-")));
        if *have > 0 && !goes_on {
            // The server ignored the range: start over.
            file.set_len(0).and_then(|()| file.rewind()).map_err(failed)?;
            (*sum, *have) = (Checksum::new(self.remote), 0);
            if status != 200 {
                return Err(RequestError::Transient(format!("status {status} for a part of the file")));
            }
        }
        let mut body = response.into_body().into_with_config().limit(u64::MAX).reader();
        let mut buffer = vec![0; STEP];
        while *have < self.remote.size {
            let most = STEP.min(usize::try_from(self.remote.size - *have).unwrap_or(STEP));
            let count = match body.read(&mut buffer[..most]) {
                Ok(0) => return Err(RequestError::Transient("the answer ended early".into())),
                Ok(count) => count,
                Err(error) if error.kind() == std::io::ErrorKind::Interrupted => continue,
                Err(error) => return Err(RequestError::Transient(error.to_string())),
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
enum Checksum {
    /// Large files: SHA-256 of the bytes.
    Sha256(Sha256),
    /// Small files: the git blob hash (SHA-1 of a header with the length, then the bytes).
    Git(Sha1),
    /// Another form of tag: only the length is checked.
    Unknown,
}

impl Checksum {
    fn new(remote: &RemoteFile) -> Self {
        let hexadecimal = remote.etag.bytes().all(|byte| byte.is_ascii_hexdigit());
        match remote.etag.len() {
            64 if hexadecimal => Checksum::Sha256(Sha256::new()),
            40 if hexadecimal => Checksum::Git(Sha1::new().chain_update(format!("blob {}\0", remote.size))),
            _ => Checksum::Unknown,
        }
    }

    fn add(&mut self, bytes: &[u8]) {
        match self {
            Checksum::Sha256(sum) => sum.update(bytes),
            Checksum::Git(sum) => sum.update(bytes),
            Checksum::Unknown => {}
        }
    }

    /// Adds the content of a partial download and seeks to its end. A file longer than `limit` bytes is emptied.
    fn read(&mut self, file: &mut File, limit: u64) -> std::io::Result<u64> {
        let length = file.metadata()?.len();
        // Longer than the file: not a prefix of it.
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

    /// Compares with the entity tag; the error is the computed checksum.
    fn verify(self, etag: &str) -> Result<(), String> {
        let found = match self {
            Checksum::Sha256(sum) => hexadecimal(&sum.finalize()),
            Checksum::Git(sum) => hexadecimal(&sum.finalize()),
            Checksum::Unknown => return Ok(()),
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
