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
const LAST: usize = STEPS - 1;
const STEPS_PER_UNIT: f64 = 16.0;

/// The candidates that a draw at `unit` of the mass may meet, likeliest first (the smaller id first among equals), with
/// their probabilities among all candidates; all candidates at 1. `top` is the largest score, a finite number.
pub(super) fn candidates(scores: &[f32], top: f32, sampling: &Sampling, unit: f64) -> Vec<Candidate> {
    // Not infinite for the smallest temperatures: the largest score stays at exponent 0.
    let inverse_temperature = (1.0 / sampling.temperature).min(f64::MAX);
    let exponents = Exponents { scores, top: f64::from(top), inverse_temperature };
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
    inverse_temperature: f64,
}

impl Exponents<'_> {
    fn of(&self, score: f32) -> f64 {
        (f64::from(score) - self.top) * self.inverse_temperature
    }

    fn step(exponent: f64) -> usize {
        ((-exponent * STEPS_PER_UNIT) as i32 as usize).min(LAST)
    }

    /// The `k` largest, and those equal to the k-th. More than `k` are kept for a while, so that few are looked at
    /// twice.
    fn largest(&self, k: usize) -> Vec<Candidate> {
        let mut kept: Vec<(u32, f32)> = Vec::new();
        let mut room = k.saturating_mul(4).max(256);
        let mut least = f32::NEG_INFINITY;
        for (&score, id) in self.scores.iter().zip(0u32..) {
            if score < least || score == f32::NEG_INFINITY {
                continue;
            }
            kept.push((id, score));
            if kept.len() == room {
                least = keep_largest(&mut kept, k);
                // Where many are equal.
                room = room.max(2 * kept.len());
            }
        }
        keep_largest(&mut kept, k);
        kept.into_iter().map(|(id, score)| (id, self.of(score))).collect()
    }

    /// All from this exponent on.
    fn from(&self, least: f64) -> Vec<Candidate> {
        // Few are: most are told by their score alone.
        let bound = ((self.top + least / self.inverse_temperature) as f32).next_down();
        let near = self.scores.iter().zip(0u32..).filter(|(score, _)| **score >= bound && **score > f32::NEG_INFINITY);
        near.map(|(&score, id)| (id, self.of(score))).filter(|(_, exponent)| *exponent >= least).collect()
    }

    /// The likeliest whose share of the mass is at least `share`, and some more; and the mass of all.
    fn down_to(&self, share: f64) -> (Vec<Candidate>, f64) {
        let mut mass = [0f64; STEPS];
        for &score in self.scores {
            let exponent = self.of(score);
            let step = Self::step(exponent);
            mass[step] += match step {
                LAST => exponent.exp(),
                // What is common to a step is multiplied in below.
                _ => exp_of_small(exponent + step as f64 / STEPS_PER_UNIT),
            };
        }
        for (step, mass) in mass[..LAST].iter_mut().enumerate() {
            *mass *= (step as f64 / -STEPS_PER_UNIT).exp();
        }
        let total: f64 = mass.iter().sum();
        // One step more, as sums in another order differ in their last bits.
        let steps = last_step(&mass, share * total) + 2;
        let least = if share < 1.0 && steps < STEPS { steps as f64 / -STEPS_PER_UNIT } else { f64::NEG_INFINITY };
        (self.from(least), total)
    }
}

/// The exponential function between -1/16 and 0, to 1e-12: its series, several times faster than the function.
fn exp_of_small(x: f64) -> f64 {
    const C: [f64; 5] = [1.0 / 2.0, 1.0 / 6.0, 1.0 / 24.0, 1.0 / 120.0, 1.0 / 720.0];
    1.0 + x * (1.0 + x * (C[0] + x * (C[1] + x * (C[2] + x * (C[3] + x * C[4])))))
}

/// Leaves the `k` largest and those equal to the k-th; the score of the k-th.
fn keep_largest(kept: &mut Vec<(u32, f32)>, k: usize) -> f32 {
    if kept.len() <= k {
        return f32::NEG_INFINITY;
    }
    let (_, kth, _) = kept.select_nth_unstable_by(k - 1, |a, b| b.1.total_cmp(&a.1));
    let least = kth.1;
    kept.retain(|candidate| candidate.1 >= least);
    least
}

/// The first step up to which the mass is enough; the last one when it never is.
fn last_step(steps: &[f64; STEPS], enough: f64) -> usize {
    let mut sum = 0.0;
    let reached = steps.iter().position(|step| {
        sum += step;
        sum >= enough
    });
    reached.unwrap_or(LAST)
}
