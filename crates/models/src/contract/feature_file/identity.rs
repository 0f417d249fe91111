//! Which film and which model features are of.

use std::io;
use std::path::{Path, PathBuf};
use std::time::UNIX_EPOCH;

use serde::{Deserialize, Serialize};

use super::fingerprint::Fingerprint;
use crate::checkpoint::{Checkpoint, WEIGHT_FILES};
use crate::error::ModelResult;
use crate::weights::HeldAs;

/// Which film: by all of its bytes.
///
/// A film of 60 GB is not read again for each question: it is taken for the same when size, time of change and a sample
/// of every 4 MiB agree, and where only the time differs (a copy, another disk), when all bytes do.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FilmIdentity {
    bytes: u64,
    /// Nanoseconds since 1970; `None` where the file system does not tell.
    modified: Option<u64>,
    sampled: String,
    whole: String,
}

impl FilmIdentity {
    /// Reads all of `film`: a file, or a folder of pictures.
    ///
    /// # Errors
    /// What the system reports.
    pub fn of(film: &Path) -> io::Result<Self> {
        let files = files(film)?;
        let (bytes, modified) = stated(&files)?;
        Ok(FilmIdentity { bytes, modified, sampled: sampled(&files)?, whole: whole(&files)? })
    }

    /// A film of which only the digest of its content is known, wherever it lies. No file is taken for it.
    pub fn of_content(digest: &[u8; 32]) -> Self {
        let whole = digest.iter().map(|byte| format!("{byte:02x}")).collect();
        FilmIdentity { bytes: 0, modified: None, sampled: String::new(), whole }
    }

    /// Whether `film` is this one.
    ///
    /// # Errors
    /// What the system reports.
    pub fn is_of(&self, film: &Path) -> io::Result<bool> {
        let files = files(film)?;
        let (bytes, modified) = stated(&files)?;
        if bytes != self.bytes || sampled(&files)? != self.sampled {
            return Ok(false);
        }
        Ok(modified.is_some() && modified == self.modified || whole(&files)? == self.whole)
    }

    /// Whether two films have the same bytes.
    pub(super) fn has_bytes_of(&self, other: &Self) -> bool {
        (self.bytes, &self.whole) == (other.bytes, &other.whole)
    }
}

/// The film itself, or the files of the folder that it is.
fn files(film: &Path) -> io::Result<Vec<PathBuf>> {
    if !film.is_dir() {
        return Ok(vec![film.to_path_buf()]);
    }
    let mut files = Vec::new();
    for entry in std::fs::read_dir(film)? {
        let path = entry?.path();
        if path.is_file() {
            files.push(path);
        }
    }
    files.sort();
    Ok(files)
}

/// Bytes of all files, and when the last one was changed.
fn stated(files: &[PathBuf]) -> io::Result<(u64, Option<u64>)> {
    let (mut bytes, mut latest) = (0, Some(0));
    for file in files {
        let metadata = std::fs::metadata(file)?;
        bytes += metadata.len();
        let modified = metadata.modified().ok().and_then(|time| time.duration_since(UNIX_EPOCH).ok());
        let modified = modified.and_then(|time| u64::try_from(time.as_nanos()).ok());
        latest = latest.zip(modified).map(|(latest, own)| latest.max(own));
    }
    Ok((bytes, latest))
}

fn sampled(files: &[PathBuf]) -> io::Result<String> {
    fold(files, Fingerprint::sample_file)
}

fn whole(files: &[PathBuf]) -> io::Result<String> {
    fold(files, Fingerprint::whole_file)
}

/// The hash of all files. Names count where there are several: they are in the order of their names.
fn fold(files: &[PathBuf], add: fn(&mut Fingerprint, &Path) -> io::Result<()>) -> io::Result<String> {
    let mut print = Fingerprint::default();
    for file in files {
        if files.len() > 1 {
            print.part(file.file_name().unwrap_or_default().as_encoded_bytes());
        }
        add(&mut print, file)?;
    }
    Ok(print.finish())
}

/// Which model: its family, the files of its checkpoint, and what the encoder's matrices are held as.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ModelIdentity {
    /// The family.
    pub family: String,
    /// Hash of configuration and weight files (a block of every 4 MiB of those that are large).
    pub checkpoint: String,
    /// What the encoder's matrices are held as: another precision gives other features.
    pub held_as: String,
}

impl ModelIdentity {
    /// The identity of a model of `family` whose files are `checkpoints`, and whose encoder is `held_as`.
    ///
    /// # Errors
    /// [`crate::error::ModelError::File`] when a file cannot be read.
    pub fn of(family: &str, held_as: HeldAs, checkpoints: &[Checkpoint]) -> ModelResult<Self> {
        let mut print = Fingerprint::default();
        // Every part by itself: a stage may have files that are called as those of its base.
        for checkpoint in checkpoints.iter().flat_map(Checkpoint::parts) {
            for name in checkpoint.names()? {
                let is_weights = WEIGHT_FILES.iter().any(|ending| name.ends_with(ending));
                if !is_weights && !configures(&name) {
                    continue;
                }
                if let Some(bytes) = checkpoint.open(&name)? {
                    print.part(name.as_bytes());
                    print.sample(&bytes);
                }
            }
        }
        let held_as = format!("{} {}", held_as.name(), held_as.dtype.as_str());
        Ok(ModelIdentity { family: family.to_string(), checkpoint: print.finish(), held_as })
    }
}

/// Whether a file of a checkpoint configures encoder or image processor.
fn configures(name: &str) -> bool {
    let others = ["generation_config.json", "tokenizer_config.json"];
    name.ends_with("config.json") && !others.contains(&name)
}
