//! Constraints to grammars.

use std::fmt;
use std::sync::{Arc, OnceLock};

use llguidance::{Matcher, ParserFactory};
use zoetrope_models::contract::Processor;
use zoetrope_text::Tokenizer;

use super::constraint::Constraint;
use super::state::GrammarState;
use super::vocabulary::parser_factory;
use crate::error::EngineError;

/// Stack of the thread that compiles: the library follows a schema's nesting and its references.
const STACK_BYTES: usize = 64 << 20;

/// Compiles constraints for one model. Its vocabulary is prepared at the first of them. Meant to be shared by threads.
pub struct GrammarCompiler {
    tokenizer: Tokenizer,
    stop_ids: Vec<u32>,
    factory: OnceLock<ParserFactory>,
}

/// A compiled constraint. Copies are cheap; any number of replies may follow one.
#[derive(Clone)]
pub struct Grammar {
    start: Arc<GrammarState>,
    name: &'static str,
}

impl GrammarCompiler {
    /// For a model with this processor.
    pub fn new(processor: &dyn Processor) -> Self {
        Self::of_tokenizer(processor.tokenizer(), &processor.info().stop.ids)
    }

    /// For a vocabulary, and the ids that end a reply.
    pub fn of_tokenizer(tokenizer: &Tokenizer, stop_ids: &[u32]) -> Self {
        let (tokenizer, stop_ids) = (tokenizer.clone(), stop_ids.to_vec());
        GrammarCompiler { tokenizer, stop_ids, factory: OnceLock::new() }
    }

    /// The grammar of a constraint. Takes milliseconds, and up to about a second for the largest that are accepted; the
    /// first call takes as long as the vocabulary needs (0.1 s for 150,000 tokens). Not for a thread that must go on.
    ///
    /// # Errors
    /// [`EngineError::Caller`] for a constraint that cannot be read, is not supported, or that no text fits;
    /// [`EngineError::Limit`] for one that is too large.
    pub fn compile(&self, constraint: &Constraint) -> Result<Grammar, EngineError> {
        let name = constraint.name();
        std::thread::scope(|scope| {
            let thread = std::thread::Builder::new().name("grammar".to_string()).stack_size(STACK_BYTES);
            let bug = |what: String| EngineError::Bug(format!("the thread that compiles grammars: {what}"));
            let work = thread.spawn_scoped(scope, || self.compile_here(constraint)).map_err(|e| bug(e.to_string()))?;
            let start = work.join().map_err(|_| bug("it panicked".to_string()))??;
            Ok(Grammar { start: Arc::new(start), name })
        })
    }

    fn compile_here(&self, constraint: &Constraint) -> Result<GrammarState, EngineError> {
        constraint.check()?;
        let in_constraint = |what: &str| EngineError::caller(format!("{}: {}", constraint.name(), sentence(what)));
        let grammar = constraint.to_library().map_err(|what| in_constraint(&what))?;
        let parser = self.factory()?.create_parser(grammar).map_err(|error| in_constraint(&format!("{error:#}")))?;
        let mut start = GrammarState::new(Matcher::new(Ok(parser)));
        // What cannot begin, or not with this vocabulary, is told now.
        start.allowed().map_err(|error| in_constraint(&error.to_string()))?;
        Ok(start)
    }

    fn factory(&self) -> Result<&ParserFactory, EngineError> {
        if self.factory.get().is_none() {
            let built = parser_factory(&self.tokenizer, &self.stop_ids)?;
            // Another thread may have been first.
            let _ = self.factory.set(built);
        }
        self.factory.get().ok_or_else(|| EngineError::Bug("no vocabulary for grammars".to_string()))
    }
}

impl fmt::Debug for GrammarCompiler {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("GrammarCompiler").field("prepared", &self.factory.get().is_some()).finish_non_exhaustive()
    }
}

impl Grammar {
    /// The state of a reply that has not begun.
    pub(in crate::generate) fn begin(&self) -> GrammarState {
        GrammarState::clone(&self.start)
    }
}

impl fmt::Debug for Grammar {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Grammar").field(&self.name).finish()
    }
}

/// Whether both are copies of one compiled grammar.
impl PartialEq for Grammar {
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.start, &other.start)
    }
}

/// The library's text without what is for its own authors.
fn sentence(text: &str) -> &str {
    if text.starts_with("panic") {
        return "it cannot be compiled";
    }
    let end = ["\n<backtrace>", "\n<state>", "\n<non-verbose/>"].iter().filter_map(|mark| text.find(mark)).min();
    text[..end.unwrap_or(text.len())].trim()
}
