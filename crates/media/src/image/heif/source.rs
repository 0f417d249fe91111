//! What a HEIF picture is decoded from.

use crate::container::byte_source::ByteSource;
use crate::container::items::Items;
use crate::options::OpenOptions;

/// An opened file, its items, and the options it was opened with.
#[derive(Debug)]
pub(super) struct HeifSource {
    pub(super) bytes: ByteSource,
    pub(super) items: Items,
    pub(super) options: OpenOptions,
}
