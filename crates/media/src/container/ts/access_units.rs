//! From PES packets to access units (coded frames): where they start, their times, and which are keyframes.

use super::super::bitstream::headers::Headers;
use super::super::nal::sps::Sps;
use super::super::nal::start_code;
use super::super::nal::unit_type::{self, UnitType};
use super::super::sample::facts::{RandomAccess, SampleFacts};
use super::super::track::Codec;
use super::pes::Timestamps;
use crate::error::MediaError;
use crate::options::limits::check_limit;

/// A coded frame.
pub(super) struct AccessUnit {
    /// Offset of the transport packet in which its PES packet starts.
    pub(super) offset: u64,
    /// Bytes of the elementary stream between the start of that PES packet and the frame.
    pub(super) skip: u32,
    /// Bytes.
    pub(super) size: u64,
    pub(super) timestamps: Timestamps,
    /// What its headers say; `None` when they are not there or not known.
    pub(super) facts: Option<SampleFacts>,
    pub(super) random_access: bool,
}

/// One PES packet with its payload.
pub(super) struct PesPacket {
    /// Offset of the transport packet in which it starts.
    pub(super) offset: u64,
    pub(super) timestamps: Timestamps,
    pub(super) random_access: bool,
    pub(super) data: Vec<u8>,
}

/// Where access units start in a PES packet, and what the headers of each say.
type FoundUnits = (Vec<usize>, Vec<Option<SampleFacts>>);

/// Collects the access units of one stream.
pub(super) struct AccessUnits {
    codec: Codec,
    headers: Option<Headers>,
    /// Access units in decoding order.
    pub(super) list: Vec<AccessUnit>,
    /// The first sequence parameter set (H.264).
    pub(super) sps: Option<Sps>,
}

impl AccessUnits {
    pub(super) fn new(codec: Codec) -> Self {
        AccessUnits { headers: Headers::new(&codec), codec, list: Vec::new(), sps: None }
    }

    /// Adds the access units that start in `pes`. Bytes before the first one belong to the unit before.
    ///
    /// # Errors
    /// `Limit` for more than `max_units`.
    pub(super) fn add(&mut self, pes: &PesPacket, max_units: u64) -> Result<(), MediaError> {
        if pes.data.is_empty() {
            return Ok(());
        }
        let (starts, facts) = self.find_starts(pes, max_units)?;
        let head = starts.first().copied().unwrap_or(pes.data.len());
        if let Some(last) = self.list.last_mut() {
            last.size += head as u64;
        }
        let ends = starts.iter().skip(1).copied().chain([pes.data.len()]);
        for (i, (&from, to)) in starts.iter().zip(ends).enumerate() {
            self.list.push(AccessUnit {
                offset: pes.offset,
                skip: from as u32,
                size: (to - from) as u64,
                timestamps: if i == 0 { pes.timestamps } else { Timestamps::default() },
                facts: facts[i],
                random_access: i == 0 && pes.random_access,
            });
        }
        Ok(())
    }

    /// Where access units start in a PES packet, and what the headers of each say.
    fn find_starts(&mut self, pes: &PesPacket, max_units: u64) -> Result<FoundUnits, MediaError> {
        let type_of = match self.codec {
            Codec::H264 => unit_type::h264,
            Codec::Hevc => unit_type::hevc,
            _ => return Ok(self.whole_packet(pes)),
        };
        let (mut starts, mut facts, mut slices) = (Vec::new(), Vec::new(), false);
        let mut codes = start_code::units(&pes.data).peekable();
        while let Some((code, first)) = codes.next() {
            let unit = type_of(&pes.data[first..]);
            if unit == UnitType::Sps && self.sps.is_none() {
                self.sps = Sps::parse(&pes.data[first..]);
            }
            // A frame starts with the PES packet when that starts with a NAL unit, and at each delimiter after slices.
            // Not in streams with field pictures, whose two fields have a delimiter each.
            let fields = self.sps.is_some_and(|s| s.fields);
            let aligned = starts.is_empty() && code == 0 && (pes.timestamps.pts.is_some() || !fields);
            let delimited = unit == UnitType::Delimiter && (starts.is_empty() || (slices && !fields));
            if aligned || delimited {
                check_limit("frames of the track", (self.list.len() + starts.len()) as u64 + 1, max_units)?;
                starts.push(code);
                self.end_headers(&mut facts);
                facts.push(None);
                slices = false;
            }
            slices |= unit == UnitType::Slice;
            if let Some(headers) = &mut self.headers {
                // A unit ends where the next start code begins: what lies behind is none of its bytes.
                let end = codes.peek().map_or(pes.data.len(), |next| next.0);
                headers.unit(&pes.data[first..end]);
            }
        }
        self.end_headers(&mut facts);
        Ok((starts, facts))
    }

    /// Ends the headers of the access unit that was found last.
    fn end_headers(&mut self, facts: &mut [Option<SampleFacts>]) {
        let ended = self.headers.as_mut().and_then(Headers::end);
        let last = facts.last_mut().or_else(|| self.list.last_mut().map(|unit| &mut unit.facts));
        if let Some(last) = last {
            *last = last.or(ended);
        }
    }

    /// The rule for codecs without NAL units: a PES packet with a time is a frame, one without continues the last.
    fn whole_packet(&self, pes: &PesPacket) -> FoundUnits {
        if pes.timestamps.pts.is_none() {
            return (Vec::new(), Vec::new());
        }
        let keyframe = match self.codec {
            Codec::Mpeg2 => pes.data.windows(4).any(|w| *w == [0, 0, 1, 0xb3]),
            Codec::Mpeg4 => pes.data.windows(5).any(|w| w[..4] == [0, 0, 1, 0xb6] && w[4] >> 6 == 0),
            _ => pes.random_access || pes.data.windows(4).any(|w| *w == [0, 0, 1, 0xb3]),
        };
        let random_access = if keyframe { RandomAccess::Yes } else { RandomAccess::No };
        (vec![0], vec![Some(SampleFacts { random_access, ..SampleFacts::default() })])
    }
}
