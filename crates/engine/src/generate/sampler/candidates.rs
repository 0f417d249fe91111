//! Scores to the candidates of a draw.
//!
//! A vocabulary has up to a quarter million ids, of which a draw looks at a few. So they are not sorted: one pass adds
//! up the mass of ids by steps of their score, which tells down to which step a draw can reach; only ids above it are
//! sorted.

use super::sampling::Sampling;

/// An id and its probability.
pub(super) type Candidate = (u32, f64);

/// Steps of the score, in units of the exponent, below the largest one. All that is lower is in the last step.
const STEPS: usize = 512;
const STEPS_PER_UNIT: f64 = 16.0;

/// The candidates that a draw at `unit` of the mass may meet, likeliest first (the smaller id first among equals), with
/// their probabilities among all candidates; all candidates at 1. `top` is the largest score, a finite number.
pub(super) fn candidates(scores: &[f32], top: f32, sampling: &Sampling, unit: f64) -> Vec<Candidate> {
    let exponents = Exponents { scores, top: f64::from(top), temperature: sampling.temperature };
    let top_p = sampling.top_p.filter(|p| *p < 1.0);
    let min_p = sampling.min_p.filter(|p| *p > 0.0);
    // A few are kept by rank or by threshold: their probabilities follow from them alone.
    let (mut found, total) = match (sampling.top_k.filter(|k| *k < scores.len()), min_p) {
        (Some(k), _) => (exponents.largest(k), None),
        (None, Some(p)) if top_p.is_none() => (exponents.from(p.ln()), None),
        _ => {
            let (found, total) = exponents.down_to(top_p.unwrap_or(unit));
            (found, Some(total))
        }
    };
    found.sort_unstable_by(|a, b| b.1.total_cmp(&a.1).then(a.0.cmp(&b.0)));
    found.iter_mut().for_each(|candidate| candidate.1 = candidate.1.exp());
    let total = total.unwrap_or_else(|| found.iter().map(|candidate| candidate.1).sum());
    found.iter_mut().for_each(|candidate| candidate.1 /= total);
    if let Some(p) = top_p {
        found.truncate(nucleus(&found, p));
        normalize(&mut found);
    }
    if let Some(p) = min_p
        && let Some(least) = found.first().map(|first| first.1 * p)
    {
        found.truncate(found.partition_point(|candidate| candidate.1 >= least));
        normalize(&mut found);
    }
    found
}

fn normalize(candidates: &mut [Candidate]) {
    let mass: f64 = candidates.iter().map(|candidate| candidate.1).sum();
    candidates.iter_mut().for_each(|candidate| candidate.1 /= mass);
}

/// How many of the candidates, likeliest first, are kept: the tail goes whose mass is at most `1 - p`; one stays.
fn nucleus(candidates: &[Candidate], p: f64) -> usize {
    let mut mass = 0.0;
    let reaches = |candidate: &Candidate| {
        mass += candidate.1;
        1.0 - mass <= 1.0 - p
    };
    candidates.iter().position(reaches).map_or(candidates.len(), |last| last + 1).max(1)
}

/// The candidate at `unit` of the cumulative mass.
pub(super) fn draw(candidates: &[Candidate], unit: f64) -> u32 {
    let mut left = unit;
    for &(id, probability) in candidates {
        if left < probability {
            return id;
        }
        left -= probability;
    }
    candidates.last().map_or(0, |candidate| candidate.0)
}

/// Exponents of a softmax: scores below the largest one, over the temperature. None is above 0.
struct Exponents<'s> {
    scores: &'s [f32],
    top: f64,
    temperature: f64,
}

impl Exponents<'_> {
    fn of(&self, score: f32) -> f64 {
        (f64::from(score) - self.top) / self.temperature
    }

    fn step(exponent: f64) -> usize {
        ((-exponent * STEPS_PER_UNIT) as usize).min(STEPS - 1)
    }

    fn collect(&self, keep: impl Fn(f64) -> bool) -> Vec<Candidate> {
        let all = self.scores.iter().zip(0u32..).filter(|(score, _)| **score > f32::NEG_INFINITY);
        all.map(|(&score, id)| (id, self.of(score))).filter(|(_, exponent)| keep(*exponent)).collect()
    }

    /// The `k` largest, and those equal to the k-th.
    fn largest(&self, k: usize) -> Vec<Candidate> {
        let mut ids = [0usize; STEPS];
        let above = |score: f32| Self::step(self.of(score));
        for &score in self.scores.iter().filter(|score| **score > f32::NEG_INFINITY) {
            ids[above(score)] += 1;
        }
        let last = last_step(&ids, |sum| *sum >= k);
        let mut left = self.collect(|exponent| Self::step(exponent) <= last);
        if k < left.len() {
            let (_, kth, _) = left.select_nth_unstable_by(k - 1, |a, b| b.1.total_cmp(&a.1));
            let least = kth.1;
            left.retain(|candidate| candidate.1 >= least);
        }
        left
    }

    /// All from this exponent on.
    fn from(&self, least: f64) -> Vec<Candidate> {
        self.collect(|exponent| exponent >= least)
    }

    /// The likeliest whose share of the mass is at least `share`, and some more; and the mass of all.
    fn down_to(&self, share: f64) -> (Vec<Candidate>, f64) {
        let mut mass = [0f64; STEPS];
        for &score in self.scores {
            let exponent = self.of(score);
            mass[Self::step(exponent)] += exponent.exp();
        }
        let total: f64 = mass.iter().sum();
        // One step more, as sums in another order differ in their last bits.
        let last = if share < 1.0 { last_step(&mass, |sum| *sum >= share * total) + 1 } else { STEPS };
        (self.collect(|exponent| Self::step(exponent) <= last), total)
    }
}

/// The first step up to which the sum is enough; the last one when it never is.
fn last_step<T: Copy + Default + std::ops::AddAssign>(steps: &[T; STEPS], enough: impl Fn(&T) -> bool) -> usize {
    let mut sum = T::default();
    let reached = steps.iter().position(|step| {
        sum += *step;
        enough(&sum)
    });
    reached.unwrap_or(STEPS - 1)
}
