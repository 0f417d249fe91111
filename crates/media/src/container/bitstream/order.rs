//! Presentation order of streams without presentation times, from the picture order count.

use super::super::sample::facts::SampleFacts;
use super::super::track::Sample;

/// Whether presentation times are missing: they rise with every sample although the first samples are coded in another
/// order than presented.
pub(super) fn is_missing(samples: &[Sample], head: &[Option<SampleFacts>]) -> bool {
    let reordered = head.windows(2).any(|pair| match (pair[0].and_then(|f| f.order), pair[1].and_then(|f| f.order)) {
        (Some(first), Some(second)) => second < first,
        _ => false,
    });
    reordered && samples.windows(2).all(|pair| pair[0].pts <= pair[1].pts)
}

/// Gives the presentation times of each coded video sequence to its samples in presentation order.
pub(in super::super) fn restore(samples: &mut [Sample], facts: &[Option<SampleFacts>]) {
    let sequence = |facts: &Option<SampleFacts>| facts.and_then(|facts| facts.order).map(|order| order.0);
    let mut first = 0;
    for all in facts.chunk_by(|a, b| sequence(a) == sequence(b)) {
        let range = first..first + all.len();
        first = range.end;
        let Some(ranks) = display_ranks(all) else { continue };
        let mut times: Vec<(i64, bool)> = samples[range.clone()].iter().map(|s| (s.pts, s.shown)).collect();
        times.sort_by_key(|time| time.0);
        for (sample, rank) in samples[range].iter_mut().zip(ranks) {
            (sample.pts, sample.shown) = times[rank];
        }
    }
}

/// For each sample its place in presentation order; `None` when one does not tell it.
pub(in super::super) fn display_ranks(facts: &[Option<SampleFacts>]) -> Option<Vec<usize>> {
    let keys = facts.iter().map(|facts| facts.and_then(|facts| facts.order)).collect::<Option<Vec<_>>>()?;
    Some(ranks(&keys))
}

/// For each key its place among all in ascending order; equal ones stay in order.
pub(in super::super) fn ranks(keys: &[(i64, i64)]) -> Vec<usize> {
    let mut ascending: Vec<usize> = (0..keys.len()).collect();
    ascending.sort_by_key(|&at| (keys[at], at));
    let mut ranks = vec![0; keys.len()];
    ascending.into_iter().enumerate().for_each(|(rank, at)| ranks[at] = rank);
    ranks
}

#[cfg(test)]
mod tests {
    use super::*;

    fn facts(orders: &[(i64, i64)]) -> Vec<Option<SampleFacts>> {
        orders.iter().map(|&order| Some(SampleFacts { order: Some(order), ..SampleFacts::default() })).collect()
    }

    fn samples(times: &[i64]) -> Vec<Sample> {
        let sample = |&pts: &i64| Sample { offset: 0, size: 1, pts, dts: pts, keyframe: false, shown: true };
        times.iter().map(sample).collect()
    }

    #[test]
    fn times_are_given_out_in_the_order_of_the_pictures() {
        let facts = facts(&[(1, 0), (1, 6), (1, 2), (1, 4), (2, 0), (2, 4), (2, 2)]);
        let mut samples = samples(&[0, 1, 2, 3, 4, 5, 6]);
        assert!(is_missing(&samples, &facts));
        restore(&mut samples, &facts);
        assert_eq!(samples.iter().map(|s| s.pts).collect::<Vec<_>>(), [0, 3, 1, 2, 4, 6, 5]);
        assert!(!is_missing(&samples, &facts), "they are there now");
    }

    #[test]
    fn without_b_frames_nothing_is_missing() {
        assert!(!is_missing(&samples(&[0, 1, 2]), &facts(&[(1, 0), (1, 2), (1, 4)])));
        assert!(!is_missing(&samples(&[0, 1, 2]), &[None, None, None]));
        assert_eq!(display_ranks(&[None]), None);
    }
}
