//! Numbers in memory that begins at a cache line. A `Vec` begins anywhere, and then each load of a 64-byte register
//! reads two lines.

use std::marker::PhantomData;
use std::ops::{Deref, DerefMut};

use crate::plain_number::PlainNumber;

/// A cache line of bytes at an aligned address.
#[derive(Clone, Copy)]
#[repr(C, align(64))]
struct CacheLine([u8; 64]);

/// A slice of numbers on the heap that begins at a cache line.
pub(crate) struct CacheLines<T> {
    lines: Vec<CacheLine>,
    len: usize,
    numbers: PhantomData<T>,
}

impl<T: PlainNumber> CacheLines<T> {
    /// So many zeros.
    pub(crate) fn zeroed(len: usize) -> Self {
        let lines = vec![CacheLine([0; 64]); (len * size_of::<T>()).div_ceil(64)];
        CacheLines { lines, len, numbers: PhantomData }
    }
}

impl<T: PlainNumber> Deref for CacheLines<T> {
    type Target = [T];

    fn deref(&self) -> &[T] {
        // SAFETY: the lines hold at least `len` numbers at an address that is aligned for them, and any bits are one.
        unsafe { std::slice::from_raw_parts(self.lines.as_ptr().cast(), self.len) }
    }
}

impl<T: PlainNumber> DerefMut for CacheLines<T> {
    fn deref_mut(&mut self) -> &mut [T] {
        // SAFETY: as above; the lines are borrowed mutably.
        unsafe { std::slice::from_raw_parts_mut(self.lines.as_mut_ptr().cast(), self.len) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_begin_at_a_cache_line_and_are_zero() {
        for len in [0, 1, 15, 16, 17, 1000] {
            let mut numbers = CacheLines::<f32>::zeroed(len);
            assert_eq!((numbers.as_ptr().addr() % 64, &numbers[..]), (0, &vec![0.0; len][..]));
            numbers.fill(1.5);
            assert_eq!(&numbers[..], vec![1.5; len]);
            assert_eq!(CacheLines::<u8>::zeroed(len).len(), len);
        }
    }
}
