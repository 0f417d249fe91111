//! Movie fragments: `moof` with its `traf`, `tfhd`, `tfdt` and `trun` boxes, and the defaults of `trex`.

use super::boxes::{children, find, find_path, full_box};
use super::unedited_sample::UneditedSample;
use crate::error::{MediaError, malformed};
use crate::options::limits::{Limits, check_limit};

/// Defaults of a track's samples: from `trex`, then from `tfhd`.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct SampleDefaults {
    duration: u32,
    size: u32,
    flags: u32,
    /// Number of the sample description, from 1 as in the file; 0 when the file says nothing.
    description: u32,
}

/// The `trex` defaults of `track` in `moov`; `None` when the movie has no `mvex`, which means no fragments.
pub(super) fn defaults(moov: &[u8], track: u32) -> Option<SampleDefaults> {
    let mvex = find(moov, b"mvex")?;
    for child in children(mvex).filter(|c| c.fourcc == *b"trex") {
        let read = || -> Result<(u32, SampleDefaults), MediaError> {
            let (_, _, mut c) = full_box(child.body, "trex box")?;
            let (id, description) = (c.u32()?, c.u32()?);
            Ok((id, SampleDefaults { description, duration: c.u32()?, size: c.u32()?, flags: c.u32()? }))
        };
        if let Ok((id, found)) = read()
            && id == track
        {
            return Some(found);
        }
    }
    Some(SampleDefaults::default())
}

/// Samples that `moof` says it has of `track`.
pub(super) fn count(moof: &[u8], track: u32) -> u64 {
    let runs_of = |traf: &[u8]| -> u64 {
        let runs = children(traf).filter(|c| c.fourcc == *b"trun");
        runs.filter_map(|run| full_box(run.body, "trun box").and_then(|(_, _, mut c)| c.u32()).ok())
            .map(u64::from)
            .sum()
    };
    let id = |traf: &[u8]| full_box(find(traf, b"tfhd")?, "tfhd box").and_then(|(_, _, mut c)| c.u32()).ok();
    children(moof).filter(|c| c.fourcc == *b"traf" && id(c.body) == Some(track)).map(|c| runs_of(c.body)).sum()
}

/// The samples of one track as fragments add to them.
pub(super) struct Fragments<'a> {
    track: u32,
    defaults: SampleDefaults,
    limits: &'a Limits,
    /// Samples in decoding order.
    pub(super) samples: Vec<UneditedSample>,
    next_dts: i64,
}

impl<'a> Fragments<'a> {
    /// Starts with the samples of `moov`.
    pub(super) fn new(track: u32, defaults: SampleDefaults, samples: Vec<UneditedSample>, limits: &'a Limits) -> Self {
        let next_dts = samples.last().map_or(0, |s| s.dts + i64::from(s.duration));
        Fragments { track, defaults, limits, samples, next_dts }
    }

    /// Adds a `moof` whose header starts at byte `start` of the file.
    pub(super) fn add(&mut self, moof: &[u8], start: u64) -> Result<(), MediaError> {
        let mut data_end = start;
        for traf in children(moof).filter(|c| c.fourcc == *b"traf") {
            data_end = self.add_traf(traf.body, start, data_end)?;
        }
        Ok(())
    }

    /// Adds one `traf`. Returns the offset of the byte after its last sample.
    fn add_traf(&mut self, traf: &[u8], moof: u64, previous_end: u64) -> Result<u64, MediaError> {
        let (_, flags, mut c) = full_box(find(traf, b"tfhd").unwrap_or(&[]), "tfhd box")?;
        let id = c.u32()?;
        let base = match flags {
            f if f & 1 != 0 => c.u64()?,
            f if f & 0x2_0000 != 0 => moof,
            _ => previous_end,
        };
        let mut defaults = self.defaults;
        let fields = [
            (2, &mut defaults.description),
            (8, &mut defaults.duration),
            (16, &mut defaults.size),
            (32, &mut defaults.flags),
        ];
        for (bit, field) in fields {
            if flags & bit != 0 {
                *field = c.u32()?;
            }
        }
        let ours = id == self.track;
        if ours && (find_path(traf, &[b"senc"]).is_some() || find_path(traf, &[b"saiz"]).is_some()) {
            return Err(MediaError::Unsupported {
                what: "encrypted movie fragments".into(),
                remedy: "decrypt the file first; Zoetrope reads no protected media".into(),
            });
        }
        if ours && let Some(body) = find(traf, b"tfdt") {
            let (version, _, mut c) = full_box(body, "tfdt box")?;
            let time = if version == 1 { c.u64()? } else { u64::from(c.u32()?) };
            self.next_dts = i64::try_from(time)
                .ok()
                .filter(|&t| t < i64::MAX / 4)
                .ok_or_else(|| malformed("tfdt box", format!("a decode time of {time} ticks")))?;
        }
        let mut end = base;
        for run in children(traf).filter(|c| c.fourcc == *b"trun") {
            end = self.add_trun(run.body, base, end, defaults, ours)?;
        }
        Ok(end)
    }

    /// Adds one `trun`, or only measures it when it is another track's. Returns the offset of the byte after its last
    /// sample.
    fn add_trun(
        &mut self,
        run: &[u8],
        base: u64,
        previous_end: u64,
        defaults: SampleDefaults,
        ours: bool,
    ) -> Result<u64, MediaError> {
        let (_, flags, mut c) = full_box(run, "trun box")?;
        let count = c.u32()?;
        let mut offset = previous_end;
        if flags & 1 != 0 {
            let delta = i64::from(c.i32()?);
            offset =
                base.checked_add_signed(delta).ok_or_else(|| malformed("trun box", format!("data offset {delta}")))?;
        }
        let first_flags = if flags & 4 != 0 { Some(c.u32()?) } else { None };
        let entry_bytes = 4 * (flags & 0xf00).count_ones() as usize;
        if entry_bytes == 0 && !ours {
            return Ok(offset.saturating_add(u64::from(count) * u64::from(defaults.size)));
        }
        let present = c.left().checked_div(entry_bytes).map_or(count, |n| count.min(n.min(u32::MAX as usize) as u32));
        if ours {
            check_limit("frames of the track", self.samples.len() as u64 + u64::from(present), self.limits.samples)?;
        }
        for i in 0..present {
            let mut field = |bit: u32, default: u32| if flags & bit != 0 { c.u32() } else { Ok(default) };
            let duration = field(0x100, defaults.duration)?;
            let size = field(0x200, defaults.size)?;
            let first = if i == 0 { first_flags } else { None };
            let sample_flags = field(0x400, first.unwrap_or(defaults.flags))?;
            let composition_offset = field(0x800, 0)? as i32;
            if ours {
                // Neither "depends on others" nor "is no sync sample".
                let keyframe = sample_flags & 0x0101_0000 == 0;
                let dts = self.next_dts;
                let description = defaults.description.saturating_sub(1);
                let sample = UneditedSample { offset, size, dts, composition_offset, duration, keyframe, description };
                self.samples.push(sample);
                self.next_dts += i64::from(duration);
            }
            offset = offset.saturating_add(u64::from(size));
        }
        Ok(offset)
    }
}
