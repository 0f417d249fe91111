//! Asking for memory before it is needed. Does nothing where there is no instruction for it.

/// Asks for the lines of `n` values from `first` on, which need not exist.
#[inline(always)]
pub(crate) fn to_read<T>(first: *const T, n: usize) {
    lines::<false, T>(first, n);
}

/// The same of values that are written next: far stores would otherwise wait for their lines one after the other.
#[inline(always)]
pub(crate) fn to_write<T>(first: *const T, n: usize) {
    lines::<true, T>(first, n);
}

#[inline(always)]
fn lines<const WRITE: bool, T>(first: *const T, n: usize) {
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
