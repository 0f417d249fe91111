//! What the headers of an H.264 access unit say (ITU-T H.264, sections 7.3 and 8.2.1).

use std::collections::BTreeMap;

use super::super::sample::facts::{RandomAccess, SampleFacts};
use super::bits::{BitReader, unescape};
use super::poc::PictureOrder;
use super::sei::recovery_frames;
use super::sps::Sps;

/// Follows the headers of a stream, access unit by access unit.
#[derive(Default)]
pub(in super::super) struct H264Headers {
    sps: BTreeMap<u32, Sps>,
    /// The sequence parameter set of each picture parameter set.
    sps_of_pps: BTreeMap<u32, u32>,
    order: PictureOrder,
    recovery: Option<u32>,
    facts: Option<SampleFacts>,
}

impl H264Headers {
    /// Takes the next unit. Returns whether the facts of the access unit are complete: its first slice was there.
    pub(in super::super) fn unit(&mut self, unit: &[u8]) -> bool {
        match unit.first().map_or(0, |header| header & 31) {
            1 | 2 | 5 if self.facts.is_none() => self.facts = self.slice(unit),
            6 => self.recovery = self.recovery.or(recovery_frames(unit, 1)),
            7 => {
                if let Some(sps) = Sps::parse(unit) {
                    self.sps.insert(sps.id, sps);
                }
            }
            8 => {
                let data = unescape(unit.get(1..).unwrap_or(&[]));
                let mut bits = BitReader::new(&data);
                if let (Some(pps), Some(sps)) = (bits.ue(), bits.ue()) {
                    self.sps_of_pps.insert(pps, sps);
                }
            }
            _ => {}
        }
        self.facts.is_some()
    }

    /// Ends the access unit; `None` when it had no slice.
    pub(in super::super) fn end(&mut self) -> Option<SampleFacts> {
        self.recovery = None;
        self.facts.take()
    }

    fn slice(&mut self, unit: &[u8]) -> Option<SampleFacts> {
        let idr = unit.first()? & 31 == 5;
        let data = unescape(unit.get(1..)?.get(..unit.len().min(64) - 1)?);
        let mut bits = BitReader::new(&data);
        bits.ue()?;
        let (slice_type, pps) = (bits.ue()?, bits.ue()?);
        let random_access = match (idr, self.recovery) {
            (true, _) | (_, Some(0)) => RandomAccess::Yes,
            (_, Some(frames)) => RandomAccess::Recovery(frames),
            // I and SI slices; a first slice of that kind says nothing of the others unless the type says "all".
            _ if matches!(slice_type % 5, 2 | 4) => RandomAccess::IntraOnly,
            _ => RandomAccess::No,
        };
        let sps = self.sps_of_pps.get(&pps).and_then(|id| self.sps.get(id)).or_else(|| self.sps.values().next());
        let order = sps.and_then(|sps| self.order.next(unit, sps));
        Some(SampleFacts { random_access, order, hidden: false })
    }
}
