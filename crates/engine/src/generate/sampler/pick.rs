//! Chooses token after token.

use std::borrow::Cow;
use std::collections::BTreeMap;

use rand_xoshiro::SplitMix64;
use rand_xoshiro::rand_core::{RngCore, SeedableRng};

use super::candidates::{Candidate, candidates, draw};
use super::sampling::Sampling;
use crate::error::EngineError;
use crate::generate::grammar::GrammarState;

/// Uniform in [0, 1), 53 bits.
pub(super) fn unit_f64(rng: &mut SplitMix64) -> f64 {
    (rng.next_u64() >> 11) as f64 / (1u64 << 53) as f64
}

/// Chooses token after token for one sequence.
#[derive(Clone, Debug)]
pub struct Sampler {
    sampling: Sampling,
    /// How often each id was generated: 0 for those of the prompt alone.
    seen: BTreeMap<u32, u32>,
    rng: SplitMix64,
    stop_ids: Vec<u32>,
    grammar: Option<GrammarState>,
    /// Tokens so far, and at most.
    tokens: usize,
    budget: usize,
}

impl Sampler {
    /// A sampler for a sequence that starts with `prompt`.
    ///
    /// # Errors
    /// As [`Sampling::check`].
    pub fn new(sampling: &Sampling, prompt: &[u32]) -> Result<Self, EngineError> {
        sampling.check()?;
        let penalizes_prompt = sampling.repetition_penalty != 1.0 && sampling.penalize_prompt;
        let seen = if penalizes_prompt { prompt.iter().map(|&id| (id, 0)).collect() } else { BTreeMap::new() };
        Ok(Sampler {
            seen,
            rng: SplitMix64::seed_from_u64(sampling.seed),
            stop_ids: Vec::new(),
            grammar: sampling.grammar.as_ref().map(|grammar| grammar.begin()),
            tokens: 0,
            budget: usize::MAX,
            sampling: sampling.clone(),
        })
    }

    /// The ids that are not chosen before [`Sampling::min_tokens`].
    #[must_use]
    pub fn with_stop_ids(mut self, ids: &[u32]) -> Self {
        self.stop_ids = ids.to_vec();
        self
    }

    /// Most tokens of the reply: JSON is closed before them.
    #[must_use]
    pub fn with_budget(mut self, tokens: usize) -> Self {
        self.budget = tokens;
        self
    }

    /// The next token for `logits` `[W]`; remembers it for penalties and follows the grammar with it.
    ///
    /// # Errors
    /// [`EngineError::NotANumber`] for such a logit; [`EngineError::Caller`] when a grammar is too costly to follow.
    pub fn pick(&mut self, logits: &[f32]) -> Result<u32, EngineError> {
        if logits.is_empty() {
            return Err(EngineError::Bug("the model gave no logits".into()));
        }
        if logits.iter().fold(false, |found, value| found | value.is_nan()) {
            let at = logits.iter().position(|value| value.is_nan()).unwrap_or_default();
            return Err(EngineError::NotANumber(format!("logit {at} of {}", logits.len())));
        }
        let scores = self.scores(logits)?;
        let mut id = if self.sampling.is_greedy() {
            self.largest(&scores)
        } else {
            let unit = unit_f64(&mut self.rng);
            draw(&self.candidates(&scores, unit), unit)
        };
        if let Some(grammar) = &mut self.grammar {
            id = grammar.settle(id, self.budget.saturating_sub(self.tokens));
            grammar.take(id)?;
        }
        self.tokens += 1;
        *self.seen.entry(id).or_default() += 1;
        Ok(id)
    }

    /// Whether the grammar is at its end, so that nothing can follow.
    pub fn is_complete(&self) -> bool {
        self.grammar.as_ref().is_some_and(GrammarState::is_complete)
    }

