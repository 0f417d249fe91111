//! Asking for memory before it is needed. Does nothing where there is no instruction for it.

/// Asks for the lines of `n` values from `first` on, which need not exist.
#[inline(always)]
pub(crate) fn to_read<T>(first: *const T, n: usize) {
    #[cfg(target_arch = "x86_64")]
    for line in lines(first, n) {
        use std::arch::x86_64::{_MM_HINT_T0, _mm_prefetch};
        // SAFETY: a prefetch may name any address.
        unsafe { _mm_prefetch::<_MM_HINT_T0>(line) };
    }
    #[cfg(not(target_arch = "x86_64"))]
    let _ = (first, n);
}

/// The same of values that are written next: far stores would otherwise wait for their lines one after the other.
#[inline(always)]
pub(crate) fn to_write<T>(first: *const T, n: usize) {
    #[cfg(target_arch = "x86_64")]
    for line in lines(first, n) {
        use std::arch::x86_64::{_MM_HINT_ET0, _mm_prefetch};
        // SAFETY: a prefetch may name any address.
        unsafe { _mm_prefetch::<_MM_HINT_ET0>(line) };
    }
    #[cfg(not(target_arch = "x86_64"))]
    let _ = (first, n);
}

#[cfg(target_arch = "x86_64")]
fn lines<T>(first: *const T, n: usize) -> impl Iterator<Item = *const i8> {
    (0..(n * size_of::<T>()).div_ceil(64)).map(move |line| first.cast::<i8>().wrapping_add(64 * line))
}
