//! What a file is, by its bytes.

use std::fs::{File, Metadata};
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::time::UNIX_EPOCH;

use sha2::{Digest, Sha256};

use super::entry::Key;

/// Bytes that are read at once.
const PIECE: usize = 1 << 20;

/// SHA-256 of the bytes of a regular file: the digest of a film that lies in one file.
///
/// # Errors
/// When it cannot be read, or is a folder or a pipe.
pub fn content_digest(file: &Path) -> io::Result<[u8; 32]> {
    let mut file = File::open(file)?;
    regular(&file.metadata()?)?;
    let (mut digest, mut piece) = (Sha256::new(), vec![0; PIECE]);
    loop {
        match file.read(&mut piece) {
            Ok(0) => return Ok(digest.finalize().into()),
            Ok(n) => digest.update(&piece[..n]),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
}

fn regular(found: &Metadata) -> io::Result<()> {
    match found.is_file() {
        true => Ok(()),
        false => Err(io::Error::new(io::ErrorKind::InvalidInput, "not a regular file")),
    }
}

/// A file as the file system tells it.
pub(crate) struct FileState {
    path: PathBuf,
    pub(super) bytes: u64,
    /// Digest of where it lies, its size, and when it was changed.
    pub(super) key: Key,
}

impl FileState {
    /// Whether the file is as it was.
    pub(crate) fn is_unchanged(&self) -> bool {
        state_of(&self.path).is_ok_and(|now| now.key == self.key)
    }
}

/// The state of `file`.
///
/// # Errors
/// When there is none, or it is no regular file.
pub(crate) fn state_of(file: &Path) -> io::Result<FileState> {
    let found = file.metadata()?;
    regular(&found)?;
    let modified = found.modified()?.duration_since(UNIX_EPOCH).map_or(0, |time| time.as_nanos());
    let digest = Sha256::new_with_prefix(b"zoetrope file state 1")
        .chain_update(file.canonicalize()?.as_os_str().as_encoded_bytes())
        .chain_update([0])
        .chain_update(found.len().to_le_bytes())
        .chain_update(modified.to_le_bytes());
    // The time of change also tells what was written over with an old time of modification.
    #[cfg(unix)]
    let digest = {
        use std::os::unix::fs::MetadataExt;
        [found.ino() as i64, found.ctime(), found.ctime_nsec()]
            .into_iter()
            .fold(digest, |digest, number| digest.chain_update(number.to_le_bytes()))
    };
    Ok(FileState { path: file.to_path_buf(), bytes: found.len(), key: digest.finalize().into() })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_known_by_its_bytes_and_its_state_by_every_change() {
        let folder = tempfile::tempdir().expect("a folder");
        let (one, other) = (folder.path().join("one"), folder.path().join("other"));
        std::fs::write(&one, b"film").expect("written");
        std::fs::write(&other, b"film").expect("written");
        assert_eq!(content_digest(&one).expect("a digest"), content_digest(&other).expect("a digest"));
        assert_eq!(content_digest(&one).expect("a digest"), <[u8; 32]>::from(Sha256::digest(b"film")));
        let state = state_of(&one).expect("a state");
        let before = state.key;
        assert!(state.is_unchanged());
        assert_eq!(before, state_of(&one).expect("a state").key);
        assert_ne!(before, state_of(&other).expect("a state").key);
        std::thread::sleep(std::time::Duration::from_millis(20));
        std::fs::write(&one, b"fish").expect("written");
        assert!(before != state_of(&one).expect("a state").key && !state.is_unchanged());
        assert!(content_digest(folder.path()).is_err() && content_digest(&folder.path().join("none")).is_err());
    }
}
