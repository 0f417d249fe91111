//! Memory-mapped files behind one safe door.
//!
//! Weights are read from the page cache without copying them first. Deliberately absent: writable maps, growing maps,
//! maps of anything but a regular file.

use std::fs::File;
use std::io;
use std::ops::{Deref, Range};
use std::path::Path;

use memmap2::Mmap;
#[cfg(unix)]
use memmap2::UncheckedAdvice;

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

impl Mapped {
    /// Says that the bytes of `range` are not needed soon: the pages that they touch leave the process's memory. They
    /// read as before, from the file, when they are asked for again. Where the system cannot do it, nothing happens.
    ///
    /// Panics when `range` is not inside the file: a defect of the caller.
    pub fn release(&self, range: Range<usize>) {
        assert!(range.start <= range.end && range.end <= self.len(), "a range of the file");
        #[cfg(unix)]
        if let Some(map) = self.map.as_ref().filter(|_| !range.is_empty()) {
            // SAFETY: the map is shared, read-only and of a file that nobody changes (the contract of this type), so
            // that dropped pages are filled with the same bytes at the next access, also under a borrow of them.
            let _ = unsafe { map.unchecked_advise_range(UncheckedAdvice::DontNeed, range.start, range.len()) };
        }
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

    /// Bytes of the process's memory that are pages of files, as Linux counts them.
    #[cfg(target_os = "linux")]
    fn file_pages() -> usize {
        let status = std::fs::read_to_string("/proc/self/status").unwrap();
        let line = status.lines().find(|line| line.starts_with("RssFile:")).unwrap();
        line.split_whitespace().nth(1).unwrap().parse::<usize>().unwrap() << 10
    }

    #[test]
    fn released_pages_leave_memory_and_read_as_before() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("weights.bin");
        let bytes: Vec<u8> = (0..16 << 20u32).map(|i: u32| (i * 7 % 251) as u8).collect();
        std::fs::write(&path, &bytes).unwrap();
        let map = Mapped::open(&path).unwrap();
        assert_eq!(&*map, &bytes[..]);
        #[cfg(target_os = "linux")]
        let before = file_pages();
        for range in [100..bytes.len(), 5000..5000, 0..1, bytes.len()..bytes.len()] {
            map.release(range);
        }
        #[cfg(target_os = "linux")]
        assert!(file_pages() + (12 << 20) < before, "{} {before}", file_pages());
        assert_eq!(&*map, &bytes[..]);
        map.release(0..bytes.len());
        assert_eq!(map[12345], bytes[12345]);
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
