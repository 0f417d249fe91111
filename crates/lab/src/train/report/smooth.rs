//! Series as they are drawn: smoothed, and thinned to what a screen can show.

use super::run_log::Points;

/// Most points of a line that is drawn.
const MOST_POINTS: usize = 400;

/// Steps that a moving average goes over: a fiftieth of the run.
pub(super) fn window(steps: usize) -> f64 {
    (steps as f64 / 50.0).floor().max(1.0)
}

/// An exponential moving average over about `window` values, started without bias (Kingma & Ba, arXiv 1412.6980,
/// section 3). Values that are no numbers are passed over.
pub(super) fn smooth(points: &[(f64, f64)], window: f64) -> Points {
    let decay = 1.0 - 1.0 / window.max(1.0);
    let (mut sum, mut weight) = (0.0, 0.0);
    let finite = points.iter().filter(|(_, y)| y.is_finite());
    let average = |&(x, y): &(f64, f64)| {
        sum = decay * sum + (1.0 - decay) * y;
        weight = decay * weight + (1.0 - decay);
        (x, sum / weight)
    };
    finite.map(average).collect()
}

/// At most [`MOST_POINTS`] of `points`: the last of each run of neighbors.
pub(super) fn thin(points: &[(f64, f64)]) -> Points {
    let every = points.len().div_ceil(MOST_POINTS).max(1);
    points.chunks(every).filter_map(|chunk| chunk.last().copied()).collect()
}

/// The lowest and the highest value of each run of neighbors, with the place of its last one.
pub(super) fn range(points: &[(f64, f64)]) -> Vec<(f64, f64, f64)> {
    let every = points.len().div_ceil(MOST_POINTS).max(1);
    let of_chunk = |chunk: &[(f64, f64)]| {
        let values = chunk.iter().map(|(_, y)| *y).filter(|y| y.is_finite());
        let (low, high) = values.fold((f64::INFINITY, f64::NEG_INFINITY), |(l, h), y| (l.min(y), h.max(y)));
        (low <= high).then(|| (chunk[chunk.len() - 1].0, low, high))
    };
    points.chunks(every).filter_map(of_chunk).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_constant_stays_and_a_step_is_followed_without_bias() {
        let flat = smooth(&[(1.0, 3.0), (2.0, f64::NAN), (3.0, 3.0)], 10.0);
        assert!(flat.len() == 2 && flat.iter().all(|(_, y)| (y - 3.0).abs() < 1e-12), "{flat:?}");
        let step: Vec<(f64, f64)> = (0..100).map(|x| (f64::from(x), if x < 50 { 1.0 } else { 2.0 })).collect();
        let smoothed = smooth(&step, 5.0);
        assert!((smoothed[49].1 - 1.0).abs() < 1e-9 && (smoothed[99].1 - 2.0).abs() < 1e-3);
        assert_eq!(smooth(&step, 1.0), step);
    }

    #[test]
    fn thinning_keeps_the_end_and_the_range_keeps_every_peak() {
        let points: Vec<(f64, f64)> =
            (1..=10_007).map(|x| (f64::from(x), if x == 5_003 { 9.0 } else { 1.0 })).collect();
        let thinned = thin(&points);
        assert!(thinned.len() <= MOST_POINTS && thinned.last() == points.last());
        let range = range(&points);
        assert!(range.len() <= MOST_POINTS && range.iter().any(|(_, _, high)| *high == 9.0));
    }
}
