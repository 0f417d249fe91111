//! Replies that follow a grammar: a JSON schema, a regular expression, a choice, or a context-free grammar.
//!
//! A [`Constraint`] is what a caller writes. [`GrammarCompiler`] makes a [`Grammar`] of it for one model's vocabulary;
//! this is the place where a caller's mistakes show. A sequence follows its grammar with a [`GrammarState`]: before a
//! token is chosen, the state says which tokens may come next, and the logits of all others are masked. The work is
//! done by `llguidance`: an Earley parser over a lexer of derivatives, walked along a trie of the vocabulary's bytes.

mod compiler;
mod constraint;
mod expansion;
mod schema;
mod state;
mod vocabulary;

pub use compiler::{Grammar, GrammarCompiler};
pub use constraint::Constraint;
pub(super) use state::GrammarState;

#[cfg(test)]
mod tests;
