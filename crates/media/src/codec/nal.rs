//! NAL units: splitting samples, parameter sets of `avcC` and `hvcC` boxes, and what picture headers say for free.

use crate::error::MediaError;

/// Parameter sets and framing of an H.264 or HEVC track.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Parameters {
    /// Parameter-set NAL units in stored order.
    pub(crate) sets: Vec<Vec<u8>>,
    /// Bytes of a length prefix (1 to 4); 0 for start codes.
    pub(crate) prefix: usize,
    /// `numTemporalLayers` of `hvcC`; 0 when unknown.
    pub(crate) layers: u8,
}

/// Reads `avcC` contents. Extra data that starts with a start code is taken as parameter sets of a start-code stream.
///
/// # Errors
/// `Malformed` when a set lies outside the box.
pub(crate) fn avc_parameters(extra: &[u8], length_prefixed: bool) -> Result<Parameters, MediaError> {
    if !length_prefixed || extra.first() != Some(&1) {
        return Ok(start_code_parameters(extra));
    }
    let bad = || malformed("avcC", format!("{} bytes do not hold the parameter sets it lists", extra.len()));
    let mut out = Parameters { prefix: usize::from(extra.get(4).ok_or_else(bad)? & 3) + 1, ..Parameters::default() };
    let mut at = 5;
    for mask in [0x1f, 0xff] {
        let count = extra.get(at).ok_or_else(bad)? & mask;
        at += 1;
        for _ in 0..count {
            let set = take_set(extra, &mut at).ok_or_else(bad)?;
            out.sets.push(set.to_vec());
        }
    }
    Ok(out)
}

/// Reads `hvcC` contents, as [`avc_parameters`] does for `avcC`.
///
/// # Errors
/// `Malformed` when a set lies outside the box.
pub(crate) fn hevc_parameters(extra: &[u8], length_prefixed: bool) -> Result<Parameters, MediaError> {
    if !length_prefixed || extra.len() < 23 || extra.starts_with(&[0, 0, 0, 1]) || extra.starts_with(&[0, 0, 1]) {
        return Ok(start_code_parameters(extra));
    }
    let bad = || malformed("hvcC", format!("{} bytes do not hold the parameter sets it lists", extra.len()));
    let mut out = Parameters { prefix: usize::from(extra[21] & 3) + 1, layers: (extra[21] >> 3) & 7, sets: Vec::new() };
    let mut at = 23;
    for _ in 0..extra[22] {
        let count = extra.get(at + 1..at + 3).ok_or_else(bad)?;
        let count = u16::from_be_bytes([count[0], count[1]]);
        at += 3;
        for _ in 0..count {
            let set = take_set(extra, &mut at).ok_or_else(bad)?;
            out.sets.push(set.to_vec());
        }
    }
    Ok(out)
}

fn start_code_parameters(extra: &[u8]) -> Parameters {
    Parameters { sets: split_start_codes(extra).map(<[u8]>::to_vec).collect(), ..Parameters::default() }
}

fn take_set<'a>(extra: &'a [u8], at: &mut usize) -> Option<&'a [u8]> {
    let length = extra.get(*at..*at + 2)?;
    let length = usize::from(u16::from_be_bytes([length[0], length[1]]));
    let set = extra.get(*at + 2..*at + 2 + length)?;
    *at += 2 + length;
    Some(set)
}

/// The NAL units of a sample. A length that runs over the end gives what is there and ends the list.
pub(crate) fn units(sample: &[u8], prefix: usize) -> Vec<&[u8]> {
    if prefix == 0 {
        return split_start_codes(sample).collect();
    }
    let mut units = Vec::new();
    let mut rest = sample;
    while rest.len() > prefix {
        let length = rest[..prefix].iter().fold(0usize, |n, &b| (n << 8) | usize::from(b));
        let end = (prefix.saturating_add(length)).min(rest.len());
        if end > prefix {
            units.push(&rest[prefix..end]);
        }
        rest = &rest[end..];
    }
    units
}

