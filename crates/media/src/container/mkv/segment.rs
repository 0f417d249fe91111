//! The segment of a Matroska file: finding it and loading its header elements.

use super::super::byte_source::{ByteSource, PeekReader};
use super::ebml::{Element, element};
use super::ids;
use crate::error::{MediaError, malformed};
use crate::limits::{Limits, check_limit};

/// Bytes read ahead while walking headers: enough for a block's header, little enough to step over payloads.
pub(super) const READ_AHEAD: usize = 256;

/// Reads elements of the file within the header budget.
pub(super) struct SegmentReader<'a> {
    pub(super) reader: PeekReader<'a>,
    source: &'a ByteSource,
    limits: &'a Limits,
    budget: u64,
}

impl<'a> SegmentReader<'a> {
    pub(super) fn new(source: &'a ByteSource, limits: &'a Limits) -> Self {
        SegmentReader { reader: PeekReader::new(source, READ_AHEAD), source, limits, budget: limits.header_bytes }
    }

    /// Finds the segment: offset of its contents and their end.
    pub(super) fn find(&mut self) -> Result<(u64, u64), MediaError> {
        let mut at = 0;
        for _ in 0..self.limits.depth.max(4) {
            let Some(child) = element(&mut self.reader, at)? else { break };
            let len = self.source.len();
            let end = child.size.map_or(len, |s| child.body.saturating_add(s));
            match child.id {
                ids::SEGMENT => return Ok((child.body, end.min(len))),
                _ if child.size.is_none() => break,
                _ => at = end,
            }
        }
        Err(malformed("matroska file", "no segment after the header"))
    }

    /// The contents of an element, cut at the end of the file.
    ///
    /// # Errors
    /// `Malformed` for an unknown size, `Limit` when the header budget is used up.
    pub(super) fn load(&mut self, element: Element) -> Result<Vec<u8>, MediaError> {
        let left = self.source.len().saturating_sub(element.body);
        let Some(size) = element.size else {
            return Err(malformed("matroska file", format!("a header of unknown size at byte {}", element.body)));
        };
        let size = size.min(left);
        check_limit("bytes of headers", size, self.budget)?;
        self.budget -= size;
        self.source.read_vec(element.body, size as usize)
    }
}
