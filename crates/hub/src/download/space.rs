//! How much fits on the disk of the cache.

use std::path::Path;

/// Bytes that this user may still write on the disk that will hold `folder`; `None` when the system does not say.
#[cfg(unix)]
pub(crate) fn free(folder: &Path) -> Option<u64> {
    // The folder itself may be still to be made.
    let there = folder.ancestors().find(|folder| folder.exists()).unwrap_or(Path::new("."));
    let there = if there.as_os_str().is_empty() { Path::new(".") } else { there };
    let disk = nix::sys::statvfs::statvfs(there).ok()?;
    // The types differ between systems.
    #[allow(clippy::unnecessary_cast, clippy::useless_conversion, reason = "narrower on some systems")]
    Some(u64::from(disk.blocks_available()).saturating_mul(disk.fragment_size() as u64))
}

#[cfg(not(unix))]
pub(crate) fn free(_: &Path) -> Option<u64> {
    None
}
