//! From PES packets to frames: where they start, their times, which are keyframes.

use super::super::limit;
use super::super::nal::{self, Sequence, Unit};
use super::packet::Stamps;
use crate::MediaError;
use crate::track::Codec;

/// A frame as found.
pub(super) struct Frame {
    /// Sync byte of the packet in which its PES packet starts.
    pub(super) offset: u64,
    /// Stream bytes of that PES packet before it.
    pub(super) skip: u32,
    pub(super) size: u64,
    pub(super) stamps: Stamps,
    pub(super) key: bool,
    pub(super) random_access: bool,
}

/// One PES packet with its payload.
pub(super) struct Pes {
    pub(super) offset: u64,
    pub(super) stamps: Stamps,
    pub(super) random_access: bool,
    pub(super) data: Vec<u8>,
}

/// Collects frames.
pub(super) struct Frames {
    codec: Codec,
    pub(super) list: Vec<Frame>,
    /// The first sequence header (H.264).
    pub(super) sequence: Option<Sequence>,
}

impl Frames {
    pub(super) fn new(codec: Codec) -> Self {
        Frames { codec, list: Vec::new(), sequence: None }
    }

    /// Adds the frames that start in `pes`; bytes before the first one belong to the frame before.
    /// Errors: more than `most` frames.
    pub(super) fn add(&mut self, pes: &Pes, most: u64) -> Result<(), MediaError> {
        if pes.data.is_empty() {
            return Ok(());
        }
        let (starts, keys) = self.starts(pes, most)?;
        let head = starts.first().copied().unwrap_or(pes.data.len());
        if let Some(last) = self.list.last_mut() {
            last.size += head as u64;
        }
        let ends = starts.iter().skip(1).copied().chain([pes.data.len()]);
        for (i, (&from, to)) in starts.iter().zip(ends).enumerate() {
            self.list.push(Frame {
                offset: pes.offset,
                skip: from as u32,
                size: (to - from) as u64,
                stamps: if i == 0 { pes.stamps } else { Stamps::default() },
                key: keys[i],
                random_access: i == 0 && pes.random_access,
            });
        }
        Ok(())
    }

    /// Where frames start in a PES packet, and whether each is a keyframe.
    fn starts(&mut self, pes: &Pes, most: u64) -> Result<(Vec<usize>, Vec<bool>), MediaError> {
        let kind = match self.codec {
            Codec::H264 => nal::h264,
            Codec::Hevc => nal::hevc,
            _ => return Ok(self.whole(pes)),
        };
        let (mut starts, mut keys, mut slices) = (Vec::new(), Vec::new(), false);
        for (code, first) in nal::units(&pes.data) {
            let unit = kind(&pes.data[first..]);
            if unit == Unit::Sequence && self.sequence.is_none() {
                self.sequence = nal::sequence(&pes.data[first..]);
            }
            // A frame starts with the PES packet when that starts with a unit, and at each delimiter after slices;
            // not in streams with field pictures, whose two fields have a delimiter each.
            let fields = self.sequence.is_some_and(|s| s.fields);
            let aligned = starts.is_empty() && code == 0 && (pes.stamps.pts.is_some() || !fields);
            let delimited = unit == Unit::Delimiter && (starts.is_empty() || (slices && !fields));
            if aligned || delimited {
                limit("frames of the track", (self.list.len() + starts.len()) as u64 + 1, most)?;
                starts.push(code);
                keys.push(false);
                slices = false;
            }
            slices |= matches!(unit, Unit::Slice { .. });
            if let Some(key) = keys.last_mut() {
                *key |= matches!(unit, Unit::Slice { key: true } | Unit::Recovery);
            }
        }
        Ok((starts, keys))
    }

    /// Other codecs: a PES packet with a time is a frame, one without goes on with the last.
    fn whole(&self, pes: &Pes) -> (Vec<usize>, Vec<bool>) {
        if pes.stamps.pts.is_none() {
            return (Vec::new(), Vec::new());
        }
        let key = match self.codec {
            Codec::Mpeg2 => pes.data.windows(4).any(|w| *w == [0, 0, 1, 0xb3]),
            Codec::Mpeg4 => pes.data.windows(5).any(|w| w[..4] == [0, 0, 1, 0xb6] && w[4] >> 6 == 0),
            _ => pes.random_access || pes.data.windows(4).any(|w| *w == [0, 0, 1, 0xb3]),
        };
        (vec![0], vec![key])
    }
}
