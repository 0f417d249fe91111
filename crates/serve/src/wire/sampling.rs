//! How replies are made: the fields that chat, responses and completions share.

use std::collections::BTreeMap;

use serde::{Deserialize, Deserializer};
use utoipa::ToSchema;
use zoetrope_engine::Sampling;

use crate::error::ApiError;

/// Most replies of one request.
const MOST_REPLIES: i64 = 16;
/// Most texts that end a reply, and their longest.
const MOST_STOPS: usize = 16;
const LONGEST_STOP: usize = 256;
/// Most entries of `logit_bias`.
const MOST_BIASES: usize = 1024;
/// Most alternatives of a token.
pub(crate) const MOST_LOGPROBS: i64 = 20;

/// Fields of sampling. Absent ones are what the checkpoint says, else greedy.
#[derive(Clone, Debug, Default, Deserialize, ToSchema)]
pub(crate) struct SamplingFields {
    /// 0 is greedy; at most 2.
    pub(crate) temperature: Option<f64>,
    /// Above 0, at most 1.
    pub(crate) top_p: Option<f64>,
    /// Number of candidates; 0 and -1 are all.
    pub(crate) top_k: Option<i64>,
    /// Share of the likeliest token's probability that a candidate must have.
    pub(crate) min_p: Option<f64>,
    /// A seed gives the same reply each time.
    pub(crate) seed: Option<i64>,
    /// Number of replies.
    pub(crate) n: Option<i64>,
    /// Texts that end a reply.
    #[schema(value_type = Option<Vec<String>>)]
    pub(crate) stop: Option<Stops>,
    /// From -2 to 2.
    pub(crate) presence_penalty: Option<f64>,
    /// From -2 to 2.
    pub(crate) frequency_penalty: Option<f64>,
    /// 1 means none.
    #[serde(alias = "repeat_penalty")]
    pub(crate) repetition_penalty: Option<f64>,
    /// Added to the logits of tokens, by id.
    pub(crate) logit_bias: Option<BTreeMap<String, f64>>,
    /// The model's end mark does not end the reply.
    pub(crate) ignore_eos: Option<bool>,
    /// Fewest tokens of a reply.
    pub(crate) min_tokens: Option<i64>,
}

/// One text or several.
#[derive(Clone, Debug)]
pub(crate) struct Stops(pub(crate) Vec<String>);

impl<'de> Deserialize<'de> for Stops {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        #[serde(untagged, expecting = "a text or a list of texts")]
        enum OneOrMany {
            One(String),
            Many(Vec<String>),
        }
        Ok(match OneOrMany::deserialize(from)? {
            OneOrMany::One(text) => Stops(vec![text]),
            OneOrMany::Many(texts) => Stops(texts),
        })
    }
}

/// `value`, when it is within the range.
fn within(name: &str, value: Option<f64>, range: std::ops::RangeInclusive<f64>) -> Result<Option<f64>, ApiError> {
    match value {
        Some(value) if !range.contains(&value) => {
            let (low, high) = range.into_inner();
            Err(ApiError::invalid(name, format!("{name} {value} is not from {low} to {high}")))
        }
        value => Ok(value),
    }
}

