//! The picture order count (POC) of H.264 slices: presentation order, read from slice headers.

use super::bits::{BitReader, unescape};
use super::sps::{PocType, Sps};

/// Follows the picture order count through a stream (ISO/IEC 14496-10, 8.2.1.1).
#[derive(Default)]
pub(in super::super) struct PictureOrder {
    /// Number of the coded video sequence, counted by IDR pictures.
    sequence: i64,
    /// High and low bits of the previous reference picture.
    high: i64,
    low: i64,
    /// Pictures of the sequence so far.
    pictures: i64,
}

impl PictureOrder {
    /// A number that rises in presentation order, of the picture that starts with slice `unit`.
    ///
    /// `None` when the stream codes the order in another way or the slice header is short.
    pub(in super::super) fn next(&mut self, unit: &[u8], sps: &Sps) -> Option<(i64, i64)> {
        let header = *unit.first()?;
        let (idr, reference) = (header & 31 == 5, header & 0x60 != 0);
        let data = unescape(unit.get(1..)?.get(..unit.len().min(64) - 1)?);
        let mut bits = BitReader::new(&data);
        if idr {
            *self = PictureOrder { sequence: self.sequence + 1, ..PictureOrder::default() };
        }
        bits.ue()?;
        bits.ue()?;
        bits.ue()?;
        if sps.separate_planes {
            bits.read(2)?;
        }
        bits.read(sps.frame_num_bits)?;
        if sps.fields && bits.read(1)? == 1 {
            bits.read(1)?;
        }
        if idr {
            bits.ue()?;
        }
        self.pictures += 1;
        let n = match sps.poc_type {
            PocType::LowBits(n) => n,
            PocType::DecodingOrder => return Some((self.sequence, self.pictures)),
            PocType::Cycle => return None,
        };
        let (low, half) = (i64::from(bits.read(n)?), 1i64 << (n - 1));
        let high = match low - self.low {
            d if d <= -half => self.high + 2 * half,
            d if d > half => self.high - 2 * half,
            _ => self.high,
        };
        if reference {
            (self.high, self.low) = (high, low);
        }
        Some((self.sequence, high + low))
    }
}
