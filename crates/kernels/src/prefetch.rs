//! Software prefetch. Does nothing on targets other than x86-64.

/// Prefetches the cache lines of `n` values from `first` on into the L2 cache; the address need not be valid.
#[inline(always)]
pub(crate) fn prefetch_read<T>(first: *const T, n: usize) {
    prefetch_lines::<false, T>(first, n);
}

/// Prefetches the cache lines of `n` values from `first` on for writing. Scattered stores would otherwise wait for one
/// line after the other. The address need not be valid.
#[inline(always)]
pub(crate) fn prefetch_write<T>(first: *const T, n: usize) {
    prefetch_lines::<true, T>(first, n);
}

#[inline(always)]
fn prefetch_lines<const WRITE: bool, T>(first: *const T, n: usize) {
    #[cfg(target_arch = "x86_64")]
    for line in 0..(n * size_of::<T>()).div_ceil(64) {
        use std::arch::x86_64::{_MM_HINT_ET0, _MM_HINT_T1, _mm_prefetch};
        let line = first.cast::<i8>().wrapping_add(64 * line);
        // SAFETY: a prefetch may name any address.
        unsafe { if WRITE { _mm_prefetch::<_MM_HINT_ET0>(line) } else { _mm_prefetch::<_MM_HINT_T1>(line) } };
    }
    #[cfg(not(target_arch = "x86_64"))]
    let _ = (first, n);
}
