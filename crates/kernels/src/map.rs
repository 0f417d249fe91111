//! Memory-mapped files behind one safe door.
//!
//! Weights are read from the page cache without copying them first. Deliberately absent: writable maps, growing maps,
//! maps of anything but a regular file.

use std::fs::File;
use std::io;
use std::ops::Deref;
use std::path::Path;

use memmap2::Mmap;

/// The bytes of a file, read-only, mapped into memory.
///
/// **Contract of the caller:** the file must not be changed or shortened by anyone while it is mapped. Model folders
/// are written once (to a temporary name, then renamed), which keeps that promise; a file somebody edits in place does
/// not. A file shortened under a map ends the process with SIGBUS when the lost part is read.
#[derive(Debug)]
pub struct Mapped {
    /// `None` for an empty file, which the system refuses to map.
    map: Option<Mmap>,
}

impl Mapped {
    /// Maps the whole regular file at `path`.
    ///
    /// # Errors
    /// Those of opening and mapping; [`io::ErrorKind::InvalidInput`] when `path` is not a regular file.
    pub fn open(path: &Path) -> io::Result<Mapped> {
        let file = File::open(path)?;
        let metadata = file.metadata()?;
        if !metadata.is_file() {
            let message = format!("{}: not a regular file, cannot be mapped", path.display());
            return Err(io::Error::new(io::ErrorKind::InvalidInput, message));
        }
        if metadata.len() == 0 {
            return Ok(Mapped { map: None });
        }
        // SAFETY: the map is private to this object and read-only, and lives no longer than the borrow of its bytes;
        // that nobody changes the file meanwhile is the documented contract of this type.
        let map = unsafe { Mmap::map(&file)? };
        Ok(Mapped { map: Some(map) })
    }
}

impl Deref for Mapped {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        self.map.as_deref().unwrap_or(&[])
    }
}

impl AsRef<[u8]> for Mapped {
    fn as_ref(&self) -> &[u8] {
        self
    }
}

#[cfg(test)]
mod tests {
    use super::Mapped;
    use std::io::ErrorKind;

    #[test]
    fn bytes_are_those_of_the_file() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("weights.bin");
        let bytes: Vec<u8> = (0..10_000u32).map(|i| (i * 7 % 251) as u8).collect();
        std::fs::write(&path, &bytes).unwrap();
        assert_eq!(&*Mapped::open(&path).unwrap(), &bytes[..]);
    }

    #[test]
    fn a_map_can_be_read_from_other_threads_and_outlives_the_name() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("weights.bin");
        std::fs::write(&path, [3u8; 5000]).unwrap();
        let map = Mapped::open(&path).unwrap();
        std::fs::remove_file(&path).unwrap();
        let sum = std::thread::spawn(move || map.iter().map(|&b| u64::from(b)).sum::<u64>()).join().unwrap();
        assert_eq!(sum, 15_000);
    }

    #[test]
    fn empty_missing_and_folder() {
        let folder = tempfile::tempdir().unwrap();
        let empty = folder.path().join("empty");
        std::fs::write(&empty, []).unwrap();
        assert!(Mapped::open(&empty).unwrap().is_empty());
        assert_eq!(Mapped::open(&folder.path().join("no")).unwrap_err().kind(), ErrorKind::NotFound);
        assert!(Mapped::open(folder.path()).is_err());
    }
}
