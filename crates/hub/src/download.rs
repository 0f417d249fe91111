//! Downloads the files of a model into the cache: the small ones, then, when they are taken, the weights.

mod space;

use std::fs;
use std::path::{Path, PathBuf};

use crate::cache::Repo;
use crate::client::{Client, ListedFile, Listing, RemoteFile};
use crate::contents::{ADAPTER, CONFIG, Extent, WeightFormat, format_of, shards, small};
use crate::error::HubError;
use crate::job::Job;
use crate::name::{RepoName, is_part};
use crate::options::HubOptions;
use crate::progress::{DownloadProgress, Watch};

/// Bytes that stay free: links, small files, and what others write meanwhile.
const SPARE: u64 = 1 << 20;

/// Resolves the revision, downloads missing files, then records the revision as present.
pub(crate) fn download(
    repo: &RepoName,
    cache: &Repo,
    extent: Extent,
    options: &HubOptions,
    watch: &mut dyn Watch,
) -> Result<PathBuf, HubError> {
    let client = Client::new(repo, options)?;
    let listing = client.listing(watch)?;
    let files: Vec<&str> = listing.files.iter().map(|file| file.name.as_str()).filter(|file| is_part(file)).collect();
    if !files.contains(&CONFIG) && !files.contains(&ADAPTER) {
        return Err(no_weights(repo, &files, "has no config.json"));
    }
    let format = format_of(&files);
    let snapshot = cache.snapshot(&listing.commit);
    let mut fetch = Fetch { client, cache, repo, options, listing: &listing, watch, done: 0, total: 0 };
    fetch.all(&small(&files, format), Room::Unchecked)?;
    cache.set_absent(&listing.commit, &files);
    if extent == Extent::Whole {
        fetch.watch.admit(&snapshot).map_err(HubError::Refused)?;
        let weights = weights(repo, &snapshot, &files, format)?;
        fetch.all(&weights.iter().map(String::as_str).collect::<Vec<_>>(), Room::Checked)?;
    }
    cache.set_reference(&repo.revision, &listing.commit)?;
    Ok(snapshot)
}

/// The weight files, of which the hub has all.
fn weights(
    repo: &RepoName,
    snapshot: &Path,
    files: &[&str],
    format: Option<(&WeightFormat, bool)>,
) -> Result<Vec<String>, HubError> {
    let Some((format, sharded)) = format else {
        return Err(no_weights(repo, files, "has neither model.safetensors nor pytorch_model.bin"));
    };
    if !sharded {
        return Ok(vec![format.single.to_string()]);
    }
    let file = snapshot.join(format.index);
    let index = fs::read(&file).map_err(|error| HubError::cache(&file, &error))?;
    let wrong = || HubError::File { file: file.clone(), what: "no weight_map of file names".into() };
    let shards: Vec<String> = shards(&index).ok_or_else(wrong)?.into_iter().collect();
    match shards.iter().find(|shard| !files.contains(&shard.as_str())) {
        Some(shard) => {
            let index = format.index;
            Err(HubError::Unsupported(format!("{repo}: {index} names {shard}, which the hub does not have")))
        }
        None => Ok(shards),
    }
}

/// The error for a model without weights that are read here; names what it has.
fn no_weights(repo: &RepoName, files: &[&str], what: &str) -> HubError {
    let is_tensors = |file: &&&str| {
        let ending = file.rsplit_once('.').map_or("", |(_, ending)| ending);
        ["safetensors", "bin", "pt", "pth", "gguf", "onnx"].contains(&ending)
    };
    let others: Vec<&str> = files.iter().filter(is_tensors).copied().collect();
    let gguf = others.iter().any(|file| file.ends_with(".gguf"));
    let remedy = if gguf { "; a GGUF file holds a language part alone, take the original model" } else { "" };
    let others = match others[..] {
        [] => "no weights at all".to_string(),
        [one, two, three, ref rest @ ..] if !rest.is_empty() => format!("{one}, {two}, {three}, {} more", rest.len()),
        _ => others.join(", "),
    };
    HubError::Unsupported(format!("{repo} {what} (it has {others}){remedy}"))
}

/// Whether the disk is asked for its free space first.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Room {
    Checked,
    Unchecked,
}

/// A download at work.
struct Fetch<'a, 'w> {
    client: Client<'a>,
    cache: &'a Repo,
    repo: &'a RepoName,
    options: &'a HubOptions,
    listing: &'a Listing,
    watch: &'w mut dyn Watch,
    /// Bytes of all files so far that are there, and that there are.
    done: u64,
    total: u64,
}

impl Fetch<'_, '_> {
    /// Downloads those of some files that the snapshot lacks, the smallest first.
    fn all(&mut self, files: &[&str], room: Room) -> Result<(), HubError> {
        let commit = &self.listing.commit;
        let snapshot = self.cache.snapshot(commit);
        let mut missing = Vec::new();
        for file in files {
            // A commit never changes: what its snapshot has is right.
            if let Ok(there) = fs::metadata(snapshot.join(file)) {
                self.done += there.len();
                self.total += there.len();
                continue;
            }
            let remote = self.remote(file)?;
            self.total += remote.size;
            missing.push((*file, remote));
        }
        missing.sort_by(|(a, x), (b, y)| (x.size, a).cmp(&(y.size, b)));
        if room == Room::Checked {
            self.check_room(&missing)?;
        }
        for (file, remote) in &missing {
            let (cache, repo, options) = (self.cache, self.repo, self.options);
            let job = Job { client: &self.client, cache, repo, options, commit, file, remote };
            let (done, total) = (self.done, self.total);
            job.run(self.watch, &|file_done| {
                let (file, file_total) = (file.to_string(), remote.size);
                DownloadProgress { file, file_done, file_total, done: done + file_done, total }
            })?;
            self.done += remote.size;
        }
        Ok(())
    }

    fn remote(&mut self, file: &str) -> Result<RemoteFile, HubError> {
        let is_it = |listed: &&ListedFile| listed.name == file;
        let listed = self.listing.files.iter().find(is_it).and_then(|listed| listed.remote.clone());
        listed.map_or_else(|| self.client.metadata(&self.listing.commit, file, self.watch), Ok)
    }

    /// Fails when what is still to be fetched does not fit on the disk.
    fn check_room(&self, missing: &[(&str, RemoteFile)]) -> Result<(), HubError> {
        let still = |remote: &RemoteFile| {
            if fs::metadata(self.cache.blob(&remote.etag)).is_ok_and(|blob| blob.len() == remote.size) {
                return 0;
            }
            let part = fs::metadata(self.cache.part(&remote.etag)).map_or(0, |part| part.len());
            remote.size.saturating_sub(part)
        };
        let needed: u64 = missing.iter().map(|(_, remote)| still(remote)).sum();
        match space::free(&self.options.cache) {
            Some(free) if needed > 0 && needed.saturating_add(SPARE) > free => {
                let (repo, cache) = (self.repo.to_string(), self.options.cache.clone());
                Err(HubError::Space { repo, cache, needed, free })
            }
            _ => Ok(()),
        }
    }
}
