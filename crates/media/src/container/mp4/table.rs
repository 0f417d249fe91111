//! Sample tables (`stbl`): runs of durations, chunks and sizes expanded to one entry a frame.

use super::super::bytes::{Cursor, bad};
use super::super::limit;
use super::boxes::{find, full, table, word};
use crate::{Limits, MediaError};

/// One coded frame on the media clock, before the edit list.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Raw {
    pub(super) offset: u64,
    pub(super) size: u32,
    pub(super) dts: i64,
    /// Composition offset as stored (may be negative).
    pub(super) offset_pts: i32,
    pub(super) duration: u32,
    pub(super) key: bool,
}

/// Expands the tables of `stbl`. An empty list is possible (fragmented files).
pub(super) fn read(stbl: &[u8], limits: &Limits, warnings: &mut Vec<String>) -> Result<Vec<Raw>, MediaError> {
    let sizes = Sizes::read(stbl, limits, warnings)?;
    if sizes.count == 0 {
        return Ok(Vec::new());
    }
    let chunks = Chunks::read(stbl)?;
    let mut times = Runs::read(stbl, b"stts", "stts box")?;
    if times.pairs.is_empty() {
        return Err(bad("stts box", "frames without durations"));
    }
    let mut offsets = Runs::read(stbl, b"ctts", "ctts box")?;
    let mut steps = chunks.steps()?;
    let mut out = Vec::new();
    let mut dts = 0i64;
    let mut negative = 0usize;
    'chunks: for chunk in 0..chunks.count() {
        let mut offset = chunks.offset(chunk);
        for _ in 0..steps.samples_in(chunk) {
            let i = out.len();
            if i >= sizes.count {
                break 'chunks;
            }
            let size = sizes.get(i);
            let duration = match times.next_value() {
                n if n > i32::MAX as u32 => {
                    negative += 1;
                    1
                }
                n => n,
            };
            let offset_pts = offsets.next_or_zero() as i32;
            out.push(Raw { offset, size, dts, offset_pts, duration, key: false });
            offset = offset.saturating_add(u64::from(size));
            dts += i64::from(duration);
        }
    }
    if negative > 0 {
        warnings.push(format!("{negative} frame durations are negative, taken as 1 tick"));
    }
    if out.len() < sizes.count {
        warnings.push(format!("the chunk tables place {} of {} frames", out.len(), sizes.count));
    }
    mark_keys(stbl, &mut out, warnings)?;
    Ok(out)
}

/// Sizes of the samples: one for all, or a table of 32, 16, 8 or 4 bits each.
struct Sizes<'a> {
    one: u32,
    bits: u8,
    table: &'a [u8],
    count: usize,
}

impl<'a> Sizes<'a> {
    fn read(stbl: &'a [u8], limits: &Limits, warnings: &mut Vec<String>) -> Result<Self, MediaError> {
        let (one, bits, count, table) = if let Some(body) = find(stbl, b"stsz") {
            let (_, _, mut c) = full(body, "stsz box")?;
            (c.u32()?, 32, c.u32()?, c.rest())
        } else if let Some(body) = find(stbl, b"stz2") {
            let (_, _, mut c) = full(body, "stz2 box")?;
            let bits = (c.u32()? & 0xff) as u8;
            if !matches!(bits, 4 | 8 | 16) {
                return Err(bad("stz2 box", format!("a field size of {bits} bits")));
            }
            (0, bits, c.u32()?, c.rest())
        } else {
            return Ok(Sizes { one: 0, bits: 32, table: &[], count: 0 });
        };
        let mut have = u64::from(count);
        if one == 0 {
            have = have.min(table.len() as u64 * 8 / u64::from(bits));
            if have < u64::from(count) {
                warnings.push(format!("the size table holds {have} of the {count} frames it announces"));
            }
        }
        limit("frames of the track", have, limits.samples)?;
        Ok(Sizes { one, bits, table, count: have as usize })
    }

    fn get(&self, i: usize) -> u32 {
        let byte = |i: usize| u32::from(self.table.get(i).copied().unwrap_or(0));
        match (self.one, self.bits) {
            (0, 32) => word(self.table, i),
            (0, 16) => byte(2 * i) << 8 | byte(2 * i + 1),
            (0, 8) => byte(i),
            (0, _) => byte(i / 2) >> (4 * (1 - i % 2)) & 15,
            (one, _) => one,
        }
    }
}

/// Chunk offsets, and how many samples each chunk has.
struct Chunks<'a> {
    offsets: &'a [u8],
    wide: bool,
    runs: &'a [u8],
}