/// NAL units between start codes, trailing zeros removed.
pub(crate) fn split_start_codes(data: &[u8]) -> impl Iterator<Item = &[u8]> {
    let mut at = next_start_code(data, 0).map(|p| p + 3);
    std::iter::from_fn(move || {
        let start = at?;
        let next = next_start_code(data, start);
        at = next.map(|p| p + 3);
        let mut unit = &data[start..next.unwrap_or(data.len())];
        while let [head @ .., 0] = unit {
            unit = head;
        }
        Some(unit)
    })
    .filter(|unit| !unit.is_empty())
}

fn next_start_code(data: &[u8], from: usize) -> Option<usize> {
    data.get(from..)?.windows(3).position(|w| w == [0, 0, 1]).map(|p| p + from)
}

/// Whether an H.264 sample holds only pictures that no other picture refers to.
pub(crate) fn avc_droppable(units: &[&[u8]]) -> bool {
    let mut slices = units.iter().filter(|u| matches!(u[0] & 0x1f, 1..=5)).peekable();
    slices.peek().is_some() && slices.all(|u| u[0] & 0x60 == 0)
}

/// Whether an HEVC sample holds only sub-layer non-reference pictures of the top temporal layer.
pub(crate) fn hevc_droppable(units: &[&[u8]], layers: u8) -> bool {
    let mut slices = units.iter().filter(|u| u.len() > 2 && (u[0] >> 1) & 0x3f < 32).peekable();
    let top = |u: &&&[u8]| {
        let (kind, id) = ((u[0] >> 1) & 0x3f, (u[1] & 7).saturating_sub(1));
        kind <= 14 && kind % 2 == 0 && layers > 0 && id + 1 == layers
    };
    slices.peek().is_some() && slices.all(|u| top(&u))
}

/// Payload without emulation prevention bytes.
pub(crate) fn unescape(payload: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(payload.len());
    let mut zeros = 0;
    for &byte in payload {
        if zeros >= 2 && byte == 3 {
            zeros = 0;
            continue;
        }
        zeros = if byte == 0 { zeros + 1 } else { 0 };
        out.push(byte);
    }
    out
}

/// A `Malformed` error.
pub(crate) fn malformed(part: &'static str, what: impl Into<String>) -> MediaError {
    MediaError::Malformed { part, what: what.into() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn avcc_gives_sets_and_prefix() {
        let extra = [1, 100, 0, 30, 0xff, 0xe1, 0, 3, 0x67, 1, 2, 1, 0, 2, 0x68, 9];
        let p = avc_parameters(&extra, true).unwrap();
        assert_eq!((p.prefix, p.sets), (4, vec![vec![0x67, 1, 2], vec![0x68, 9]]));
        for cut in 5..extra.len() {
            assert!(avc_parameters(&extra[..cut], true).is_err(), "{cut}");
        }
    }

    #[test]
    fn samples_split_by_length_and_by_start_code() {
        assert_eq!(units(&[0, 2, 7, 8, 0, 9, 5], 2), [&[7u8, 8][..], &[5]]);
        assert_eq!(units(&[0, 0, 0, 1, 7, 8, 0, 0, 1, 5, 0, 0], 0), [&[7u8, 8][..], &[5]]);
        assert!(units(&[], 4).is_empty() && units(&[0, 0, 1], 0).is_empty());
    }

    #[test]
    fn non_reference_pictures_are_recognised() {
        assert!(avc_droppable(&[&[0x06, 1], &[0x01, 1]]));
        assert!(!avc_droppable(&[&[0x41, 1]]) && !avc_droppable(&[&[0x06, 1]]));
        assert!(hevc_droppable(&[&[0x00, 0x01, 9]], 1));
        assert!(!hevc_droppable(&[&[0x02, 0x01, 9]], 1) && !hevc_droppable(&[&[0x00, 0x01, 9]], 2));
    }

    #[test]
    fn emulation_prevention_is_removed() {
        assert_eq!(unescape(&[1, 0, 0, 3, 1, 0, 0, 3]), [1, 0, 0, 1, 0, 0]);
    }
}
