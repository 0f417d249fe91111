//! Start codes (Annex B): where NAL units begin in a byte stream.

/// Positions of the units in a start-code stream: (first byte of the start code, first byte of the unit).
pub(in super::super) fn units(data: &[u8]) -> impl Iterator<Item = (usize, usize)> + '_ {
    // `i` is where the 1 of a start code could be; any byte above 1 there rules out the two places after it too.
    let mut i = 2;
    std::iter::from_fn(move || {
        while i < data.len() {
            match data[i] {
                0 => i += 1,
                1 if data[i - 1] == 0 && data[i - 2] == 0 => {
                    let start = if i >= 3 && data[i - 3] == 0 { i - 3 } else { i - 2 };
                    i += 3;
                    return Some((start, i - 2));
                }
                _ => i += 3,
            }
        }
        None
    })
}