impl SamplingFields {
    /// The sampling of the engine.
    ///
    /// # Errors
    /// For a number out of its range, by name.
    pub(crate) fn sampling(&self, vocabulary: usize) -> Result<Sampling, ApiError> {
        let temperature = within("temperature", self.temperature, 0.0..=2.0)?;
        let top_p = within("top_p", self.top_p, 0.0..=1.0)?;
        if top_p == Some(0.0) {
            return Err(ApiError::invalid("top_p", "top_p 0 leaves no candidate"));
        }
        let min_p = within("min_p", self.min_p, 0.0..=1.0)?;
        let presence_penalty = within("presence_penalty", self.presence_penalty, -2.0..=2.0)?.unwrap_or(0.0);
        let frequency_penalty = within("frequency_penalty", self.frequency_penalty, -2.0..=2.0)?.unwrap_or(0.0);
        let repetition_penalty = within("repetition_penalty", self.repetition_penalty, 0.01..=10.0)?.unwrap_or(1.0);
        let top_k = match self.top_k {
            None | Some(-1 | 0) => None,
            Some(k) if k > 0 => Some(usize::try_from(k).unwrap_or(usize::MAX)),
            Some(k) => return Err(ApiError::invalid("top_k", format!("top_k {k} is not a number of candidates"))),
        };
        let min_tokens = match self.min_tokens.unwrap_or(0) {
            n if n >= 0 => usize::try_from(n).unwrap_or(usize::MAX),
            n => return Err(ApiError::invalid("min_tokens", format!("min_tokens {n} is below 0"))),
        };
        let sampled = top_p.is_some_and(|p| p < 1.0) || top_k.is_some_and(|k| k > 1);
        Ok(Sampling {
            temperature: temperature.unwrap_or(if sampled { 1.0 } else { 0.0 }),
            top_k,
            top_p,
            min_p,
            repetition_penalty,
            presence_penalty,
            frequency_penalty,
            logit_bias: self.logit_bias(vocabulary)?,
            ignore_eos: self.ignore_eos == Some(true),
            min_tokens,
            seed: self.seed.unwrap_or(0) as u64,
            ..Sampling::default()
        })
    }

    /// `logit_bias` by id.
    fn logit_bias(&self, vocabulary: usize) -> Result<Vec<(u32, f64)>, ApiError> {
        let wrong = |text: String| ApiError::invalid("logit_bias", text);
        let Some(biases) = &self.logit_bias else { return Ok(Vec::new()) };
        if biases.len() > MOST_BIASES {
            return Err(wrong(format!("{} entries are more than {MOST_BIASES}", biases.len())));
        }
        let entry = |(id, bias): (&String, &f64)| {
            let id: u32 = id.parse().map_err(|_| wrong("a key is not the id of a token".to_string()))?;
            if id as usize >= vocabulary {
                return Err(wrong(format!("token {id} is beyond the vocabulary of {vocabulary}")));
            }
            if !(-100.0..=100.0).contains(bias) {
                return Err(wrong(format!("the bias {bias} of token {id} is not from -100 to 100")));
            }
            Ok((id, *bias))
        };
        biases.iter().map(entry).collect()
    }

    /// Number of replies.
    pub(crate) fn replies(&self) -> Result<usize, ApiError> {
        match self.n.unwrap_or(1) {
            n @ 1..=MOST_REPLIES => Ok(n as usize),
            n => Err(ApiError::invalid("n", format!("n {n} is not from 1 to {MOST_REPLIES}"))),
        }
    }

    /// Texts that end a reply.
    pub(crate) fn stops(&self) -> Result<Vec<String>, ApiError> {
        let texts = self.stop.as_ref().map(|stops| stops.0.clone()).unwrap_or_default();
        let wrong = |text: String| Err(ApiError::invalid("stop", text));
        if texts.len() > MOST_STOPS {
            return wrong(format!("{} texts are more than {MOST_STOPS}", texts.len()));
        }
        match texts.iter().map(String::len).find(|length| *length == 0 || *length > LONGEST_STOP) {
            Some(0) => wrong("an empty text would end every reply".to_string()),
            Some(length) => wrong(format!("a text of {length} bytes is longer than {LONGEST_STOP}")),
            None => Ok(texts),
        }
    }
}

/// Tokens of a reply of which nothing is said. Memory is kept for a whole reply, and a small model that repeats itself
/// writes all of it.
const UNSAID_TOKENS: usize = 2048;

/// Most tokens of a reply: `-1` is as many as fit; more than fit are clamped by the engine.
pub(crate) fn most_tokens(name: &str, value: Option<i64>, limit: usize) -> Result<usize, ApiError> {
    match value {
        None => Ok(limit.min(UNSAID_TOKENS)),
        Some(-1) => Ok(limit),
        Some(n) if n > 0 => Ok(usize::try_from(n).unwrap_or(limit).min(limit)),
        Some(n) => Err(ApiError::invalid(name, format!("{name} {n} is not a positive number"))),
    }
}
