//! Where bytes come from: a file or memory, read at given places. Nothing here reads a whole file.

use std::fs::File;
use std::path::Path;
use std::sync::Arc;

use crate::MediaError;

/// Bytes that can be read at any place, from several threads; cloning is cheap.
#[derive(Clone, Debug)]
pub struct Source {
    inner: Inner,
    len: u64,
}

#[derive(Clone, Debug)]
enum Inner {
    File(Arc<File>),
    Bytes(Arc<[u8]>),
}

impl Source {
    /// Opens a file for reading. Errors: what the operating system says.
    pub fn open(path: &Path) -> Result<Self, MediaError> {
        let file = File::open(path)?;
        let meta = file.metadata()?;
        if meta.is_dir() {
            return Err(MediaError::Caller("this is a folder, not a file".into()));
        }
        Ok(Source { len: meta.len(), inner: Inner::File(Arc::new(file)) })
    }

    /// Bytes already in memory.
    pub fn from_bytes(bytes: impl Into<Arc<[u8]>>) -> Self {
        let bytes = bytes.into();
        Source { len: bytes.len() as u64, inner: Inner::Bytes(bytes) }
    }

    /// Length in bytes (of a file: when it was opened).
    pub fn len(&self) -> u64 {
        self.len
    }

    /// Whether there is no byte at all.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Fills `buf` from `offset` on. Errors: `Io` when the source ends before.
    pub fn read_at(&self, offset: u64, buf: &mut [u8]) -> Result<(), MediaError> {
        match self.read_some(offset, buf)? {
            n if n == buf.len() => Ok(()),
            _ => Err(std::io::Error::from(std::io::ErrorKind::UnexpectedEof).into()),
        }
    }

    /// Fills as much of `buf` as there is from `offset` on; the number of bytes read.
    pub fn read_some(&self, offset: u64, buf: &mut [u8]) -> Result<usize, MediaError> {
        match &self.inner {
            Inner::Bytes(bytes) => {
                let start = usize::try_from(offset).unwrap_or(usize::MAX).min(bytes.len());
                let n = buf.len().min(bytes.len() - start);
                buf[..n].copy_from_slice(&bytes[start..start + n]);
                Ok(n)
            }
            Inner::File(file) => {
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

    /// `size` bytes from `offset` on in a new vector; the range is checked against the length before anything is
    /// allocated.
    pub fn read_vec(&self, offset: u64, size: usize) -> Result<Vec<u8>, MediaError> {
        if offset.checked_add(size as u64).is_none_or(|end| end > self.len) {
            return Err(std::io::Error::from(std::io::ErrorKind::UnexpectedEof).into());
        }
        let mut out = vec![0; size];
        self.read_at(offset, &mut out)?;
        Ok(out)
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

/// A small read-ahead over a source, for walking headers.
pub(super) struct Window<'a> {
    source: &'a Source,
    start: u64,
    data: Vec<u8>,
    ahead: usize,
}

impl<'a> Window<'a> {
    /// A window that reads at least `ahead` bytes at a time.
    pub(super) fn new(source: &'a Source, ahead: usize) -> Self {
        Window { source, start: 0, data: Vec::new(), ahead }
    }

    /// Length of the source.
    pub(super) fn len(&self) -> u64 {
        self.source.len()
    }

    /// Up to `want` bytes from `offset` on; fewer only at the end of the source.
    pub(super) fn peek(&mut self, offset: u64, want: usize) -> Result<&[u8], MediaError> {
        let inside = offset >= self.start && offset.saturating_add(want as u64) <= self.start + self.data.len() as u64;
        if !inside {
            let left = self.source.len().saturating_sub(offset);
            let size = (want.max(self.ahead) as u64).min(left) as usize;
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
