//! Logits to one token id: repetition penalty, temperature, top-k, top-p, in this order (the order of transformers'
//! logits processors), then a seeded draw; or the largest logit.

use std::collections::BTreeSet;

use rand_xoshiro::SplitMix64;
use rand_xoshiro::rand_core::{RngCore, SeedableRng};

use crate::error::EngineError;

/// How the next token is chosen. The default is greedy.
#[derive(Clone, Debug, PartialEq)]
pub struct Sampling {
    /// Divides the logits; 0 means greedy (the largest logit, the smaller id among equals).
    pub temperature: f64,
    /// Keep the k largest logits (and those equal to the k-th).
    pub top_k: Option<usize>,
    /// Keep the smallest set of likeliest tokens whose mass reaches this, in (0, 1].
    pub top_p: Option<f64>,
    /// Positive logits of ids seen before are divided by it, negative ones multiplied; 1 means none.
    pub repetition_penalty: f64,
    /// Whether ids of the prompt count as seen (transformers does so when it is given ids) or only those generated.
    pub penalize_prompt: bool,
    /// Seed of the draw: same seed, same logits, same answer.
    pub seed: u64,
}

impl Default for Sampling {
    fn default() -> Self {
        Sampling { temperature: 0.0, top_k: None, top_p: None, repetition_penalty: 1.0, penalize_prompt: true, seed: 0 }
    }
}

impl Sampling {
    /// Whether the draw is without chance.
    pub fn is_greedy(&self) -> bool {
        self.temperature == 0.0
    }

    /// Refuses values outside their range, naming them.
    pub fn check(&self) -> Result<(), EngineError> {
        if !(self.temperature >= 0.0 && self.temperature.is_finite()) {
            return Err(EngineError::caller(format!("temperature {} is not 0 or a positive number", self.temperature)));
        }
        if self.top_k == Some(0) {
            return Err(EngineError::caller("top-k 0 leaves no candidate"));
        }
        if let Some(p) = self.top_p
            && !(p > 0.0 && p <= 1.0)
        {
            return Err(EngineError::caller(format!("top-p {p} is not above 0 and at most 1")));
        }
        if !(self.repetition_penalty > 0.0 && self.repetition_penalty.is_finite()) {
            return Err(EngineError::caller(format!(
                "repetition penalty {} is not a positive number",
                self.repetition_penalty
            )));
        }
        Ok(())
    }
}

/// Uniform in [0, 1), 53 bits.
fn unit_f64(rng: &mut SplitMix64) -> f64 {
    (rng.next_u64() >> 11) as f64 / (1u64 << 53) as f64
}

/// Chooses token after token for one sequence.
#[derive(Clone, Debug)]
pub struct Sampler {
    sampling: Sampling,
    seen: BTreeSet<u32>,
    rng: SplitMix64,
}

impl Sampler {
    /// A sampler for a sequence that starts with `prompt`.
    pub fn new(sampling: &Sampling, prompt: &[u32]) -> Result<Self, EngineError> {
        sampling.check()?;
        let penalizes_prompt = sampling.repetition_penalty != 1.0 && sampling.penalize_prompt;
        let seen = if penalizes_prompt { prompt.iter().copied().collect() } else { BTreeSet::new() };
        Ok(Sampler { sampling: sampling.clone(), seen, rng: SplitMix64::seed_from_u64(sampling.seed) })
    }

    /// The next token for `logits` `[W]`; remembers it for the repetition penalty.
    pub fn pick(&mut self, logits: &[f32]) -> Result<u32, EngineError> {
        if logits.is_empty() {
            return Err(EngineError::Bug("the model gave no logits".into()));
        }
        if let Some(at) = logits.iter().position(|value| value.is_nan()) {
            return Err(EngineError::NotANumber(format!("logit {at} of {}", logits.len())));
        }
        let scores = self.penalized(logits);
        let id = if self.sampling.is_greedy() {
            largest(&scores)
        } else {
            let candidates = self.candidates(scores);
            draw(&candidates, unit_f64(&mut self.rng))
        };
        self.seen.insert(id);
        Ok(id)
    }

