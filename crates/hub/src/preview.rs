//! A model without its weights: its small files, and of safetensors files the headers.

use std::fs::{self, File};
use std::io::Write;
use std::path::{Path, PathBuf};

use tempfile::TempDir;

use crate::cache::{Repo, is_commit};
use crate::client::Client;
use crate::contents::{announced_safetensors, has, missing_weights};
use crate::error::HubError;
use crate::name::RepoName;
use crate::options::HubOptions;
use crate::progress::Watch;

/// Bytes of a file that are asked for at first; most headers are shorter.
const FIRST: u64 = 256 << 10;
/// Longest header that is read; safetensors has the same limit.
const MAX_HEADER: u64 = 100_000_000;
/// Bytes of the number in front of a header.
const LENGTH: u64 = 8;

/// A folder of a model whose tensors have names, types and shapes, and may have no values.
#[derive(Debug)]
pub struct Preview {
    folder: PathBuf,
    /// Removed with this.
    stand_in: Option<TempDir>,
}

impl Preview {
    /// A folder as it is.
    pub(crate) fn of(folder: PathBuf) -> Self {
        Preview { folder, stand_in: None }
    }

    /// The folder. Files of tensors in it may be holes behind their headers.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// The temporary folder that the model's lies in as `org/name`, where there is one.
    pub fn temporary(&self) -> Option<&Path> {
        self.stand_in.as_ref().map(TempDir::path)
    }
}

/// The preview of a model whose small files are in `outline`, a snapshot. Weight files that it lacks are stood for by
/// files of the same length, of which only the header is fetched and takes space. Weights of another format are left
/// out.
pub(crate) fn preview(
    repo: &RepoName,
    cache: &Repo,
    outline: PathBuf,
    options: &HubOptions,
    watch: &mut dyn Watch,
) -> Result<Preview, HubError> {
    let commit = outline.file_name().and_then(|name| name.to_str()).filter(|name| is_commit(name));
    let Some(commit) = commit.filter(|_| !options.offline && !missing_weights(&outline).is_empty()) else {
        return Ok(Preview::of(outline));
    };
    let client = Client::new(repo, options)?;
    let place = std::env::temp_dir();
    let stand_in = TempDir::with_prefix("zoetrope-").map_err(|error| HubError::cache(place, &error))?;
    // Whatever is said of a file in it has the model's name.
    let folder = stand_in.path().join(&repo.org).join(&repo.name);
    fs::create_dir_all(&folder).map_err(|error| HubError::cache(&folder, &error))?;
    for name in announced_safetensors(&outline) {
        if has(&cache.snapshot(commit), &name) {
            continue;
        }
        let (header, size) = match header(&client, commit, &name, watch) {
            Ok(found) => found,
            // Weights in another format.
            Err(HubError::NotFound { .. }) => return Ok(Preview::of(outline)),
            Err(error) => return Err(error),
        };
        hollow(&folder.join(&name), &header, size)?;
    }
    for entry in fs::read_dir(&outline).map_err(|error| HubError::cache(&outline, &error))?.flatten() {
        let to = folder.join(entry.file_name());
        #[cfg(unix)]
        let linked = fs::canonicalize(entry.path()).and_then(|from| std::os::unix::fs::symlink(from, &to));
        #[cfg(not(unix))]
        let linked = fs::hard_link(entry.path(), &to).or_else(|_| fs::copy(entry.path(), &to).map(|_| ()));
        linked.map_err(|error| HubError::cache(&to, &error))?;
    }
    Ok(Preview { folder, stand_in: Some(stand_in) })
}

/// The beginning of a safetensors file up to its first tensor, and its length.
fn header(client: &Client<'_>, commit: &str, file: &str, watch: &mut dyn Watch) -> Result<(Vec<u8>, u64), HubError> {
    let wrong = |what: String| client.malformed(&client.file_url(commit, file), what);
    let (mut bytes, size) = client.beginning(commit, file, FIRST, watch)?;
    let length = bytes.first_chunk().map(|length| u64::from_le_bytes(*length));
    let length = length.ok_or_else(|| wrong(format!("a safetensors file of {size} bytes")))?;
    if length > MAX_HEADER || LENGTH + length > size {
        return Err(wrong(format!("a safetensors header of {length} bytes in a file of {size}")));
    }
    if LENGTH + length > bytes.len() as u64 {
        bytes = client.beginning(commit, file, LENGTH + length, watch)?.0;
    }
    let end = usize::try_from(LENGTH + length).unwrap_or(usize::MAX);
    if bytes.len() < end {
        return Err(wrong(format!("{} bytes instead of {end}", bytes.len())));
    }
    bytes.truncate(end);
    Ok((bytes, size))
}

/// Writes a file of `size` bytes of which only the beginning takes space.
fn hollow(path: &Path, beginning: &[u8], size: u64) -> Result<(), HubError> {
    let written = File::create(path).and_then(|mut file| {
        file.write_all(beginning)?;
        file.set_len(size)
    });
    written.map_err(|error| HubError::cache(path, &error))
}
