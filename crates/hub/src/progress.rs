//! How far a download is.

/// How far a download is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DownloadProgress {
    /// The file that is being downloaded.
    pub file: String,
    /// Bytes of this file that are on disk.
    pub file_done: u64,
    /// Bytes of this file.
    pub file_total: u64,
    /// Bytes of all files that are on disk, cached ones included.
    pub done: u64,
    /// Bytes of all files.
    pub total: u64,
}