    /// The candidates and their probabilities for `logits`, likeliest first; nothing is drawn or remembered.
    /// With greedy sampling the largest logit alone.
    pub fn distribution(&self, logits: &[f32]) -> Vec<(u32, f64)> {
        let scores = self.penalized(logits);
        if self.sampling.is_greedy() { vec![(largest(&scores), 1.0)] } else { self.candidates(scores) }
    }

    fn penalized(&self, logits: &[f32]) -> Vec<f32> {
        let mut scores = logits.to_vec();
        let penalty = self.sampling.repetition_penalty as f32;
        if penalty != 1.0 {
            for &id in &self.seen {
                if let Some(score) = scores.get_mut(id as usize) {
                    *score = if *score < 0.0 { *score * penalty } else { *score / penalty };
                }
            }
        }
        scores
    }

    fn candidates(&self, scores: Vec<f32>) -> Vec<(u32, f64)> {
        let temperature = self.sampling.temperature;
        let mut left: Vec<(u32, f64)> =
            scores.iter().enumerate().map(|(id, &score)| (id as u32, f64::from(score) / temperature)).collect();
        if let Some(k) = self.sampling.top_k
            && k < left.len()
        {
            let (_, kth, _) = left.select_nth_unstable_by(k - 1, |a, b| b.1.total_cmp(&a.1));
            let least = kth.1;
            left.retain(|candidate| candidate.1 >= least);
        }
        left.sort_unstable_by(|a, b| b.1.total_cmp(&a.1).then(a.0.cmp(&b.0)));
        softmax(&mut left);
        if let Some(p) = self.sampling.top_p
            && p < 1.0
        {
            left.truncate(nucleus(&left, p));
            let mass: f64 = left.iter().map(|candidate| candidate.1).sum();
            left.iter_mut().for_each(|candidate| candidate.1 /= mass);
        }
        left
    }
}

/// How many of the candidates, likeliest first, are kept: a tail whose mass is at most `1 - p` goes, one stays.
fn nucleus(candidates: &[(u32, f64)], p: f64) -> usize {
    let mut kept = candidates.len();
    let mut tail = 0.0;
    while kept > 1 {
        tail += candidates[kept - 1].1;
        if tail > 1.0 - p {
            break;
        }
        kept -= 1;
    }
    kept
}

/// The index of the largest score; the smaller index among equals.
fn largest(scores: &[f32]) -> u32 {
    let best = scores.iter().enumerate().fold(
        (0, f32::NEG_INFINITY),
        |best, (id, &score)| {
            if score > best.1 { (id, score) } else { best }
        },
    );
    best.0 as u32
}

/// Scores, largest first, to probabilities.
fn softmax(candidates: &mut [(u32, f64)]) {
    let top = candidates.first().map_or(0.0, |candidate| candidate.1);
    candidates.iter_mut().for_each(|candidate| candidate.1 = (candidate.1 - top).exp());
    let mass: f64 = candidates.iter().map(|candidate| candidate.1).sum();
    candidates.iter_mut().for_each(|candidate| candidate.1 /= mass);
}

