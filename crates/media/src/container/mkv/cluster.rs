//! The scan over clusters: block headers are read, payloads are stepped over.

use std::ops::Range;

use super::super::byte_source::PeekReader;
use super::super::track::Sample;
use super::content_encoding::encrypted;
use super::ebml::{Element, element, uint, vint};
use super::segment::find_cluster;
use super::{ids, lacing};
use crate::error::MediaError;
use crate::options::limits::{Limits, check_limit};

/// Collects the frames of all video tracks.
pub(super) struct ClusterScan<'a> {
    reader: PeekReader<'a>,
    limits: &'a Limits,
    /// The tracks, in the order they were given.
    pub(super) tracks: Vec<ScannedTrack>,
    /// What went wrong, at most one warning of each form.
    pub(super) warnings: Vec<String>,
    steps: u64,
    /// Frames of all tracks.
    frames: u64,
}

/// The frames of one track.
pub(super) struct ScannedTrack {
    number: u64,
    /// Ticks between the frames of a lace; 0 when the track does not state a default duration.
    lace_ticks: i64,
    /// Bytes that every frame gains when it is read (stripped headers).
    extra: u64,
    /// Frames in stored order. `dts` is not filled in yet.
    pub(super) samples: Vec<Sample>,
    /// Ticks that each frame lasts where its block says it, for tracks that are told by it.
    pub(super) durations: Option<Vec<Option<u64>>>,
    /// The latest presentation time, and how long that frame lasts where its block says it.
    pub(super) last: (i64, Option<u64>),
}

impl ScannedTrack {
    /// A track without frames yet.
    pub(super) fn new(number: u64, lace_ticks: i64, extra: u64) -> Self {
        ScannedTrack { number, lace_ticks, extra, samples: Vec::new(), durations: None, last: (i64::MIN, None) }
    }

    /// A text track without cues yet.
    pub(super) fn text(number: u64, extra: u64) -> Self {
        ScannedTrack { durations: Some(Vec::new()), ..ScannedTrack::new(number, 0, extra) }
    }
}

/// A block found inside a cluster.
struct Block {
    /// Offset of the contents.
    body: u64,
    /// Offset after the contents.
    end: u64,
    /// Known from the group; `None` for a simple block, whose own flags say it.
    keyframe: Option<bool>,
    /// Ticks, where the group states them.
    duration: Option<u64>,
}

impl Block {
    fn simple(body: u64, end: u64) -> Self {
        Block { body, end, keyframe: None, duration: None }
    }
}

impl<'a> ClusterScan<'a> {
    /// A scan for these tracks.
    pub(super) fn new(reader: PeekReader<'a>, limits: &'a Limits, tracks: Vec<ScannedTrack>) -> Self {
        ClusterScan { reader, limits, tracks, warnings: Vec::new(), steps: 0, frames: 0 }
    }

    /// Adds a warning unless one with the same text up to its first number is there.
    fn warn(&mut self, text: String) {
        let form = |t: &str| t.split(|c: char| c.is_ascii_digit()).next().map(str::to_owned);
        if !self.warnings.iter().any(|w| form(w) == form(&text)) {
            self.warnings.push(text);
        }
    }

    /// Counts one step of work. A file may ask for no more than a few steps per sample allowed.
    fn step(&mut self) -> Result<(), MediaError> {
        self.steps += 1;
        check_limit("elements of the file", self.steps, self.limits.samples.saturating_mul(16))
    }

    /// Scans one cluster. Returns the offset to continue at.
    pub(super) fn cluster(&mut self, cluster: Element, parent_end: u64) -> Result<u64, MediaError> {
        let known = cluster.size.map(|s| cluster.body.saturating_add(s));
        let end = known.unwrap_or(parent_end).min(parent_end);
        let mut at = cluster.body;
        let mut base = 0i64;
        while at < end {
            self.step()?;
            let Some(child) = element(&mut self.reader, at)? else {
                self.warn(format!("no element at byte {at}, skipped to the next cluster"));
                return self.next_cluster(at + 1);
            };
            if ids::is_top_level(child.id) && (known.is_none() || child.id == ids::CLUSTER) {
                return Ok(at);
            }
            let Some(size) = child.size else {
                self.warn(format!("an element of unknown size inside a cluster at byte {at}"));
                return self.next_cluster(child.body);
            };
            let child_end = child.body.saturating_add(size);
            if child_end > end {
                if child_end > self.reader.len() {
                    let missing = child_end - self.reader.len();
                    self.warn(format!("the file is cut: the element at byte {at} ends {missing} bytes after it"));
                } else {
                    self.warn(format!("the element at byte {at} is longer than its cluster"));
                }
                return self.next_cluster(child.body);
            }
            match child.id {
                ids::TIMESTAMP => base = self.timestamp(child)?,
                ids::SIMPLE_BLOCK => self.block(Block::simple(child.body, child_end), base)?,
                ids::BLOCK_GROUP => self.group(child.body, child_end, base)?,
                ids::ENCRYPTED_BLOCK => return Err(encrypted()),
                _ => {}
            }
            at = child_end;
        }
        Ok(end)
    }

