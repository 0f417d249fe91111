//! How a request wants tokens to be chosen.

use std::ops::RangeInclusive;

use crate::error::EngineError;
use crate::generate::grammar::Grammar;
use crate::limits::check_limit;

/// Most likely tokens that are told beside each chosen one ([`Sampling::logprobs`]).
pub const MAX_TOP_LOGPROBS: usize = 20;
/// Most ids with a bias.
const MAX_BIASES: usize = 1024;
/// Range of presence and frequency penalty, as in OpenAI's interface.
const PENALTIES: RangeInclusive<f64> = -2.0..=2.0;
/// Range of a bias, as in OpenAI's interface.
const BIASES: RangeInclusive<f64> = -100.0..=100.0;

/// How the next token is chosen. The default is greedy.
#[derive(Clone, Debug, PartialEq)]
pub struct Sampling {
    /// Divides the logits; 0 means greedy (the largest logit, the smaller id among equals).
    pub temperature: f64,
    /// Keep the k largest logits (and those equal to the k-th).
    pub top_k: Option<usize>,
    /// Keep the smallest set of likeliest tokens whose mass reaches this, in (0, 1].
    pub top_p: Option<f64>,
    /// Keep tokens at least this share as likely as the likeliest one, in [0, 1].
    pub min_p: Option<f64>,
    /// Positive logits of ids seen before are divided by it, negative ones multiplied; 1 means none.
    pub repetition_penalty: f64,
    /// Whether ids of the prompt count as seen (transformers does so when it is given ids) or only those generated. For
    /// the repetition penalty alone.
    pub penalize_prompt: bool,
    /// Taken from the logit of every id that was generated, once; in [-2, 2].
    pub presence_penalty: f64,
    /// Taken from the logit of every id as often as it was generated; in [-2, 2].
    pub frequency_penalty: f64,
    /// Added to the logits of these ids; each in [-100, 100]. Of an id that is there twice both are added.
    pub logit_bias: Vec<(u32, f64)>,
    /// Seed of the draw: same seed, same logits, same answer.
    pub seed: u64,
    /// Whether the reply goes on after the model's stop ids and stop texts, up to its budget or to a stop text of the
    /// request. A grammar ends the reply nonetheless.
    pub ignore_eos: bool,
    /// Before so many tokens stop ids are not chosen and stop texts not obeyed. A grammar may end the reply earlier.
    pub min_tokens: usize,
    /// Tell the log-probability of each token, and of so many likeliest ones (0: of none).
    pub logprobs: Option<usize>,
    /// What the reply must follow.
    pub grammar: Option<Grammar>,
}

impl Default for Sampling {
    fn default() -> Self {
        Sampling {
            temperature: 0.0,
            top_k: None,
            top_p: None,
            min_p: None,
            repetition_penalty: 1.0,
            penalize_prompt: true,
            presence_penalty: 0.0,
            frequency_penalty: 0.0,
            logit_bias: Vec::new(),
            seed: 0,
            ignore_eos: false,
            min_tokens: 0,
            logprobs: None,
            grammar: None,
        }
    }
}

impl Sampling {
    /// Whether the draw is without chance.
    pub fn is_greedy(&self) -> bool {
        self.temperature == 0.0
    }

    /// Refuses values outside their range, naming them.
    ///
    /// # Errors
    /// [`EngineError::Caller`], or [`EngineError::Limit`] for too many of something.
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
        if let Some(p) = self.min_p
            && !(0.0..=1.0).contains(&p)
        {
            return Err(EngineError::caller(format!("min-p {p} is not between 0 and 1")));
        }
        let penalty = self.repetition_penalty;
        if !(penalty > 0.0 && penalty.is_finite()) {
            return Err(EngineError::caller(format!("repetition penalty {penalty} is not a positive number")));
        }
        let penalties = [("presence penalty", self.presence_penalty), ("frequency penalty", self.frequency_penalty)];
        for (name, value) in penalties {
            if !PENALTIES.contains(&value) {
                return Err(EngineError::caller(format!("{name} {value} is not between -2 and 2")));
            }
        }
        check_limit("ids with a logit bias", self.logit_bias.len(), MAX_BIASES)?;
        if let Some((id, bias)) = self.logit_bias.iter().find(|(_, bias)| !BIASES.contains(bias)) {
            return Err(EngineError::caller(format!("logit bias {bias} of token {id} is not between -100 and 100")));
        }
        check_limit("log-probabilities beside each token", self.logprobs.unwrap_or(0), MAX_TOP_LOGPROBS)
    }

    /// Refuses a bias of an id that a model with a vocabulary of `rows` does not have.
    pub(in crate::generate) fn check_vocabulary(&self, rows: usize) -> Result<(), EngineError> {
        match self.logit_bias.iter().find(|(id, _)| *id as usize >= rows) {
            Some((id, _)) => {
                Err(EngineError::caller(format!("logit bias of token {id}: the model's vocabulary has {rows}")))
            }
            None => Ok(()),
        }
    }
}
