//! Numbers and their bytes.

/// A number of which any bits are one, without padding.
pub(crate) trait PlainNumber: Copy {}

impl PlainNumber for u8 {}
impl PlainNumber for u32 {}
impl PlainNumber for f32 {}

/// The bytes of `values`.
pub(crate) fn as_bytes<T: PlainNumber>(values: &[T]) -> &[u8] {
    // SAFETY: numbers have no padding, and every byte pattern is a byte.
    unsafe { std::slice::from_raw_parts(values.as_ptr().cast(), size_of_val(values)) }
}
