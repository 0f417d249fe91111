//! Settings of the C library's memory allocator.

/// Keeps freed memory in the process for later allocations. By default glibc unmaps a large block as soon as it is
/// freed, and the system clears every page again at the next allocation; models free and allocate tensors of equal
/// sizes in every layer.
///
/// Call it once, at the start of the program: it holds for the whole process. Does nothing where the C library is not
/// glibc.
pub fn retain_freed() {
    #[cfg(all(target_os = "linux", target_env = "gnu"))]
    {
        /// Bytes of the largest allocation that is kept, and the most free memory at the top of the heap.
        const THRESHOLD: i32 = 256 << 20;
        // SAFETY: `mallopt` only sets numbers of the allocator; it may be called at any time.
        unsafe {
            libc::mallopt(libc::M_MMAP_THRESHOLD, THRESHOLD);
            libc::mallopt(libc::M_TRIM_THRESHOLD, THRESHOLD);
        }
    }
}
