//! Memory-mapped files, read-only. Weights are read from the page cache without a copy.
//!
//! Deliberately absent: writable maps, growing maps, maps of anything but a regular file.

use std::fs::File;
use std::io;
use std::ops::{Deref, Range};
use std::path::Path;

use memmap2::Mmap;
#[cfg(unix)]
use memmap2::UncheckedAdvice;

/// A whole regular file, mapped read-only into memory; it dereferences to the file's bytes.
///
/// **Contract of the caller:** nobody changes or shortens the file while it is mapped. Model folders keep it: their
/// files are written under a temporary name and then renamed. A file edited in place breaks it. If a mapped file is
/// shortened, reading the lost part ends the process with SIGBUS.
#[derive(Debug)]
pub struct MappedFile {
    /// `None` for an empty file, because the system refuses to map one.
    map: Option<Mmap>,
}

impl MappedFile {
    /// Maps the whole regular file at `path`.
    ///
    /// # Errors
    /// Any error of opening or mapping the file; [`io::ErrorKind::InvalidInput`] when `path` is not a regular file.
    pub fn open(path: &Path) -> io::Result<MappedFile> {
        let file = File::open(path)?;
        let metadata = file.metadata()?;
        if !metadata.is_file() {
            let message = format!("{}: not a regular file, cannot be mapped", path.display());
            return Err(io::Error::new(io::ErrorKind::InvalidInput, message));
        }
        if metadata.len() == 0 {
            return Ok(MappedFile { map: None });
        }
        // SAFETY: the map is private to this object, read-only, and outlives every borrow of its bytes. That nobody
        // changes the file meanwhile is the documented contract of this type.
        let map = unsafe { Mmap::map(&file)? };
        Ok(MappedFile { map: Some(map) })
    }

    /// Drops the pages that `range` touches from the process's memory (`MADV_DONTNEED`). The bytes stay readable: the
    /// next access reads them from the file again. Does nothing where the system has no such call.
    ///
    /// # Panics
    /// When `range` does not lie inside the file: a defect of the caller.
    pub fn release(&self, range: Range<usize>) {
        assert!(range.start <= range.end && range.end <= self.len(), "a range of the file");
        #[cfg(unix)]
        if let Some(map) = self.map.as_ref().filter(|_| !range.is_empty()) {
            // SAFETY: the map is shared and read-only, and nobody changes the file (the contract of this type). So the
            // next access fills dropped pages with the same bytes, even while the bytes are borrowed.
            let _ = unsafe { map.unchecked_advise_range(UncheckedAdvice::DontNeed, range.start, range.len()) };
        }
    }
}

impl Deref for MappedFile {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        self.map.as_deref().unwrap_or(&[])
    }
}

impl AsRef<[u8]> for MappedFile {
    fn as_ref(&self) -> &[u8] {
        self
    }
}

#[cfg(test)]
mod tests {
    use super::MappedFile;
    use std::io::ErrorKind;

    #[test]
    fn a_map_holds_the_bytes_of_the_file() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("weights.bin");
        let bytes: Vec<u8> = (0..10_000u32).map(|i| (i * 7 % 251) as u8).collect();
        std::fs::write(&path, &bytes).unwrap();
        assert_eq!(&*MappedFile::open(&path).unwrap(), &bytes[..]);
    }

    #[test]
    fn a_map_can_be_read_from_other_threads_and_outlives_the_name() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("weights.bin");
        std::fs::write(&path, [3u8; 5000]).unwrap();
        let map = MappedFile::open(&path).unwrap();
        std::fs::remove_file(&path).unwrap();
        let sum = std::thread::spawn(move || map.iter().map(|&b| u64::from(b)).sum::<u64>()).join().unwrap();
        assert_eq!(sum, 15_000);
    }

    /// Bytes of file pages in the process's resident memory (`RssFile`).
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
        let map = MappedFile::open(&path).unwrap();
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
    fn an_empty_file_maps_and_missing_files_and_folders_are_errors() {
        let folder = tempfile::tempdir().unwrap();
        let empty = folder.path().join("empty");
        std::fs::write(&empty, []).unwrap();
        assert!(MappedFile::open(&empty).unwrap().is_empty());
        assert_eq!(MappedFile::open(&folder.path().join("no")).unwrap_err().kind(), ErrorKind::NotFound);
        assert!(MappedFile::open(folder.path()).is_err());
    }
}