/// The candidate at `unit` of the cumulative mass.
fn draw(candidates: &[(u32, f64)], unit: f64) -> u32 {
    let mut left = unit;
    for &(id, probability) in candidates {
        if left < probability {
            return id;
        }
        left -= probability;
    }
    candidates.last().map_or(0, |candidate| candidate.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sampling() -> Sampling {
        Sampling { temperature: 1.0, ..Sampling::default() }
    }

    fn distribution(sampling: &Sampling, prompt: &[u32], logits: &[f32]) -> Vec<(u32, f64)> {
        Sampler::new(sampling, prompt).expect("valid").distribution(logits)
    }

    fn assert_close(got: &[(u32, f64)], want: &[(u32, f64)]) {
        assert_eq!(got.len(), want.len(), "{got:?} against {want:?}");
        for (g, w) in got.iter().zip(want) {
            assert!(g.0 == w.0 && (g.1 - w.1).abs() < 1e-6, "{got:?} against {want:?}");
        }
    }

    /// Natural logarithms of 0.5, 0.25, 0.125, 0.125: a softmax gives these numbers back.
    fn logits() -> Vec<f32> {
        [0.25f32, 0.5, 0.125, 0.125].iter().map(|p| p.ln()).collect()
    }

    #[test]
    fn plain_sampling_is_softmax() {
        assert_close(&distribution(&sampling(), &[], &logits()), &[(1, 0.5), (0, 0.25), (2, 0.125), (3, 0.125)]);
    }

    #[test]
    fn temperature_a_half_squares_the_odds() {
        // 0.5^2 : 0.25^2 : 0.125^2 : 0.125^2 = 16 : 4 : 1 : 1
        let half = Sampling { temperature: 0.5, ..sampling() };
        let want = [(1, 16.0 / 22.0), (0, 4.0 / 22.0), (2, 1.0 / 22.0), (3, 1.0 / 22.0)];
        assert_close(&distribution(&half, &[], &logits()), &want);
    }

    #[test]
    fn top_k_keeps_ties_with_the_kth() {
        let two = Sampling { top_k: Some(2), ..sampling() };
        assert_close(&distribution(&two, &[], &logits()), &[(1, 2.0 / 3.0), (0, 1.0 / 3.0)]);
        let three = Sampling { top_k: Some(3), ..sampling() };
        assert_eq!(distribution(&three, &[], &logits()).len(), 4, "ids 2 and 3 are equal");
        let many = Sampling { top_k: Some(50), ..sampling() };
        assert_eq!(distribution(&many, &[], &logits()).len(), 4);
    }

    #[test]
    fn top_p_drops_the_tail_whose_mass_fits() {
        // Tails: 0.125, 0.25, 0.5. With p = 0.7 a tail of at most 0.3 goes: ids 3 and 2.
        let p = Sampling { top_p: Some(0.7), ..sampling() };
        assert_close(&distribution(&p, &[], &logits()), &[(1, 2.0 / 3.0), (0, 1.0 / 3.0)]);
        // With p = 0.8 a tail of at most 0.2 goes: of the equal ids 2 and 3 the larger.
        let p = Sampling { top_p: Some(0.8), ..sampling() };
        assert_close(&distribution(&p, &[], &logits()), &[(1, 4.0 / 7.0), (0, 2.0 / 7.0), (2, 1.0 / 7.0)]);
        let tiny = Sampling { top_p: Some(1e-9), ..sampling() };
        assert_close(&distribution(&tiny, &[], &logits()), &[(1, 1.0)]);
    }

    #[test]
    fn top_p_sees_what_top_k_left() {
        // After top-k 2 the masses are 2/3 and 1/3; a tail of at most 0.4 goes.
        let both = Sampling { top_k: Some(2), top_p: Some(0.6), ..sampling() };
        assert_close(&distribution(&both, &[], &logits()), &[(1, 1.0)]);
    }

    #[test]
    fn repetition_penalty_divides_positive_and_multiplies_negative_logits() {
        let penalty = Sampling { repetition_penalty: 2.0, ..Sampling::default() };
        let mut sampler = Sampler::new(&penalty, &[0, 3, 3]).expect("valid");
        assert_eq!(sampler.penalized(&[4.0, 3.0, -1.0, -1.0]), [2.0, 3.0, -1.0, -2.0]);
        assert_eq!(sampler.pick(&[4.0, 3.0, -1.0, -1.0]).expect("pick"), 1);
        assert_eq!(sampler.pick(&[4.0, 3.0, -1.0, -1.0]).expect("pick"), 0, "1 was seen: 1.5 against 2");
        let generated_only = Sampling { penalize_prompt: false, ..penalty };
        let mut sampler = Sampler::new(&generated_only, &[0]).expect("valid");
        assert_eq!(sampler.pick(&[4.0, 3.0]).expect("pick"), 0);
        assert_eq!(sampler.pick(&[4.0, 3.0]).expect("pick"), 1);
    }

    #[test]
    fn the_penalty_comes_before_the_temperature() {
        // Penalty 2 makes 2 ln 2 of id 0 into ln 2, temperature 0.5 makes it 2 ln 2: odds 4 : 1.
        let both = Sampling { repetition_penalty: 2.0, temperature: 0.5, ..sampling() };
        let got = distribution(&both, &[0], &[2.0 * 2f32.ln(), 0.0]);
        assert_close(&got, &[(0, 0.8), (1, 0.2)]);
    }

    #[test]
    fn greedy_takes_the_smaller_id_among_equals() {
        let mut sampler = Sampler::new(&Sampling::default(), &[]).expect("valid");
        assert_eq!(sampler.pick(&[1.0, 5.0, 5.0]).expect("pick"), 1);
        assert_eq!(sampler.pick(&[f32::NEG_INFINITY; 3]).expect("pick"), 0);
    }

    #[test]
    fn a_seed_fixes_the_draws_and_the_draws_follow_the_distribution() {
        let run = |seed| -> Vec<u32> {
            let mut sampler = Sampler::new(&Sampling { seed, ..sampling() }, &[]).expect("valid");
            (0..4000).map(|_| sampler.pick(&logits()).expect("pick")).collect()
        };
        assert_eq!(run(7), run(7));
        assert_ne!(run(7), run(8));
        let counts = run(7).iter().fold([0usize; 4], |mut counts, &id| {
            counts[id as usize] += 1;
            counts
        });
        for (count, p) in counts.iter().zip([0.25, 0.5, 0.125, 0.125f64]) {
            let sigma = (4000.0f64 * p * (1.0 - p)).sqrt();
            assert!((*count as f64 - 4000.0 * p).abs() < 5.0 * sigma, "{counts:?}");
        }
    }

    /// Users name seeds, so a seed must give the same draws in every version.
    #[test]
    fn a_seed_keeps_its_stream() {
        // The published first outputs of SplitMix64 from state 0.
        let mut rng = SplitMix64::seed_from_u64(0);
        assert_eq!([rng.next_u64(), rng.next_u64()], [0xE220_A839_7B1D_CDAF, 0x6E78_9E6A_A1B9_65F4]);
        let mut rng = SplitMix64::seed_from_u64(42);
        assert_eq!(unit_f64(&mut rng), (0xBDD7_3226_2FEB_6E95_u64 >> 11) as f64 / (1u64 << 53) as f64);
    }

    #[test]
    fn values_out_of_range_are_refused_by_name() {
        let text = |sampling: Sampling| sampling.check().map_err(|e| e.to_string()).expect_err("refused");
        assert_eq!(text(Sampling { top_p: Some(1.5), ..sampling() }), "top-p 1.5 is not above 0 and at most 1");
        assert_eq!(text(Sampling { top_k: Some(0), ..sampling() }), "top-k 0 leaves no candidate");
        assert!(text(Sampling { temperature: f64::NAN, ..sampling() }).contains("temperature NaN"));
        assert!(text(Sampling { repetition_penalty: 0.0, ..sampling() }).contains("repetition penalty 0"));
    }

    #[test]
    fn not_a_number_is_an_error_and_not_a_choice() {
        let mut sampler = Sampler::new(&Sampling::default(), &[]).expect("valid");
        let text = sampler.pick(&[0.0, f32::NAN]).map_err(|e| e.to_string()).expect_err("refused");
        assert!(text.contains("logit 1 of 2"), "{text}");
    }
}
