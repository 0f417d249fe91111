//! A reply while it grows: ids, text, and whether it has ended.

mod stop;

use zoetrope_text::{Detokenizer, Tokenizer};

pub use self::stop::StopStrings;
use crate::answer::FinishReason;
use crate::error::EngineError;

/// The generated part of a sequence. Ends on a stop id, a stop string or a full budget.
#[derive(Debug)]
pub struct Reply {
    ids: Vec<u32>,
    text: String,
    stop_ids: Vec<u32>,
    budget: usize,
    min_tokens: usize,
    stops: StopStrings,
    detokenizer: Option<Detokenizer>,
    finish: Option<FinishReason>,
}

impl Reply {
    /// An empty answer that may take `budget` tokens. Ends early on one of `stop_ids` or of `stops`.
    pub fn new(tokenizer: &Tokenizer, stop_ids: &[u32], stops: &[String], budget: usize) -> Result<Self, EngineError> {
        Ok(Reply {
            ids: Vec::new(),
            text: String::new(),
            stop_ids: stop_ids.to_vec(),
            budget,
            min_tokens: 0,
            stops: StopStrings::new(stops)?,
            detokenizer: Some(Detokenizer::new(tokenizer, true)),
            finish: (budget == 0).then_some(FinishReason::Length),
        })
    }

    /// Stop texts are not obeyed before so many tokens.
    #[must_use]
    pub fn with_min_tokens(mut self, tokens: usize) -> Self {
        self.min_tokens = tokens;
        self
    }

    /// Takes the next token; gives the text that may be shown now (often empty).
    ///
    /// # Errors
    /// [`EngineError::Bug`] after the end of the answer; [`EngineError::Text`] when the tokenizer's decoder fails.
    pub fn accept(&mut self, id: u32) -> Result<String, EngineError> {
        self.accept_before(id, false)
    }

    /// Takes a token after which nothing can follow: the answer ends with [`FinishReason::Stop`], a full budget or not.
    ///
    /// # Errors
    /// As [`Reply::accept`].
    pub fn accept_last(&mut self, id: u32) -> Result<String, EngineError> {
        self.accept_before(id, true)
    }

    fn accept_before(&mut self, id: u32, the_end: bool) -> Result<String, EngineError> {
        if self.finish.is_some() {
            return Err(EngineError::Bug("a token came after the end of the answer".into()));
        }
        self.ids.push(id);
        if self.stop_ids.contains(&id) {
            return Ok(self.end(FinishReason::Stop));
        }
        let piece = match &mut self.detokenizer {
            Some(detokenizer) => detokenizer.push(id)?.unwrap_or_default(),
            None => String::new(),
        };
        let mut shown = self.show(&piece);
        if the_end {
            shown.push_str(&self.end(FinishReason::Stop));
        } else if self.ids.len() >= self.budget {
            shown.push_str(&self.end(FinishReason::Length));
        }
        Ok(shown)
    }

    /// Ends the answer for a reason from outside; gives the text that was held back. Does nothing when it has ended.
    pub fn end(&mut self, reason: FinishReason) -> String {
        if self.finish.is_some() {
            return String::new();
        }
        let rest = self.detokenizer.take().map(Detokenizer::finish).unwrap_or_default();
        let mut shown = self.show(&rest);
        if self.finish.is_none() {
            self.finish = Some(reason);
            let held = self.stops.finish();
            self.text.push_str(&held);
            shown.push_str(&held);
        }
        shown
    }

    /// Why the answer has ended, `None` while it has not.
    pub fn finish_reason(&self) -> Option<FinishReason> {
        self.finish
    }

    /// All tokens so far, a stop id included.
    pub fn ids(&self) -> &[u32] {
        &self.ids
    }

    /// All text shown so far.
    pub fn text(&self) -> &str {
        &self.text
    }

    fn show(&mut self, piece: &str) -> String {
        let (shown, stopped) = match self.ids.len() < self.min_tokens {
            true => (self.stops.finish() + piece, false),
            false => self.stops.push(piece),
        };
        if stopped {
            self.finish = Some(FinishReason::Stop);
        }
        self.text.push_str(&shown);
        shown
    }
}
