//! What the process does with memory that it has freed.

/// Keeps freed memory for the next tensor instead of handing it back to the system, which would have to clear every
/// page again: models ask for the same sizes layer after layer. Does nothing where the C library is not glibc.
pub fn keep_freed() {
    #[cfg(all(target_os = "linux", target_env = "gnu"))]
    {
        const LARGEST: i32 = 256 << 20;
        // SAFETY: `mallopt` only sets numbers of the allocator; it may be called at any time.
        unsafe {
            libc::mallopt(libc::M_MMAP_THRESHOLD, LARGEST);
            libc::mallopt(libc::M_TRIM_THRESHOLD, LARGEST);
        }
    }
}
