//! `stsz` and `stz2`, the sample sizes.

use super::super::boxes::{find, full_box, word};
use crate::error::{MediaError, malformed};
use crate::options::limits::{Limits, check_limit};

/// Sizes of the samples in bytes: one for all, or a table of 32, 16, 8 or 4 bits each.
pub(super) struct SampleSizes<'a> {
    /// Size of every sample; 0 when there is a table.
    uniform: u32,
    /// Bits per table entry.
    bits: u8,
    table: &'a [u8],
    /// Number of samples.
    pub(super) count: usize,
}

impl<'a> SampleSizes<'a> {
    /// Reads `stsz`, else `stz2`; no sample without either.
    ///
    /// # Errors
    /// `Malformed` field sizes, `Limit` for too many samples.
    pub(super) fn read(stbl: &'a [u8], limits: &Limits, warnings: &mut Vec<String>) -> Result<Self, MediaError> {
        let (uniform, bits, count, table) = if let Some(body) = find(stbl, b"stsz") {
            let (_, _, mut c) = full_box(body, "stsz box")?;
            (c.u32()?, 32, c.u32()?, c.rest())
        } else if let Some(body) = find(stbl, b"stz2") {
            let (_, _, mut c) = full_box(body, "stz2 box")?;
            let bits = (c.u32()? & 0xff) as u8;
            if !matches!(bits, 4 | 8 | 16) {
                return Err(malformed("stz2 box", format!("a field size of {bits} bits")));
            }
            (0, bits, c.u32()?, c.rest())
        } else {
            return Ok(SampleSizes { uniform: 0, bits: 32, table: &[], count: 0 });
        };
        let mut present = u64::from(count);
        if uniform == 0 {
            present = present.min(table.len() as u64 * 8 / u64::from(bits));
            if present < u64::from(count) {
                warnings.push(format!("the size table holds {present} of the {count} frames it announces"));
            }
        }
        check_limit("frames of the track", present, limits.samples)?;
        Ok(SampleSizes { uniform, bits, table, count: present as usize })
    }

    /// Bytes of sample `i`.
    pub(super) fn get(&self, i: usize) -> u32 {
        let byte = |i: usize| u32::from(self.table.get(i).copied().unwrap_or(0));
        match (self.uniform, self.bits) {
            (0, 32) => word(self.table, i),
            (0, 16) => byte(2 * i) << 8 | byte(2 * i + 1),
            (0, 8) => byte(i),
            (0, _) => byte(i / 2) >> (4 * (1 - i % 2)) & 15,
            (uniform, _) => uniform,
        }
    }
}
