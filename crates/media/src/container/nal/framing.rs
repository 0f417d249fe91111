//! Whether the units of a track are framed as its configuration says: some writers put start-code streams (Annex B)
//! where lengths belong.

use super::super::byte_source::ByteSource;
use super::super::movie::ParsedFile;
use super::configuration;

/// Samples looked at.
const TRIED: usize = 8;

/// Marks the track of `file` as a start-code stream when its samples begin with start codes and are no chain of
/// lengths.
///
/// The parameter sets of the configuration are kept in start-code form.
pub(in super::super) fn correct(source: &ByteSource, file: &mut ParsedFile) {
    let track = &mut file.track;
    let Some(length_size) = configuration::length_size(track).filter(|&n| n > 0) else { return };
    let mut start_codes = 0;
    for (index, sample) in track.samples.iter().take(TRIED).enumerate() {
        // What cannot be unpacked says nothing about the others.
        let Ok(data) = file.layout.read(source, sample, index) else { continue };
        if is_chain(&data, length_size) || !(data.starts_with(&[0, 0, 0, 1]) || data.starts_with(&[0, 0, 1])) {
            return;
        }
        start_codes += 1;
    }
    if start_codes > 0 {
        file.warnings.push("its frames hold start codes where its configuration announces lengths".into());
        track.extradata = configuration::annex_b(track).unwrap_or_default();
        track.length_prefixed = false;
    }
}

/// Whether `data` is made of units with their lengths in front, and nothing else.
fn is_chain(mut data: &[u8], length_size: usize) -> bool {
    while let Some((length, rest)) = data.split_at_checked(length_size) {
        let length = length.iter().fold(0usize, |n, &b| n << 8 | usize::from(b));
        match rest.get(length..) {
            Some([]) => return true,
            Some(rest) => data = rest,
            None => return false,
        }
    }
    false
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lengths_are_told_from_start_codes() {
        assert!(is_chain(&[0, 0, 0, 2, 7, 8, 0, 0, 0, 1, 9], 4) && is_chain(&[0, 1, 9], 2));
        assert!(!is_chain(&[0, 0, 0, 1, 9, 8], 4) && !is_chain(&[0, 0, 0, 1, 0x67, 5, 0, 0, 0, 1, 0x68, 6], 4));
        // One unit of one byte looks like both; lengths are what the configuration says.
        assert!(is_chain(&[0, 0, 0, 1, 9], 4));
    }
}