    /// The candidates and their probabilities for `logits`, likeliest first; nothing is drawn or remembered.
    /// With greedy sampling the largest score alone.
    ///
    /// # Errors
    /// As [`Sampler::pick`].
    pub fn distribution(&mut self, logits: &[f32]) -> Result<Vec<(u32, f64)>, EngineError> {
        let scores = self.scores(logits)?;
        Ok(match self.sampling.is_greedy() {
            true => vec![(self.largest(&scores), 1.0)],
            false => self.candidates(&scores, 1.0),
        })
    }

    fn candidates(&self, scores: &[f32], unit: f64) -> Vec<Candidate> {
        let top = maximum(scores);
        // An infinite score is certain, or there is nothing to choose from.
        if top.is_infinite() {
            vec![(self.largest(scores), 1.0)]
        } else {
            candidates(scores, top, &self.sampling, unit)
        }
    }

    /// The logits after bias, penalties and masks; the logits themselves where there are none.
    pub(super) fn scores<'l>(&mut self, logits: &'l [f32]) -> Result<Cow<'l, [f32]>, EngineError> {
        let mut scores = Cow::Borrowed(logits);
        for &(id, bias) in &self.sampling.logit_bias {
            if let Some(score) = scores.to_mut().get_mut(id as usize) {
                *score += bias as f32;
            }
        }
        self.penalize(&mut scores);
        if let Some(grammar) = &mut self.grammar {
            mask(scores.to_mut(), grammar.allowed()?);
        }
        if self.tokens < self.sampling.min_tokens {
            let before = scores.clone();
            for &id in &self.stop_ids {
                if let Some(score) = scores.to_mut().get_mut(id as usize) {
                    *score = f32::NEG_INFINITY;
                }
            }
            // A grammar that can only end does.
            if maximum(&scores) == f32::NEG_INFINITY {
                scores = before;
            }
        }
        Ok(scores)
    }

    fn penalize(&self, scores: &mut Cow<'_, [f32]>) {
        let Sampling { frequency_penalty: frequency, presence_penalty: presence, .. } = self.sampling;
        let repetition = self.sampling.repetition_penalty as f32;
        if repetition == 1.0 && frequency == 0.0 && presence == 0.0 {
            return;
        }
        for (&id, &count) in &self.seen {
            if let Some(score) = scores.to_mut().get_mut(id as usize) {
                *score = if *score < 0.0 { *score * repetition } else { *score / repetition };
                if count > 0 {
                    *score -= (frequency * f64::from(count) + presence) as f32;
                }
            }
        }
    }

    /// The id of the largest score; the smaller id among equals. Where all are minus infinity, the first that the
    /// grammar allows.
    fn largest(&self, scores: &[f32]) -> u32 {
        let top = maximum(scores);
        let masked = if top == f32::NEG_INFINITY { self.grammar.as_ref() } else { None };
        let id = match masked.and_then(GrammarState::first_allowed) {
            Some(id) => id as usize,
            None => scores.iter().position(|score| *score == top).unwrap_or_default(),
        };
        id as u32
    }
}

/// Minus infinity for each id whose bit is not set.
fn mask(scores: &mut [f32], allowed: &[u32]) {
    for (word, scores) in scores.chunks_mut(32).enumerate() {
        match allowed.get(word).copied().unwrap_or(0) {
            0 => scores.fill(f32::NEG_INFINITY),
            u32::MAX => {}
            bits => {
                let masked = scores.iter_mut().enumerate().filter(|(bit, _)| bits >> bit & 1 == 0);
                masked.for_each(|(_, score)| *score = f32::NEG_INFINITY);
            }
        }
    }
}

/// The largest score. Sixteen at a time, so that it runs at the speed of memory.
fn maximum(scores: &[f32]) -> f32 {
    let larger = |a: f32, b: f32| if b > a { b } else { a };
    let (chunks, rest) = scores.as_chunks::<16>();
    let mut lanes = [f32::NEG_INFINITY; 16];
    for chunk in chunks {
        for (lane, &score) in lanes.iter_mut().zip(chunk) {
            *lane = larger(*lane, score);
        }
    }
    lanes.iter().chain(rest).fold(f32::NEG_INFINITY, |top, &score| larger(top, score))
}
