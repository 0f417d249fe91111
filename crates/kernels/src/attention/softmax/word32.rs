//! 32-bit numbers as bytes.

/// f32 or u32: 32 bits of any pattern.
pub(super) trait Word32: Copy {}
impl Word32 for f32 {}
impl Word32 for u32 {}

/// The bytes of `values`.
pub(super) fn as_bytes<T: Word32>(values: &[T]) -> &[u8] {
    // SAFETY: numbers have no padding, and every byte pattern is a byte.
    unsafe { std::slice::from_raw_parts(values.as_ptr().cast(), size_of_val(values)) }
}
