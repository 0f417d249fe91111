//! What the headers of an HEVC access unit say (ITU-T H.265, sections 7.3 and 8.3.1).

use std::collections::BTreeMap;

use super::super::sample::facts::{RandomAccess, SampleFacts};
use super::bits::{BitReader, unescape};
use super::sei::recovery_frames;

/// The fields of a sequence parameter set that slice headers depend on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Sps {
    separate_planes: bool,
    /// Bits of the low part of the picture order count.
    poc_bits: u32,
}

/// The fields of a picture parameter set that slice headers depend on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Pps {
    sps: u32,
    output_flag_present: bool,
    extra_header_bits: u32,
}

/// Follows the headers of a stream, access unit by access unit.
#[derive(Default)]
pub(in super::super) struct HevcHeaders {
    sps: BTreeMap<u32, Sps>,
    pps: BTreeMap<u32, Pps>,
    /// Number of the coded video sequence.
    sequence: i64,
    /// High and low part of the picture order count of the previous picture of the lowest layer.
    previous: (i64, i64),
    recovery: Option<u32>,
    facts: Option<SampleFacts>,
}

impl HevcHeaders {
    /// Takes the next unit. Returns whether the facts of the access unit are complete: its first slice was there.
    pub(in super::super) fn unit(&mut self, unit: &[u8]) -> bool {
        let [first, second, ..] = *unit else { return self.facts.is_some() };
        let (unit_type, layer) = (first >> 1 & 63, (first & 1) << 5 | second >> 3);
        if layer > 0 {
            return self.facts.is_some();
        }
        match unit_type {
            0..=31 if self.facts.is_none() => self.facts = self.slice(unit, unit_type),
            33 => {
                if let Some((id, sps)) = read_sps(unit) {
                    self.sps.insert(id, sps);
                }
            }
            34 => {
                if let Some((id, pps)) = read_pps(unit) {
                    self.pps.insert(id, pps);
                }
            }
            39 => self.recovery = self.recovery.or(recovery_frames(unit, 2)),
            _ => {}
        }
        self.facts.is_some()
    }

    /// Ends the access unit; `None` when it had no slice.
    pub(in super::super) fn end(&mut self) -> Option<SampleFacts> {
        self.recovery = None;
        self.facts.take()
    }

    fn slice(&mut self, unit: &[u8], unit_type: u8) -> Option<SampleFacts> {
        let random_access = match (unit_type, self.recovery) {
            (16..=23, _) | (_, Some(0)) => RandomAccess::Yes,
            (_, Some(frames)) => RandomAccess::Recovery(frames),
            _ => RandomAccess::No,
        };
        let order = self.order(unit, unit_type);
        Some(SampleFacts { random_access, order, hidden: false })
    }

    /// The picture order count (8.3.1), after the number of the coded video sequence.
    fn order(&mut self, unit: &[u8], unit_type: u8) -> Option<(i64, i64)> {
        let data = unescape(unit.get(2..)?.get(..unit.len().min(64) - 2)?);
        let mut bits = BitReader::new(&data);
        // Only the first slice segment of a picture is looked at.
        if bits.read(1)? == 0 {
            return None;
        }
        if matches!(unit_type, 16..=23) {
            bits.read(1)?;
        }
        let pps = *self.pps.get(&bits.ue()?)?;
        let sps = *self.sps.get(&pps.sps)?;
        let (idr, new_sequence) = (matches!(unit_type, 19 | 20), matches!(unit_type, 16..=20));
        if new_sequence {
            self.sequence += 1;
            self.previous = (0, 0);
        }
        if idr {
            return Some((self.sequence, 0));
        }
        bits.read(pps.extra_header_bits)?;
        bits.ue()?;
        if pps.output_flag_present {
            bits.read(1)?;
        }
        if sps.separate_planes {
            bits.read(2)?;
        }
        let (low, half) = (i64::from(bits.read(sps.poc_bits)?), 1i64 << (sps.poc_bits - 1));
        let high = match low - self.previous.1 {
            _ if new_sequence => 0,
            d if d <= -half => self.previous.0 + 2 * half,
            d if d > half => self.previous.0 - 2 * half,
            _ => self.previous.0,
        };
        // Leading pictures and sub-layer pictures that nothing refers to do not count as the previous picture.
        let counts = unit.get(1)? & 7 == 1 && !matches!(unit_type, 0 | 2 | 4 | 6..=10 | 12 | 14);
        if counts {
            self.previous = (high, low);
        }
        Some((self.sequence, high + low))
    }
}

fn read_sps(unit: &[u8]) -> Option<(u32, Sps)> {
    let data = unescape(unit.get(2..)?);
    let mut bits = BitReader::new(&data);
    bits.read(4)?;
    let sub_layers = bits.read(3)?;
    bits.read(1)?;
    skip_profile_tier_level(&mut bits, sub_layers)?;
    let id = bits.ue()?;
    let separate_planes = bits.ue()? == 3 && bits.read(1)? == 1;
    bits.ue()?;
    bits.ue()?;
    if bits.read(1)? == 1 {
        for _ in 0..4 {
            bits.ue()?;
        }
    }
    bits.ue()?;
    bits.ue()?;
    let poc_bits = bits.ue().filter(|&n| n <= 12)? + 4;
    Some((id, Sps { separate_planes, poc_bits }))
}

fn skip_profile_tier_level(bits: &mut BitReader<'_>, sub_layers: u32) -> Option<()> {
    const PROFILE: u32 = 88;
    const LEVEL: u32 = 8;
    bits.skip(PROFILE + LEVEL)?;
    let mut present = 0;
    for _ in 0..sub_layers {
        present += PROFILE * bits.read(1)?;
        present += LEVEL * bits.read(1)?;
    }
    if sub_layers > 0 {
        bits.skip(2 * (8 - sub_layers))?;
    }
    bits.skip(present)
}

fn read_pps(unit: &[u8]) -> Option<(u32, Pps)> {
    let data = unescape(unit.get(2..)?);
    let mut bits = BitReader::new(&data);
    let (id, sps) = (bits.ue()?, bits.ue()?);
    bits.read(1)?;
    let output_flag_present = bits.read(1)? == 1;
    Some((id, Pps { sps, output_flag_present, extra_header_bits: bits.read(3)? }))
}
