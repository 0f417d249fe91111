//! Keyframes: those that the container names, checked; those that the headers tell.

use super::super::sample::facts::{RandomAccess, SampleFacts};
use super::super::track::Sample;
use super::headers::HeaderReader;
use crate::error::MediaError;

/// Whether the container's keyframes are wrong: none, one where decoding cannot start, or not the first frame although
/// decoding can start there. `head` are the facts of the first samples.
///
/// An I frame that is no IDR is left to the container, which may know that nothing refers across it.
pub(super) fn wrong(
    reader: &mut HeaderReader<'_>,
    samples: &[Sample],
    head: &[Option<SampleFacts>],
) -> Result<bool, MediaError> {
    let start = |facts: &Option<SampleFacts>| facts.is_some_and(|facts| facts.random_access == RandomAccess::Yes);
    if head.first().is_some_and(start) && !samples[0].keyframe {
        return Ok(true);
    }
    let mut any = false;
    for (number, sample) in samples.iter().enumerate().filter(|(_, sample)| sample.keyframe) {
        any = true;
        let facts = match head.get(number) {
            Some(facts) => *facts,
            None => reader.alone(sample)?,
        };
        let is_no_start = |facts: SampleFacts| {
            matches!(facts.random_access, RandomAccess::No | RandomAccess::Recovery(_)) && number > 0
        };
        if facts.is_some_and(is_no_start) {
            return Ok(true);
        }
    }
    Ok(!any)
}

/// Sets the keyframes as the headers tell them; a sample whose headers are unknown keeps what the container says.
///
/// Where the stream has no full random access point yet, decoding may also start at a recovery point. A stream without
/// either is decoded from its I frames.
pub(in super::super) fn set(samples: &mut [Sample], facts: &[Option<SampleFacts>]) {
    let any = |wanted: fn(RandomAccess) -> bool| facts.iter().flatten().any(|facts| wanted(facts.random_access));
    let points = any(|access| matches!(access, RandomAccess::Yes | RandomAccess::Recovery(_)));
    let mut begun = false;
    for (sample, facts) in samples.iter_mut().zip(facts) {
        let Some(facts) = facts else { continue };
        sample.keyframe = match facts.random_access {
            RandomAccess::Yes => true,
            RandomAccess::Recovery(_) => !begun,
            RandomAccess::IntraOnly => !points,
            RandomAccess::No => false,
        };
        begun |= facts.random_access == RandomAccess::Yes;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use RandomAccess::{IntraOnly, No, Recovery, Yes};

    fn keyframes(accesses: &[RandomAccess]) -> Vec<bool> {
        let sample = Sample { offset: 0, size: 1, pts: 0, dts: 0, keyframe: true, shown: true };
        let mut samples = vec![sample; accesses.len()];
        let facts = |&random_access: &RandomAccess| Some(SampleFacts { random_access, ..SampleFacts::default() });
        set(&mut samples, &accesses.iter().map(facts).collect::<Vec<_>>());
        samples.iter().map(|sample| sample.keyframe).collect()
    }

    #[test]
    fn the_best_kind_of_start_that_there_is_counts() {
        assert_eq!(keyframes(&[Yes, No, IntraOnly, No, Yes]), [true, false, false, false, true]);
        assert_eq!(keyframes(&[No, Recovery(9), No, Yes, Recovery(9)]), [false, true, false, true, false]);
        assert_eq!(keyframes(&[No, IntraOnly, No, IntraOnly]), [false, true, false, true]);
    }
}
