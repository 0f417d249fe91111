//! The scan over clusters: headers of blocks are read, payloads are stepped over.

use super::super::bytes::Cursor;
use super::super::limit;
use super::super::source::Window;
use super::ebml::{self, Element, element, id, is_top, vint};
use crate::track::Sample;
use crate::{Limits, MediaError};

/// State of the scan.
pub(super) struct Scan<'a> {
    window: Window<'a>,
    limits: &'a Limits,
    track: u64,
    /// Ticks between the frames of a lace, when the track says.
    lace_ticks: i64,
    /// Frames in stored order; `dts` is not filled yet.
    pub(super) samples: Vec<Sample>,
    /// What went wrong, each kind once.
    pub(super) warnings: Vec<String>,
    steps: u64,
    extra: u64,
}

/// A block found inside a cluster.
struct Block {
    body: u64,
    end: u64,
    /// Known from the group; simple blocks say it themselves.
    key: Option<bool>,
}

impl<'a> Scan<'a> {
    /// A scan for one track. `extra` is what every frame gains when it is read (stripped bytes).
    pub(super) fn new(window: Window<'a>, limits: &'a Limits, track: u64, lace_ticks: i64, extra: u64) -> Self {
        Scan { window, limits, track, lace_ticks, samples: Vec::new(), warnings: Vec::new(), steps: 0, extra }
    }

    fn warn(&mut self, text: String) {
        let kind = |t: &str| t.split(|c: char| c.is_ascii_digit()).next().map(str::to_owned);
        if !self.warnings.iter().any(|w| kind(w) == kind(&text)) {
            self.warnings.push(text);
        }
    }

    /// One step of work; a file may not ask for more than a few a sample.
    fn step(&mut self) -> Result<(), MediaError> {
        self.steps += 1;
        limit("elements of the file", self.steps, self.limits.samples.saturating_mul(16))
    }

    /// Scans one cluster; the place to go on from.
    pub(super) fn cluster(&mut self, cluster: Element, parent_end: u64) -> Result<u64, MediaError> {
        let known = cluster.size.map(|s| cluster.body.saturating_add(s));
        let end = known.unwrap_or(parent_end).min(parent_end);
        let mut at = cluster.body;
        let mut base = 0i64;
        while at < end {
            self.step()?;
            let Some(child) = element(&mut self.window, at)? else {
                self.warn(format!("no element at byte {at}, skipped to the next cluster"));
                return self.next_cluster(at + 1);
            };
            if is_top(child.id) && (known.is_none() || child.id == id::CLUSTER) {
                return Ok(at);
            }
            let Some(size) = child.size else {
                self.warn(format!("an element of unknown size inside a cluster at byte {at}"));
                return self.next_cluster(child.body);
            };
            let child_end = child.body.saturating_add(size);
            if child_end > end {
                if child_end > self.window.len() {
                    self.warn(format!("the file is cut: the element at byte {at} ends {} bytes after it", {
                        child_end - self.window.len()
                    }));
                } else {
                    self.warn(format!("the element at byte {at} is longer than its cluster"));
                }
                return self.next_cluster(child.body);
            }
            match child.id {
                id::TIMESTAMP => base = self.timestamp(child)?,
                id::SIMPLE_BLOCK => self.block(Block { body: child.body, end: child_end, key: None }, base)?,
                id::BLOCK_GROUP => self.group(child.body, child_end, base)?,
                id::ENCRYPTED_BLOCK => return Err(super::tracks::encrypted()),
                _ => {}
            }
            at = child_end;
        }
        Ok(end)
    }

    fn timestamp(&mut self, child: Element) -> Result<i64, MediaError> {
        let size = child.size.unwrap_or(0).min(9) as usize;
        let value = ebml::uint(self.window.peek(child.body, size)?)?;
        Ok(i64::try_from(value).unwrap_or(i64::MAX).min(i64::MAX / 8))
    }

    /// Scans forward for the next cluster's id after damage.
    fn next_cluster(&mut self, from: u64) -> Result<u64, MediaError> {
        // Small steps first, so that many ids in a row cost no more than they are long.
        let (mut at, mut step) = (from, 256);
        let pattern = id::CLUSTER.to_be_bytes();
        loop {
            let data = self.window.peek(at, step)?;
            step = (step * 2).min(1 << 16);
            if data.len() < 4 {
                return Ok(self.window.len());
            }
            if let Some(found) = data.windows(4).position(|w| w == pattern) {
                return Ok(at + found as u64);
            }
            at += data.len() as u64 - 3;
        }
    }