    fn timestamp(&mut self, child: Element) -> Result<i64, MediaError> {
        let size = child.size.unwrap_or(0).min(9) as usize;
        let value = uint(self.reader.peek(child.body, size)?)?;
        Ok(i64::try_from(value).unwrap_or(i64::MAX).min(i64::MAX / 8))
    }

    /// Searches for the id of the next cluster, after damage.
    fn next_cluster(&mut self, from: u64) -> Result<u64, MediaError> {
        Ok(find_cluster(&mut self.reader, from)?.unwrap_or(self.reader.len()))
    }

    /// Reads a block group: its block, and whether it refers to other blocks.
    fn group(&mut self, from: u64, end: u64, base: i64) -> Result<(), MediaError> {
        let (mut at, mut block, mut refers, mut duration) = (from, None, false, None);
        while at < end {
            self.step()?;
            let Some(Element { id, body, size: Some(size) }) = element(&mut self.reader, at)? else {
                break;
            };
            let child_end = body.saturating_add(size);
            if child_end > end {
                self.warn(format!("the element at byte {at} is longer than its group"));
                break;
            }
            match id {
                ids::BLOCK => block = Some((body, child_end)),
                ids::REFERENCE_BLOCK => refers = true,
                ids::BLOCK_DURATION => duration = uint(self.reader.peek(body, size.min(9) as usize)?).ok(),
                ids::ENCRYPTED_BLOCK => return Err(encrypted()),
                _ => {}
            }
            at = child_end;
        }
        match block {
            Some((body, end)) => self.block(Block { body, end, keyframe: Some(!refers), duration }, base),
            None => Ok(()),
        }
    }

    /// Reads a block's header and adds its frames when it belongs to the track.
    fn block(&mut self, block: Block, base: i64) -> Result<(), MediaError> {
        let have = (block.end - block.body).min(12) as usize;
        let head = self.reader.peek(block.body, have)?;
        let Some((track, used)) = vint(head) else {
            self.warn(format!("a block without a track number at byte {}", block.body));
            return Ok(());
        };
        let Some(&[hi, lo, flags]) = head.get(used..used + 3) else {
            self.warn(format!("a block of {have} bytes at byte {}", block.body));
            return Ok(());
        };
        let Some(track) = self.tracks.iter().position(|t| t.number == track) else { return Ok(()) };
        let pts = base + i64::from(i16::from_be_bytes([hi, lo]));
        let keyframe = block.keyframe.unwrap_or(flags & 0x80 != 0);
        let data = block.body + used as u64 + 3;
        if pts >= self.tracks[track].last.0 {
            self.tracks[track].last = (pts, block.duration);
        }
        match flags >> 1 & 3 {
            0 => self.push(track, data, block.end - data, pts, keyframe)?,
            lacing => self.laced(track, lacing, data..block.end, pts, keyframe)?,
        }
        let ScannedTrack { samples, durations, .. } = &mut self.tracks[track];
        if let Some(durations) = durations {
            durations.resize(samples.len(), block.duration);
        }
        Ok(())
    }

    /// Adds a frame. An empty one (nothing new to show) is left out.
    fn push(&mut self, track: usize, offset: u64, size: u64, pts: i64, keyframe: bool) -> Result<(), MediaError> {
        let track = &mut self.tracks[track];
        if size + track.extra == 0 {
            return Ok(());
        }
        check_limit("bytes of a coded frame", size + track.extra, self.limits.sample_bytes)?;
        self.frames += 1;
        check_limit("frames of the track", self.frames, self.limits.samples)?;
        track.samples.push(Sample { offset, size: size as u32, pts, dts: pts, keyframe, shown: true });
        Ok(())
    }

    /// Adds the frames of a laced block whose data lies in `data`.
    fn laced(
        &mut self,
        track: usize,
        lacing: u8,
        data: Range<u64>,
        pts: i64,
        keyframe: bool,
    ) -> Result<(), MediaError> {
        let length = data.end - data.start;
        // At most 256 frames; a lace's sizes take under 256 * 8 bytes (EBML) or are cut (Xiph) there.
        let head = self.reader.peek(data.start, length.min(1 << 16) as usize)?;
        let Ok((sizes, used)) = lacing::frame_sizes(lacing, head, length) else {
            self.warn(format!("a lace at byte {} makes no sense", data.start));
            return Ok(());
        };
        let ticks = self.tracks[track].lace_ticks;
        if sizes.len() > 1 && ticks == 0 {
            self.warn("laced frames without a default duration share one time".into());
        }
        let mut at = data.start + used;
        for (i, size) in sizes.into_iter().enumerate() {
            self.push(track, at, size, pts + i as i64 * ticks, keyframe)?;
            at += size;
        }
        Ok(())
    }
}
