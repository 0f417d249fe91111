//! Random access to the bytes of a file or of memory. Nothing here reads a whole file.

pub(super) mod cursor;

use std::fs::File;
use std::path::Path;
use std::sync::Arc;

use crate::error::MediaError;

/// Bytes that can be read at any offset and from several threads. Cloning is cheap.
#[derive(Clone, Debug)]
pub struct ByteSource {
    storage: Storage,
    /// Where its first byte stands in the storage.
    begin: u64,
    len: u64,
}

#[derive(Clone, Debug)]
enum Storage {
    File(Arc<File>),
    Memory(Arc<[u8]>),
}

impl ByteSource {
    /// Opens a file for reading.
    ///
    /// # Errors
    /// `Io` as the operating system reports it, `Caller` for a folder.
    pub fn open(path: &Path) -> Result<Self, MediaError> {
        Self::from_file(File::open(path)?)
    }

    /// Takes a file that is open for reading.
    ///
    /// # Errors
    /// `Io` as the operating system reports it, `Caller` for a folder.
    pub fn from_file(file: File) -> Result<Self, MediaError> {
        let meta = file.metadata()?;
        if meta.is_dir() {
            return Err(MediaError::Caller("this is a folder, not a file".into()));
        }
        Ok(ByteSource { len: meta.len(), begin: 0, storage: Storage::File(Arc::new(file)) })
    }

    /// The `len` bytes from `begin` on, as a source of their own.
    ///
    /// # Errors
    /// `Io` when there are fewer bytes.
    pub fn part(&self, begin: u64, len: u64) -> Result<Self, MediaError> {
        if begin.checked_add(len).is_none_or(|end| end > self.len) {
            return Err(std::io::Error::from(std::io::ErrorKind::UnexpectedEof).into());
        }
        Ok(ByteSource { storage: self.storage.clone(), begin: self.begin + begin, len })
    }

    /// Wraps bytes that are in memory.
    pub fn from_bytes(bytes: impl Into<Arc<[u8]>>) -> Self {
        let bytes = bytes.into();
        ByteSource { len: bytes.len() as u64, begin: 0, storage: Storage::Memory(bytes) }
    }

    /// Length in bytes. For a file, its length when it was opened.
    pub fn len(&self) -> u64 {
        self.len
    }

    /// Whether there is no byte at all.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Fills `buf` with the bytes from `offset` on.
    ///
    /// # Errors
    /// `Io` when there are fewer bytes.
    pub fn read_at(&self, offset: u64, buf: &mut [u8]) -> Result<(), MediaError> {
        match self.read_some(offset, buf)? {
            n if n == buf.len() => Ok(()),
            _ => Err(std::io::Error::from(std::io::ErrorKind::UnexpectedEof).into()),
        }
    }

    /// Fills as much of `buf` as there are bytes from `offset` on. Returns the number of bytes read.
    ///
    /// # Errors
    /// `Io` as the operating system reports it.
    pub fn read_some(&self, offset: u64, buf: &mut [u8]) -> Result<usize, MediaError> {
        let room = usize::try_from(self.len.saturating_sub(offset)).unwrap_or(usize::MAX);
        let room = room.min(buf.len());
        let (buf, offset) = (&mut buf[..room], self.begin.saturating_add(offset));
        match &self.storage {
            Storage::Memory(bytes) => {
                let start = usize::try_from(offset).unwrap_or(usize::MAX).min(bytes.len());
                let n = buf.len().min(bytes.len() - start);
                buf[..n].copy_from_slice(&bytes[start..start + n]);
                Ok(n)
            }
            Storage::File(file) => {
                let mut done = 0;
                while done < buf.len() {
                    match file_read(file, offset.saturating_add(done as u64), &mut buf[done..]) {
                        Ok(0) => break,
                        Ok(n) => done += n,
                        Err(e) if e.kind() == std::io::ErrorKind::Interrupted => {}
                        Err(e) => return Err(e.into()),
                    }
                }
                Ok(done)
            }
        }
    }

    /// Reads `size` bytes from `offset` on into a new vector. The range is checked before anything is allocated.
    ///
    /// # Errors
    /// `Io` when the range reaches past the end.
    pub fn read_vec(&self, offset: u64, size: usize) -> Result<Vec<u8>, MediaError> {
        if offset.checked_add(size as u64).is_none_or(|end| end > self.len) {
            return Err(std::io::Error::from(std::io::ErrorKind::UnexpectedEof).into());
        }
        let mut out = vec![0; size];
        self.read_at(offset, &mut out)?;
        Ok(out)
    }

    /// All bytes. Those that are in memory already are shared.
    ///
    /// # Errors
    /// `Io` as the operating system reports it, and when the file has become shorter.
    pub(crate) fn read_all(&self) -> Result<Arc<[u8]>, MediaError> {
        match &self.storage {
            Storage::Memory(bytes) if self.len == bytes.len() as u64 => Ok(bytes.clone()),
            Storage::File(_) | Storage::Memory(_) => Ok(self.read_vec(0, self.len as usize)?.into()),
        }
    }
}

#[cfg(unix)]
fn file_read(file: &File, offset: u64, buf: &mut [u8]) -> std::io::Result<usize> {
    std::os::unix::fs::FileExt::read_at(file, buf, offset)
}

#[cfg(windows)]
fn file_read(file: &File, offset: u64, buf: &mut [u8]) -> std::io::Result<usize> {
    std::os::windows::fs::FileExt::seek_read(file, buf, offset)
}

/// A small read-ahead buffer over a [`ByteSource`], for walking headers.
pub(super) struct PeekReader<'a> {
    source: &'a ByteSource,
    start: u64,
    data: Vec<u8>,
    read_ahead: usize,
}

impl<'a> PeekReader<'a> {
    /// A reader that fetches at least `read_ahead` bytes at a time.
    pub(super) fn new(source: &'a ByteSource, read_ahead: usize) -> Self {
        PeekReader { source, start: 0, data: Vec::new(), read_ahead }
    }

    /// Length of the source in bytes.
    pub(super) fn len(&self) -> u64 {
        self.source.len()
    }

    /// Up to `want` bytes from `offset` on; fewer only at the end of the source.
    pub(super) fn peek(&mut self, offset: u64, want: usize) -> Result<&[u8], MediaError> {
        let inside = offset >= self.start && offset.saturating_add(want as u64) <= self.start + self.data.len() as u64;
        if !inside {
            let left = self.source.len().saturating_sub(offset);
            let size = (want.max(self.read_ahead) as u64).min(left) as usize;
            self.data.resize(size, 0);
            let n = self.source.read_some(offset, &mut self.data)?;
            self.data.truncate(n);
            self.start = offset;
        }
        let from = (offset - self.start) as usize;
        let to = (from + want).min(self.data.len());
        Ok(&self.data[from..to])
    }
}
