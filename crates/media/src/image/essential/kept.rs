//! A file again from parts of it.

use std::ops::Range;
use std::sync::Arc;

/// The file again from the ranges of it that are kept. It is not copied when they are all of it.
pub(super) fn keep(bytes: Arc<[u8]>, kept: &[Range<usize>]) -> Arc<[u8]> {
    let size: usize = kept.iter().map(Range::len).sum();
    if size == bytes.len() {
        return bytes;
    }
    let mut file = Vec::with_capacity(size);
    kept.iter().for_each(|range| file.extend_from_slice(&bytes[range.clone()]));
    file.into()
}
