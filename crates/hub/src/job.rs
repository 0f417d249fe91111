//! Downloads one file into the cache.

use std::fs::{self, File, OpenOptions};
use std::io::{ErrorKind, Read, Seek, Write};
use std::path::Path;

use crate::cache::Repo;
use crate::checksum::Checksum;
use crate::client::{Client, RemoteFile, RequestError};
use crate::error::HubError;
use crate::name::RepoName;
use crate::options::HubOptions;
use crate::progress::{DownloadProgress, Watch};

/// Bytes between two reports.
const STEP: usize = 256 << 10;

/// One file to download.
pub(crate) struct Job<'a> {
    pub(crate) client: &'a Client<'a>,
    pub(crate) cache: &'a Repo,
    pub(crate) repo: &'a RepoName,
    pub(crate) options: &'a HubOptions,
    pub(crate) commit: &'a str,
    pub(crate) file: &'a str,
    pub(crate) remote: &'a RemoteFile,
}

/// What is there of the file.
struct PartialFile {
    file: File,
    sum: Checksum,
    have: u64,
}

impl Job<'_> {
    /// Downloads the file, unless its bytes are there, and links it into the snapshot. `at` makes the report of so many
    /// bytes.
    pub(crate) fn run(&self, watch: &mut dyn Watch, at: &dyn Fn(u64) -> DownloadProgress) -> Result<(), HubError> {
        let RemoteFile { etag, size } = self.remote;
        watch.progress(at(0));
        let _lock = self.cache.lock(etag)?;
        let blob = self.cache.blob(etag);
        // Another process, or another file with the same bytes, may have brought it.
        if fs::metadata(&blob).map(|there| there.len()).ok() != Some(*size) {
            let part = self.cache.part(etag);
            self.fill(&part, watch, at)?;
            fs::rename(&part, &blob).map_err(|error| HubError::cache(&blob, &error))?;
        }
        self.cache.link(self.commit, self.file, etag)?;
        watch.progress(at(*size));
        Ok(())
    }

    /// Downloads the rest of the file `path` and verifies its checksum.
    fn fill(&self, path: &Path, watch: &mut dyn Watch, at: &dyn Fn(u64) -> DownloadProgress) -> Result<(), HubError> {
        let failed = |error: std::io::Error| HubError::cache(path, &error);
        fs::create_dir_all(path.parent().unwrap_or(Path::new("."))).map_err(failed)?;
        let mut open = OpenOptions::new();
        let mut file = open.create(true).truncate(false).read(true).write(true).open(path).map_err(failed)?;
        let RemoteFile { etag, size } = self.remote;
        let mut sum = Checksum::new(etag, *size);
        let have = sum.read(&mut file, self.remote.size).map_err(failed)?;
        let mut part = PartialFile { file, sum, have };
        let mut attempt = 0;
        while part.have < self.remote.size {
            watch.progress(at(part.have));
            let before = part.have;
            let (why, asked) = match self.receive(path, &mut part, watch, at) {
                Ok(()) => continue,
                Err(RequestError::Permanent(error)) => return Err(error),
                Err(RequestError::Transient(why, asked)) => (why, asked),
            };
            // Only attempts that brought nothing count.
            attempt = if part.have > before { 0 } else { attempt + 1 };
            let url = self.client.file_url(self.commit, self.file);
            if attempt > self.options.retries {
                let why = format!("{why} ({} of {} bytes)", part.have, self.remote.size);
                return Err(self.client.network(&url, why));
            }
            self.client.wait(&url, &why, attempt.max(1), asked, watch);
        }
        part.file.sync_all().map_err(failed)?;
        drop(part.file);
        part.sum.verify(&self.remote.etag).or_else(|found| {
            fs::remove_file(path).map_err(failed)?;
            let (repo, file, expected) = (self.repo.to_string(), self.file.into(), self.remote.etag.clone());
            Err(HubError::Checksum { repo, file, expected, found })
        })
    }

    /// One request; `part` grows as bytes arrive.
    fn receive(
        &self,
        path: &Path,
        part: &mut PartialFile,
        watch: &mut dyn Watch,
        at: &dyn Fn(u64) -> DownloadProgress,
    ) -> Result<(), RequestError> {
        let failed = |error: std::io::Error| RequestError::Permanent(HubError::cache(path, &error));
        let response = self.client.bytes(self.commit, self.file, part.have)?;
        let status = response.status().as_u16();
        let range = response.headers().get("content-range").and_then(|range| range.to_str().ok());
        let goes_on = status == 206 && range.is_none_or(|range| range.starts_with(&format!("bytes {}-", part.have)));
        if part.have > 0 && !goes_on {
            // The server ignored the range: start over.
            part.file.set_len(0).and_then(|()| part.file.rewind()).map_err(failed)?;
            (part.sum, part.have) = (Checksum::new(&self.remote.etag, self.remote.size), 0);
            if status != 200 {
                return Err(RequestError::Transient(format!("status {status} for a part of the file"), None));
            }
        }
        let mut body = response.into_body().into_with_config().limit(u64::MAX).reader();
        let mut buffer = vec![0; STEP];
        while part.have < self.remote.size {
            let most = STEP.min(usize::try_from(self.remote.size - part.have).unwrap_or(STEP));
            let count = match body.read(&mut buffer[..most]) {
                Ok(0) => return Err(RequestError::Transient("the answer ended early".into(), None)),
                Ok(count) => count,
                Err(error) if error.kind() == ErrorKind::Interrupted => continue,
                // Once bytes have come, whatever breaks the connection may not break the next.
                Err(error) => return Err(RequestError::Transient(error.to_string(), None)),
            };
            part.file.write_all(&buffer[..count]).map_err(failed)?;
            part.sum.add(&buffer[..count]);
            part.have += count as u64;
            watch.progress(at(part.have));
        }
        Ok(())
    }
}