    /// A block group: its block, and whether it refers to others.
    fn group(&mut self, from: u64, end: u64, base: i64) -> Result<(), MediaError> {
        let (mut at, mut block, mut refers) = (from, None, false);
        while at < end {
            self.step()?;
            let Some(Element { id, body, size: Some(size) }) = element(&mut self.window, at)? else {
                break;
            };
            let child_end = body.saturating_add(size);
            if child_end > end {
                self.warn(format!("the element at byte {at} is longer than its group"));
                break;
            }
            match id {
                id::BLOCK => block = Some((body, child_end)),
                id::REFERENCE_BLOCK => refers = true,
                id::ENCRYPTED_BLOCK => return Err(super::tracks::encrypted()),
                _ => {}
            }
            at = child_end;
        }
        match block {
            Some((body, end)) => self.block(Block { body, end, key: Some(!refers) }, base),
            None => Ok(()),
        }
    }

    /// Reads a block's header and adds its frames when it is ours.
    fn block(&mut self, block: Block, base: i64) -> Result<(), MediaError> {
        let have = (block.end - block.body).min(12) as usize;
        let head = self.window.peek(block.body, have)?;
        let Some((track, used)) = vint(head) else {
            self.warn(format!("a block without a track number at byte {}", block.body));
            return Ok(());
        };
        let Some(&[hi, lo, flags]) = head.get(used..used + 3) else {
            self.warn(format!("a block of {have} bytes at byte {}", block.body));
            return Ok(());
        };
        if track != self.track {
            return Ok(());
        }
        let pts = base + i64::from(i16::from_be_bytes([hi, lo]));
        let key = block.key.unwrap_or(flags & 0x80 != 0);
        let data = block.body + used as u64 + 3;
        match flags >> 1 & 3 {
            0 => self.push(data, block.end - data, pts, key),
            kind => self.laced(kind, data, block.end, pts, key),
        }
    }

    /// Adds a frame; an empty one (nothing new to show) is left out.
    fn push(&mut self, offset: u64, size: u64, pts: i64, key: bool) -> Result<(), MediaError> {
        if size + self.extra == 0 {
            return Ok(());
        }
        limit("bytes of a coded frame", size + self.extra, self.limits.sample_bytes)?;
        limit("frames of the track", self.samples.len() as u64 + 1, self.limits.samples)?;
        self.samples.push(Sample { offset, size: size as u32, pts, dts: pts, key, shown: true });
        Ok(())
    }

    /// Several frames in one block: 1 Xiph, 2 equal sizes, 3 EBML lacing.
    fn laced(&mut self, kind: u8, data: u64, end: u64, pts: i64, key: bool) -> Result<(), MediaError> {
        // At most 256 frames; a lace's sizes take under 256 * 8 bytes (EBML) or are cut (Xiph) there.
        let head = self.window.peek(data, (end - data).min(1 << 16) as usize)?;
        let Ok((sizes, used)) = lace_sizes(kind, head, end - data) else {
            self.warn(format!("a lace at byte {data} makes no sense"));
            return Ok(());
        };
        if sizes.len() > 1 && self.lace_ticks == 0 {
            self.warn("laced frames without a default duration share one time".into());
        }
        let mut at = data + used;
        for (i, size) in sizes.into_iter().enumerate() {
            self.push(at, size, pts + i as i64 * self.lace_ticks, key)?;
            at += size;
        }
        Ok(())
    }
}

/// Sizes of the frames of a lace of `total` bytes that starts with `head`, and the bytes its header takes.
fn lace_sizes(kind: u8, head: &[u8], total: u64) -> Result<(Vec<u64>, u64), MediaError> {
    let wrong = || super::super::bytes::bad("matroska lace", "its sizes do not add up");
    let mut c = Cursor::new(head, "matroska lace");
    let frames = u64::from(c.u8()?) + 1;
    let mut sizes: Vec<u64> = Vec::with_capacity(frames as usize);
    let number = |c: &mut Cursor<'_>| -> Result<(u64, usize), MediaError> {
        let (value, len) = vint(c.rest()).ok_or_else(wrong)?;
        c.skip(len)?;
        Ok((value, len))
    };
    for i in 0..frames - 1 {
        let size = match kind {
            1 => {
                let mut sum = 0;
                loop {
                    let b = c.u8()?;
                    sum += u64::from(b);
                    if b < 255 {
                        break sum;
                    }
                }
            }
            2 => {
                if !(total - 1).is_multiple_of(frames) {
                    return Err(wrong());
                }
                (total - 1) / frames
            }
            _ if i == 0 => number(&mut c)?.0,
            _ => {
                let (value, len) = number(&mut c)?;
                let bias = (1i64 << (7 * len - 1)) - 1;
                let delta = (value as i64) - bias;
                let previous = sizes.last().copied().unwrap_or(0);
                previous.checked_add_signed(delta).ok_or_else(wrong)?
            }
        };
        sizes.push(size);
    }
    let used = (head.len() - c.left()) as u64;
    let sum = sizes.iter().try_fold(used, |s, &n| s.checked_add(n)).ok_or_else(wrong)?;
    sizes.push(total.checked_sub(sum).ok_or_else(wrong)?);
    Ok((sizes, used))
}
