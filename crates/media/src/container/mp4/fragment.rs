//! Movie fragments: `moof` boxes with their runs, and the defaults from `mvex`.

use super::super::bytes::bad;
use super::super::limit;
use super::boxes::{children, find, find_path, full};
use super::table::Raw;
use crate::{Limits, MediaError};

/// Defaults of a track's samples (`trex`, then `tfhd`).
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Defaults {
    duration: u32,
    size: u32,
    flags: u32,
}

/// The defaults of `track` in `moov`; `None` when the movie is not fragmented.
pub(super) fn defaults(moov: &[u8], track: u32) -> Option<Defaults> {
    let mvex = find(moov, b"mvex")?;
    for child in children(mvex).filter(|c| c.kind == *b"trex") {
        let read = || -> Result<(u32, Defaults), MediaError> {
            let (_, _, mut c) = full(child.body, "trex box")?;
            let id = c.u32()?;
            c.skip(4)?;
            Ok((id, Defaults { duration: c.u32()?, size: c.u32()?, flags: c.u32()? }))
        };
        if let Ok((id, found)) = read()
            && id == track
        {
            return Some(found);
        }
    }
    Some(Defaults::default())
}

/// What one fragment adds to: the samples so far and the clock.
pub(super) struct Fragments<'a> {
    track: u32,
    defaults: Defaults,
    limits: &'a Limits,
    /// Samples in decoding order.
    pub(super) samples: Vec<Raw>,
    next_dts: i64,
}

impl<'a> Fragments<'a> {
    /// Starts with the samples of the movie box.
    pub(super) fn new(track: u32, defaults: Defaults, samples: Vec<Raw>, limits: &'a Limits) -> Self {
        let next_dts = samples.last().map_or(0, |s| s.dts + i64::from(s.duration));
        Fragments { track, defaults, limits, samples, next_dts }
    }

    /// Adds a `moof` whose header starts at byte `start` of the file.
    pub(super) fn add(&mut self, moof: &[u8], start: u64) -> Result<(), MediaError> {
        let mut data_end = start;
        for traf in children(moof).filter(|c| c.kind == *b"traf") {
            data_end = self.add_track(traf.body, start, data_end)?;
        }
        Ok(())
    }

    /// Adds one `traf`; the byte after its last sample.
    fn add_track(&mut self, traf: &[u8], moof: u64, previous_end: u64) -> Result<u64, MediaError> {
        let (_, flags, mut c) = full(find(traf, b"tfhd").unwrap_or(&[]), "tfhd box")?;
        let id = c.u32()?;
        let base = match flags {
            f if f & 1 != 0 => c.u64()?,
            f if f & 0x2_0000 != 0 => moof,
            _ => previous_end,
        };
        if flags & 2 != 0 {
            c.skip(4)?;
        }
        let mut defaults = self.defaults;
        for (bit, field) in [(8, &mut defaults.duration), (16, &mut defaults.size), (32, &mut defaults.flags)] {
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
            let (version, _, mut c) = full(body, "tfdt box")?;
            let time = if version == 1 { c.u64()? } else { u64::from(c.u32()?) };
            self.next_dts = i64::try_from(time)
                .ok()
                .filter(|&t| t < i64::MAX / 4)
                .ok_or_else(|| bad("tfdt box", format!("a decode time of {time} ticks")))?;
        }
        let mut end = base;
        for run in children(traf).filter(|c| c.kind == *b"trun") {
            end = self.add_run(run.body, base, end, defaults, ours)?;
        }
        Ok(end)
    }

    /// Adds one `trun` (or only measures it when it is another track's); the byte after its last sample.
    fn add_run(
        &mut self,
        run: &[u8],
        base: u64,
        previous_end: u64,
        defaults: Defaults,
        ours: bool,
    ) -> Result<u64, MediaError> {
        let (_, flags, mut c) = full(run, "trun box")?;
        let count = c.u32()?;
        let mut offset = previous_end;
        if flags & 1 != 0 {
            let delta = i64::from(c.i32()?);
            offset = base.checked_add_signed(delta).ok_or_else(|| bad("trun box", format!("data offset {delta}")))?;
        }
        let first_flags = if flags & 4 != 0 { Some(c.u32()?) } else { None };
        let entry = 4 * (flags & 0xf00).count_ones() as usize;
        if entry == 0 && !ours {
            return Ok(offset.saturating_add(u64::from(count) * u64::from(defaults.size)));
        }
        let have = c.left().checked_div(entry).map_or(count, |n| count.min(n.min(u32::MAX as usize) as u32));
        if ours {
            limit("frames of the track", self.samples.len() as u64 + u64::from(have), self.limits.samples)?;
        }
        for i in 0..have {
            let mut field = |bit: u32, default: u32| if flags & bit != 0 { c.u32() } else { Ok(default) };
            let duration = field(0x100, defaults.duration)?;
            let size = field(0x200, defaults.size)?;
            let first = if i == 0 { first_flags } else { None };
            let own = field(0x400, first.unwrap_or(defaults.flags))?;
            let offset_pts = field(0x800, 0)? as i32;
            if ours {
                let key = own & 0x0101_0000 == 0;
                self.samples.push(Raw { offset, size, dts: self.next_dts, offset_pts, duration, key });
                self.next_dts += i64::from(duration);
            }
            offset = offset.saturating_add(u64::from(size));
        }
        Ok(offset)
    }
}
