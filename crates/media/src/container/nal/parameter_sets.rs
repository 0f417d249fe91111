//! Parameter sets (VPS, SPS, PPS) from the `avcC` and `hvcC` configuration records.

use super::super::track::Codec;
use super::units::split_start_codes;
use crate::error::{MediaError, malformed};

/// Parameter sets and framing of an H.264 or HEVC track.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct ParameterSets {
    /// Parameter-set NAL units in stored order.
    pub(crate) sets: Vec<Vec<u8>>,
    /// Bytes of the length in front of each NAL unit (1 to 4); 0 for start codes.
    pub(crate) length_size: usize,
    /// `numTemporalLayers` of `hvcC`; 0 when unknown.
    pub(crate) temporal_layers: u8,
}

impl ParameterSets {
    /// Reads the configuration of a track: `avcC` of H.264, `hvcC` of HEVC; other codecs have none.
    ///
    /// # Errors
    /// `Malformed` when a set lies outside the record.
    pub(crate) fn read(codec: &Codec, extradata: &[u8], length_prefixed: bool) -> Result<Self, MediaError> {
        match codec {
            Codec::H264 => Self::from_avcc(extradata, length_prefixed),
            Codec::Hevc => Self::from_hvcc(extradata, length_prefixed),
            _ => Ok(Self::default()),
        }
    }

    /// The sets as NAL units of a stream with lengths of `length_size` bytes; 0 means start codes.
    pub(crate) fn framed(&self, length_size: usize) -> Vec<u8> {
        let framed = |set: &Vec<u8>| match length_size {
            0 => [&[0, 0, 0, 1][..], set].concat(),
            bytes => [&(set.len() as u32).to_be_bytes()[4 - bytes..], set].concat(),
        };
        self.sets.iter().flat_map(framed).collect()
    }

    /// Reads the contents of `avcC`. Data that starts with a start code is taken as parameter sets in Annex B form.
    ///
    /// # Errors
    /// `Malformed` when a set lies outside the record.
    fn from_avcc(extradata: &[u8], length_prefixed: bool) -> Result<Self, MediaError> {
        if !length_prefixed || extradata.first() != Some(&1) {
            return Ok(Self::from_annex_b(extradata));
        }
        let short = || malformed("avcC", format!("{} bytes do not hold the parameter sets it lists", extradata.len()));
        let length_size = usize::from(extradata.get(4).ok_or_else(short)? & 3) + 1;
        let mut out = ParameterSets { length_size, ..ParameterSets::default() };
        let mut at = 5;
        for mask in [0x1f, 0xff] {
            let count = extradata.get(at).ok_or_else(short)? & mask;
            at += 1;
            for _ in 0..count {
                let set = take_set(extradata, &mut at).ok_or_else(short)?;
                out.sets.push(set.to_vec());
            }
        }
        Ok(out)
    }

    /// Reads the contents of `hvcC`. Data that starts with a start code is taken as parameter sets in Annex B form.
    ///
    /// # Errors
    /// `Malformed` when a set lies outside the record.
    fn from_hvcc(extradata: &[u8], length_prefixed: bool) -> Result<Self, MediaError> {
        let start_code = extradata.starts_with(&[0, 0, 0, 1]) || extradata.starts_with(&[0, 0, 1]);
        if !length_prefixed || extradata.len() < 23 || start_code {
            return Ok(Self::from_annex_b(extradata));
        }
        let short = || malformed("hvcC", format!("{} bytes do not hold the parameter sets it lists", extradata.len()));
        let (length_size, temporal_layers) = (usize::from(extradata[21] & 3) + 1, (extradata[21] >> 3) & 7);
        let mut out = ParameterSets { length_size, temporal_layers, sets: Vec::new() };
        let mut at = 23;
        for _ in 0..extradata[22] {
            let count = extradata.get(at + 1..at + 3).ok_or_else(short)?;
            let count = u16::from_be_bytes([count[0], count[1]]);
            at += 3;
            for _ in 0..count {
                let set = take_set(extradata, &mut at).ok_or_else(short)?;
                out.sets.push(set.to_vec());
            }
        }
        Ok(out)
    }

    fn from_annex_b(extradata: &[u8]) -> Self {
        let sets = split_start_codes(extradata).map(<[u8]>::to_vec).collect();
        ParameterSets { sets, ..ParameterSets::default() }
    }
}

/// Takes a set with a 16-bit length in front.
fn take_set<'a>(extradata: &'a [u8], at: &mut usize) -> Option<&'a [u8]> {
    let length = extradata.get(*at..*at + 2)?;
    let length = usize::from(u16::from_be_bytes([length[0], length[1]]));
    let set = extradata.get(*at + 2..*at + 2 + length)?;
    *at += 2 + length;
    Some(set)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn avcc_gives_sets_and_length_size() {
        let extradata = [1, 100, 0, 30, 0xff, 0xe1, 0, 3, 0x67, 1, 2, 1, 0, 2, 0x68, 9];
        let p = ParameterSets::from_avcc(&extradata, true).unwrap();
        assert_eq!((p.length_size, p.sets), (4, vec![vec![0x67, 1, 2], vec![0x68, 9]]));
        for cut in 5..extradata.len() {
            assert!(ParameterSets::from_avcc(&extradata[..cut], true).is_err(), "{cut}");
        }
    }
}
