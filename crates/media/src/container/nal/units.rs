//! NAL units: splitting a sample into its units, and removing emulation prevention.

use super::start_code;

/// The NAL units of a sample. `length_size` is the number of bytes of the length in front of each; 0 means start codes.
///
/// A length that runs over the end gives the bytes that are there and ends the list.
pub(crate) fn units(sample: &[u8], length_size: usize) -> Vec<&[u8]> {
    if length_size == 0 {
        return split_start_codes(sample).collect();
    }
    framed(sample, length_size).map(|(_, unit)| unit).filter(|unit| !unit.is_empty()).collect()
}

/// Units with lengths in front: the length that is stated, and the bytes that are there.
fn framed(sample: &[u8], length_size: usize) -> impl Iterator<Item = (usize, &[u8])> {
    let mut rest = sample;
    std::iter::from_fn(move || {
        if rest.len() <= length_size {
            return None;
        }
        let (length, after) = rest.split_at(length_size);
        let stated = length.iter().fold(0usize, |n, &b| (n << 8) | usize::from(b));
        let unit;
        (unit, rest) = after.split_at(stated.min(after.len()));
        Some((stated, unit))
    })
}

/// Whether a sample was overwritten: a length runs over its end, or a unit holds bytes that no encoder writes, because
/// they would be taken for a start code (ISO/IEC 14496-10, 7.4.1). Samples with start codes tell nothing.
pub(crate) fn is_overwritten(sample: &[u8], length_size: usize) -> bool {
    if length_size == 0 {
        return false;
    }
    let forbidden = |unit: &[u8]| {
        // Some muxers keep the zeros in front of the next start code.
        let end = unit.iter().rposition(|&byte| byte != 0).map_or(0, |last| last + 1);
        unit[..end].windows(3).any(|three| three[0] == 0 && three[1] == 0 && three[2] < 3)
    };
    framed(sample, length_size).any(|(stated, unit)| stated > unit.len() || forbidden(unit))
}

/// NAL units between start codes (Annex B), trailing zeros removed.
pub(crate) fn split_start_codes(data: &[u8]) -> impl Iterator<Item = &[u8]> {
    let mut codes = start_code::units(data).peekable();
    std::iter::from_fn(move || {
        let (_, first) = codes.next()?;
        let mut unit = &data[first..codes.peek().map_or(data.len(), |next| next.0)];
        while let [head @ .., 0] = unit {
            unit = head;
        }
        Some(unit)
    })
    .filter(|unit| !unit.is_empty())
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn samples_split_by_length_and_by_start_code() {
        assert_eq!(units(&[0, 2, 7, 8, 0, 9, 5], 2), [&[7u8, 8][..], &[5]]);
        assert_eq!(units(&[0, 0, 0, 1, 7, 8, 0, 0, 1, 5, 0, 0], 0), [&[7u8, 8][..], &[5]]);
        assert!(units(&[], 4).is_empty() && units(&[0, 0, 1], 0).is_empty());
    }

    #[test]
    fn what_no_encoder_writes_was_overwritten() {
        let sample = |unit: &[u8]| [&[0, unit.len() as u8], unit, &[0, 1, 9]].concat();
        assert!(!is_overwritten(&sample(&[5, 0, 0, 3, 1, 7, 0, 0, 3, 0, 0, 0]), 2));
        for forbidden in [[5, 0, 0, 0, 7], [5, 0, 0, 1, 7], [5, 0, 0, 2, 7]] {
            assert!(is_overwritten(&sample(&forbidden), 2));
            assert!(!is_overwritten(&sample(&forbidden), 0));
        }
        assert!(is_overwritten(&[0, 3, 7, 8], 2) && !is_overwritten(&[0, 2, 7, 8], 2));
    }

    #[test]
    fn emulation_prevention_is_removed() {
        assert_eq!(unescape(&[1, 0, 0, 3, 1, 0, 0, 3]), [1, 0, 0, 1, 0, 0]);
    }
}
