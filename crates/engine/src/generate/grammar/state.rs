//! How far a reply has followed its grammar.

use std::time::{Duration, Instant};

use llguidance::Matcher;
use llguidance::toktrie::SimpleVob;

use super::closing::Closing;
use crate::error::EngineError;

/// Time that a reply may spend on its grammar: at first, and for each token. A usual schema takes a tenth of a
/// millisecond; the library's own limits do not hold for ambiguous grammars.
const PATIENCE: Duration = Duration::from_secs(1);
const PATIENCE_PER_TOKEN: Duration = Duration::from_millis(10);

/// A position in a grammar.
pub(in crate::generate) struct GrammarState {
    matcher: Matcher,
    /// Which ids may come next, once that was asked.
    allowed: Option<SimpleVob>,
    /// Time that was spent on it, and tokens.
    spent: Duration,
    tokens: u32,
    /// How the text comes to its end within its budget, where it is JSON.
    closing: Option<Closing>,
}

impl GrammarState {
    /// The beginning of a text, which is closed at the end of a budget where it `is_json`.
    pub(super) fn new(matcher: Matcher, is_json: bool) -> Self {
        let closing = is_json.then(Closing::default);
        GrammarState { matcher, allowed: None, spent: Duration::ZERO, tokens: 0, closing }
    }

    /// The ids that may come next: a bit for each. Stop ids are among them where the reply may end.
    ///
    /// # Errors
    /// [`EngineError::Caller`] when the grammar is too costly here, or no token of the vocabulary goes on with it.
    pub(in crate::generate) fn allowed(&mut self) -> Result<&[u32], EngineError> {
        if self.allowed.is_none() {
            if self.spent > PATIENCE + self.tokens * PATIENCE_PER_TOKEN {
                let text = format!("the grammar is too costly: {:.1?} for {} tokens", self.spent, self.tokens);
                return Err(EngineError::caller(text));
            }
            let begun = Instant::now();
            let mask = self.matcher.compute_mask_or_eos().map_err(|error| failure(&error.to_string()))?;
            self.allowed = Some(mask);
            self.spent += begun.elapsed();
        }
        Ok(self.allowed.as_ref().map_or(&[], SimpleVob::as_slice))
    }

    /// The smallest id that may come next, once that was asked.
    pub(in crate::generate) fn first_allowed(&self) -> Option<u32> {
        self.allowed.as_ref()?.first_bit_set().map(|id| id as u32)
    }

    /// The token to take where `id` was chosen among those allowed and `left` tokens may be taken, that one included:
    /// another one where JSON must be closed to be whole at the end of the budget.
    pub(in crate::generate) fn settle(&mut self, id: u32, left: usize) -> u32 {
        let begun = Instant::now();
        let settled = self.closing.as_mut().map_or(id, |closing| closing.settle(&self.matcher, id, left));
        self.spent += begun.elapsed();
        settled
    }

    /// Goes on with a token that was allowed.
    ///
    /// # Errors
    /// As for [`GrammarState::allowed`].
    pub(in crate::generate) fn take(&mut self, id: u32) -> Result<(), EngineError> {
        self.allowed = None;
        let begun = Instant::now();
        let taken = self.matcher.consume_token(id);
        self.spent += begun.elapsed();
        self.tokens += 1;
        taken.map_err(|error| failure(&error.to_string()))
    }

    /// Whether the reply is whole and nothing can follow.
    pub(in crate::generate) fn is_complete(&self) -> bool {
        self.matcher.is_stopped()
    }
}

/// A copy has a memory of its own, so that no reply depends on what others have done.
impl Clone for GrammarState {
    fn clone(&self) -> Self {
        let (allowed, closing) = (self.allowed.clone(), self.closing.clone());
        GrammarState { matcher: self.matcher.deep_clone(), allowed, spent: self.spent, tokens: self.tokens, closing }
    }
}

impl std::fmt::Debug for GrammarState {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("GrammarState").field("complete", &self.is_complete()).finish_non_exhaustive()
    }
}

fn failure(text: &str) -> EngineError {
    let line = text.lines().next().filter(|line| !line.starts_with("panic")).unwrap_or("it cannot be followed");
    EngineError::caller(match line {
        "NoExtensionBias" => "no token of the model's vocabulary goes on with it",
        line => line,
    })
}

#[cfg(test)]
mod tests {
    use crate::generate::grammar::{Constraint, GrammarCompiler};
    use zoetrope_text::Tokenizer;

    use super::*;

    #[test]
    fn a_reply_that_spends_too_long_on_its_grammar_fails() {
        let json =
            br#"{"version": "1.0", "added_tokens": [], "model": {"type": "BPE", "vocab": {"a": 0}, "merges": []},
            "decoder": {"type": "ByteLevel", "add_prefix_space": false, "trim_offsets": false, "use_regex": false}}"#;
        let compiler = GrammarCompiler::of_tokenizer(&Tokenizer::from_bytes(json).expect("a tokenizer"), &[]);
        let mut state = compiler.compile(&Constraint::Regex("a*".into())).expect("a grammar").begin();
        for _ in 0..10 {
            state.allowed().expect("a mask");
            state.take(0).expect("allowed");
        }
        state.spent = PATIENCE + 11 * PATIENCE_PER_TOKEN;
        let text = state.allowed().map(<[u32]>::len).map_err(|error| error.to_string()).expect_err("too costly");
        assert_eq!(text, "the grammar is too costly: 1.1s for 10 tokens");
    }
}
