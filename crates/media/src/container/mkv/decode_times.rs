//! Decoding times for formats that store only presentation times (B-frame reordering in reverse).

use super::super::track::Sample;

/// Sets `dts`: the presentation times in order, moved back so that no frame is shown before it is decoded.
pub(super) fn fill(samples: &mut [Sample]) {
    let mut sorted: Vec<i64> = samples.iter().map(|s| s.pts).collect();
    sorted.sort_unstable();
    let back = sorted.iter().zip(samples.iter()).map(|(d, s)| d.saturating_sub(s.pts)).max().unwrap_or(0);
    for (sample, dts) in samples.iter_mut().zip(sorted) {
        sample.dts = dts.saturating_sub(back);
    }
}
