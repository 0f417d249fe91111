//! How far a reply has followed its grammar.

use llguidance::Matcher;
use llguidance::toktrie::SimpleVob;

use crate::error::EngineError;

/// A position in a grammar.
pub(in crate::generate) struct GrammarState {
    matcher: Matcher,
    /// Which ids may come next, once that was asked.
    allowed: Option<SimpleVob>,
}

impl GrammarState {
    pub(super) fn new(matcher: Matcher) -> Self {
        GrammarState { matcher, allowed: None }
    }

    /// The ids that may come next: a bit for each. Stop ids are among them where the reply may end.
    ///
    /// # Errors
    /// [`EngineError::Caller`] when the grammar is too costly here, or no token of the vocabulary goes on with it.
    pub(in crate::generate) fn allowed(&mut self) -> Result<&[u32], EngineError> {
        if self.allowed.is_none() {
            let mask = self.matcher.compute_mask_or_eos().map_err(|error| failure(&error.to_string()))?;
            self.allowed = Some(mask);
        }
        Ok(self.allowed.as_ref().map_or(&[], SimpleVob::as_slice))
    }

    /// The smallest id that may come next, once that was asked.
    pub(in crate::generate) fn first_allowed(&self) -> Option<u32> {
        self.allowed.as_ref()?.first_bit_set().map(|id| id as u32)
    }

    /// Goes on with a token that was allowed.
    ///
    /// # Errors
    /// As for [`GrammarState::allowed`].
    pub(in crate::generate) fn take(&mut self, id: u32) -> Result<(), EngineError> {
        self.allowed = None;
        self.matcher.consume_token(id).map_err(|error| failure(&error.to_string()))
    }

    /// Whether the reply is whole and nothing can follow.
    pub(in crate::generate) fn is_complete(&self) -> bool {
        self.matcher.is_stopped()
    }
}

/// A copy has a memory of its own, so that no reply depends on what others have done.
impl Clone for GrammarState {
    fn clone(&self) -> Self {
        GrammarState { matcher: self.matcher.deep_clone(), allowed: self.allowed.clone() }
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
