//! The checksums that entity tags stand for.

use std::fmt::Write as _;
use std::fs::File;
use std::io::{Read, Seek, SeekFrom};

use sha1::Sha1;
use sha2::{Digest, Sha256};

/// Bytes that are read at once.
const STEP: usize = 256 << 10;

/// The checksum of a file while it arrives.
pub(crate) enum Checksum {
    /// Large files: SHA-256 of the bytes.
    Sha256(Sha256),
    /// Small files: the git blob hash (SHA-1 of a header with the length, then the bytes), or from some mirrors the
    /// SHA-1 of the bytes.
    Sha1 { git: Sha1, plain: Sha1 },
    /// Another form of tag: only the length is checked.
    Unknown,
}

impl Checksum {
    /// Of a file of `size` bytes.
    pub(crate) fn new(etag: &str, size: u64) -> Self {
        match etag.len() {
            64 if is_sum(etag) => Checksum::Sha256(Sha256::new()),
            40 if is_sum(etag) => {
                let git = Sha1::new().chain_update(format!("blob {size}\0"));
                Checksum::Sha1 { git, plain: Sha1::new() }
            }
            _ => Checksum::Unknown,
        }
    }

    pub(crate) fn add(&mut self, bytes: &[u8]) {
        match self {
            Checksum::Sha256(sum) => sum.update(bytes),
            Checksum::Sha1 { git, plain } => {
                git.update(bytes);
                plain.update(bytes);
            }
            Checksum::Unknown => {}
        }
    }

    /// Adds the content of a partial download and seeks to its end. A file longer than `limit` bytes is emptied.
    pub(crate) fn read(&mut self, file: &mut File, limit: u64) -> std::io::Result<u64> {
        let have = file.metadata()?.len();
        if have > limit {
            // Longer than the file: not a prefix of it.
            file.set_len(0)?;
        }
        file.seek(SeekFrom::Start(0))?;
        let mut buffer = vec![0; STEP];
        let mut read = 0;
        loop {
            match file.read(&mut buffer)? {
                0 => return Ok(read),
                count => {
                    self.add(&buffer[..count]);
                    read += count as u64;
                }
            }
        }
    }

    /// Compares with the entity tag; the error is the computed checksum.
    pub(crate) fn verify(self, etag: &str) -> Result<(), String> {
        let found = match self {
            Checksum::Sha256(sum) => vec![hexadecimal(&sum.finalize())],
            Checksum::Sha1 { git, plain } => vec![hexadecimal(&git.finalize()), hexadecimal(&plain.finalize())],
            Checksum::Unknown => return Ok(()),
        };
        match found.iter().any(|found| found.eq_ignore_ascii_case(etag)) {
            true => Ok(()),
            false => Err(found.into_iter().next().unwrap_or_default()),
        }
    }
}

/// Whether a tag has the form of a checksum.
pub(crate) fn is_sum(etag: &str) -> bool {
    matches!(etag.len(), 40 | 64) && etag.bytes().all(|byte| byte.is_ascii_hexdigit())
}

pub(crate) fn hexadecimal(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        // Writing to a string cannot fail.
        let _ = write!(text, "{byte:02x}");
        text
    })
}
