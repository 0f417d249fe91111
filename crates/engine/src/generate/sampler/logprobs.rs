//! Log-probabilities of a token and of the likeliest ones.

use zoetrope_text::Tokenizer;

use crate::error::EngineError;

/// A token and how likely it was.
#[derive(Clone, Debug, PartialEq)]
pub struct TokenLogprob {
    /// Its id.
    pub id: u32,
    /// Natural logarithm of its probability; minus infinity for a probability of 0.
    pub logprob: f64,
    /// What it writes, which need not be whole characters. A special token gives its name, an id that the tokenizer
    /// does not know nothing.
    pub bytes: Vec<u8>,
}

impl TokenLogprob {
    /// What it writes, with U+FFFD in the place of broken characters.
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.bytes).into_owned()
    }
}

/// A chosen token, and the likeliest tokens in its place.
#[derive(Clone, Debug, PartialEq)]
pub struct TokenLogprobs {
    /// The chosen token.
    pub chosen: TokenLogprob,
    /// The likeliest tokens, likeliest first, the smaller id first among equals. The chosen one need not be among them.
    pub top: Vec<TokenLogprob>,
}

/// Log-probabilities of `chosen` and of the `k` likeliest ids for `logits` `[W]` as the model gave them: a softmax in
/// f64 at temperature 1, before bias, penalties, truncation and the mask of a grammar. So they say what the model
/// thought, not what was drawn from; a grammar may make a token certain whose probability here is small.
///
/// # Errors
/// [`EngineError::Bug`] for an id without a logit; [`EngineError::Text`] when the tokenizer's decoder fails.
pub fn token_logprobs(
    tokenizer: &Tokenizer,
    logits: &[f32],
    chosen: u32,
    k: usize,
) -> Result<TokenLogprobs, EngineError> {
    let own = logits.get(chosen as usize).copied();
    let own = own.ok_or_else(|| EngineError::Bug(format!("token {chosen} of {} logits", logits.len())))?;
    let likeliest = likeliest(logits, k.max(1));
    let top = likeliest.first().map_or(0.0, |(_, logit)| f64::from(*logit));
    let mass: f64 = logits.iter().map(|&logit| (f64::from(logit) - top).exp()).sum();
    let log_mass = mass.ln();
    let tell = |id: u32, logit: f32| {
        let bytes = tokenizer.token_bytes(id)?.unwrap_or_default();
        Ok(TokenLogprob { id, logprob: f64::from(logit) - top - log_mass, bytes })
    };
    let top = likeliest.into_iter().take(k).map(|(id, logit)| tell(id, logit)).collect::<Result<_, EngineError>>()?;
    Ok(TokenLogprobs { chosen: tell(chosen, own)?, top })
}

/// The `k` largest logits with their ids, the largest first, the smaller id first among equals.
fn likeliest(logits: &[f32], k: usize) -> Vec<(u32, f32)> {
    let mut best: Vec<(u32, f32)> = Vec::with_capacity(k + 1);
    for (&logit, id) in logits.iter().zip(0u32..) {
        if best.len() == k && best.last().is_some_and(|last| logit <= last.1) {
            continue;
        }
        let at = best.partition_point(|other| other.1 >= logit);
        best.insert(at, (id, logit));
        best.truncate(k);
    }
    best
}
