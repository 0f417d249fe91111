//! `stss` and `stps`, the sync samples: which frames are keyframes.

use super::super::boxes::{find, full_box, table, word};
use super::super::unedited_sample::UneditedSample;
use crate::error::MediaError;

/// Marks the keyframes: all samples without `stss`. Partial sync samples (`stps`, open GOPs) count as well.
pub(super) fn mark_keyframes(
    stbl: &[u8],
    samples: &mut [UneditedSample],
    warnings: &mut Vec<String>,
) -> Result<(), MediaError> {
    let Some(body) = find(stbl, b"stss") else {
        samples.iter_mut().for_each(|s| s.keyframe = true);
        return Ok(());
    };
    for body in [Some(body), find(stbl, b"stps")].into_iter().flatten() {
        let (_, _, mut c) = full_box(body, "stss box")?;
        let numbers = table(&mut c, 4)?;
        // Numbers count from 1, but some writers count from 0.
        let from_zero = !numbers.is_empty() && word(numbers, 0) == 0;
        for i in 0..numbers.len() / 4 {
            let n = word(numbers, i) as usize;
            if let Some(at) = if from_zero { Some(n) } else { n.checked_sub(1) }
                && let Some(sample) = samples.get_mut(at)
            {
                sample.keyframe = true;
            }
        }
    }
    if !samples.iter().any(|s| s.keyframe) {
        warnings.push("the index names no keyframe, decoding starts at the first frame".into());
        if let Some(first) = samples.first_mut() {
            first.keyframe = true;
        }
    }
    Ok(())
}