impl<'a> Chunks<'a> {
    fn read(stbl: &'a [u8]) -> Result<Self, MediaError> {
        let (body, wide) = match (find(stbl, b"stco"), find(stbl, b"co64")) {
            (Some(body), _) => (body, false),
            (None, Some(body)) => (body, true),
            (None, None) => return Err(bad("stbl box", "no chunk offsets (stco or co64)")),
        };
        let (_, _, mut c) = full(body, "stco box")?;
        let (_, offsets) = table(&mut c, if wide { 8 } else { 4 })?;
        let (_, _, mut c) = full(find(stbl, b"stsc").unwrap_or(&[]), "stsc box")?;
        let (_, runs) = table(&mut c, 12)?;
        Ok(Chunks { offsets, wide, runs })
    }

    fn count(&self) -> usize {
        self.offsets.len() / if self.wide { 8 } else { 4 }
    }

    fn offset(&self, i: usize) -> u64 {
        if self.wide {
            u64::from(word(self.offsets, 2 * i)) << 32 | u64::from(word(self.offsets, 2 * i + 1))
        } else {
            u64::from(word(self.offsets, i))
        }
    }

    fn steps(&self) -> Result<Steps<'a>, MediaError> {
        if self.runs.is_empty() {
            return Err(bad("stsc box", "it maps no chunk"));
        }
        Ok(Steps { runs: self.runs, at: 0 })
    }
}

/// Walks the sample-to-chunk runs along with the chunks.
struct Steps<'a> {
    runs: &'a [u8],
    at: usize,
}

impl Steps<'_> {
    /// Samples in chunk `chunk` (from 0); chunks must be asked for in rising order.
    fn samples_in(&mut self, chunk: usize) -> u32 {
        let runs = self.runs.len() / 12;
        while self.at + 1 < runs && word(self.runs, 3 * (self.at + 1)) as usize <= chunk + 1 {
            self.at += 1;
        }
        word(self.runs, 3 * self.at + 1)
    }
}

/// A table of (count, value) pairs read one sample at a time.
struct Runs<'a> {
    pairs: &'a [u8],
    at: usize,
    left: u32,
    value: u32,
}

impl<'a> Runs<'a> {
    fn read(stbl: &'a [u8], kind: &[u8; 4], part: &'static str) -> Result<Self, MediaError> {
        let empty = Runs { pairs: &[], at: 0, left: 0, value: 0 };
        let Some(body) = find(stbl, kind) else { return Ok(empty) };
        let (_, _, mut c): (_, _, Cursor<'a>) = full(body, part)?;
        let (_, pairs) = table(&mut c, 8)?;
        Ok(Runs { pairs, ..empty })
    }

    /// Moves to the run of the next sample; false when the table is used up.
    fn advance(&mut self) -> bool {
        while self.left == 0 {
            if self.at * 8 >= self.pairs.len() {
                return false;
            }
            self.left = word(self.pairs, 2 * self.at);
            self.value = word(self.pairs, 2 * self.at + 1);
            self.at += 1;
        }
        self.left -= 1;
        true
    }

    /// The next sample's value; the last one again when the table is short.
    fn next_value(&mut self) -> u32 {
        self.advance();
        self.value
    }

    /// The next sample's value; zero when the table is short.
    fn next_or_zero(&mut self) -> u32 {
        if self.advance() { self.value } else { 0 }
    }
}

/// Marks sync samples: all when there is no `stss`; `stps` (partial sync, open groups) counts too.
fn mark_keys(stbl: &[u8], out: &mut [Raw], warnings: &mut Vec<String>) -> Result<(), MediaError> {
    let Some(body) = find(stbl, b"stss") else {
        out.iter_mut().for_each(|s| s.key = true);
        return Ok(());
    };
    for body in [Some(body), find(stbl, b"stps")].into_iter().flatten() {
        let (_, _, mut c) = full(body, "stss box")?;
        let (_, numbers) = table(&mut c, 4)?;
        let from_zero = !numbers.is_empty() && word(numbers, 0) == 0;
        for i in 0..numbers.len() / 4 {
            let n = word(numbers, i) as usize;
            if let Some(at) = if from_zero { Some(n) } else { n.checked_sub(1) }
                && let Some(sample) = out.get_mut(at)
            {
                sample.key = true;
            }
        }
    }
    if !out.iter().any(|s| s.key) {
        warnings.push("the index names no keyframe, decoding starts at the first frame".into());
        if let Some(first) = out.first_mut() {
            first.key = true;
        }
    }
    Ok(())
}
