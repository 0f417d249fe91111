//! The segment of a Matroska file: finding it and loading its header elements.

use super::super::byte_source::{ByteSource, PeekReader};
use super::ebml::{Element, children, element, uint};
use super::ids;
use crate::error::{MediaError, malformed};
use crate::options::limits::{Limits, check_limit};

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

    /// Finds the segment at or after byte `start`: offset of its contents and their stated end.
    ///
    /// A recorder that was stopped leaves a size of 0, which means unknown as well.
    pub(super) fn find(&mut self, start: u64) -> Result<(u64, u64), MediaError> {
        let mut at = start;
        for _ in 0..self.limits.depth.max(4) {
            let Some(child) = element(&mut self.reader, at)? else { break };
            let len = self.source.len();
            let end = child.size.map_or(len, |s| child.body.saturating_add(s));
            match child.id {
                ids::SEGMENT if child.size == Some(0) => return Ok((child.body, len)),
                ids::SEGMENT => return Ok((child.body, end.min(len))),
                _ if child.size.is_none() => break,
                _ => at = end,
            }
        }
        Err(malformed("matroska file", "no segment after the header"))
    }

    /// Finds the header element `id` of the segment whose contents start at `segment`, by its seek head, else by
    /// stepping over the elements from byte `walk` on.
    pub(super) fn find_header(
        &mut self,
        id: u32,
        segment: u64,
        seek_head: &[(u32, u64)],
        walk: Option<u64>,
    ) -> Result<Option<Element>, MediaError> {
        for (_, position) in seek_head.iter().filter(|(wanted, _)| *wanted == id) {
            let found = element(&mut self.reader, segment.saturating_add(*position))?;
            if found.is_some_and(|e| e.id == id) {
                return Ok(found);
            }
        }
        let Some(mut at) = walk else { return Ok(None) };
        let mut count = 0;
        while let Some(child) = element(&mut self.reader, at)? {
            count += 1;
            check_limit("elements of the segment", count, self.limits.samples)?;
            match child.size {
                _ if child.id == id => return Ok(Some(child)),
                Some(size) if !matches!(child.id, ids::EBML | ids::SEGMENT) => at = child.body.saturating_add(size),
                _ => break,
            }
        }
        Ok(None)
    }

    /// The first byte at or after `from` where the id of a cluster stands.
    pub(super) fn find_cluster(&mut self, from: u64) -> Result<Option<u64>, MediaError> {
        find_cluster(&mut self.reader, from)
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

/// The first byte at or after `from` where the id of a cluster stands.
pub(super) fn find_cluster(reader: &mut PeekReader<'_>, from: u64) -> Result<Option<u64>, MediaError> {
    // Small steps first, so that many ids in a row cost no more than they are long.
    let (mut at, mut step) = (from, 256);
    let pattern = ids::CLUSTER.to_be_bytes();
    loop {
        let data = reader.peek(at, step)?;
        step = (step * 2).min(1 << 16);
        if data.len() < 4 {
            return Ok(None);
        }
        if let Some(found) = data.windows(4).position(|w| w == pattern) {
            return Ok(Some(at + found as u64));
        }
        at += data.len() as u64 - 3;
    }
}

/// The entries of a seek head: element ids and their positions in the segment.
pub(super) fn seek_head(data: &[u8]) -> Vec<(u32, u64)> {
    let entry = |body: &[u8]| -> Option<(u32, u64)> {
        let number = |id: u32| children(body).find(|c| c.0 == id).and_then(|c| uint(c.1).ok());
        Some((u32::try_from(number(ids::SEEK_ID)?).ok()?, number(ids::SEEK_POSITION)?))
    };
    children(data).filter(|c| c.0 == ids::SEEK).filter_map(|c| entry(c.1)).collect()
}
