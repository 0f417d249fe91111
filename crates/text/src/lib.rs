//! Text: tokenizers, chat templates and the streaming detokenizer.
//!
//! * [`Tokenizer`] reads `tokenizer.json`, SentencePiece and byte-level BPE files and turns text into ids. Text that
//!   came from a person can be marked: special tokens inside it are then ordinary characters, never commands
//!   ([`Tokenizer::encode_marked`]).
//! * [`BertTokenizer`] reads the `vocab.txt` of BERT, which Q-Formers hear instructions through.
//! * [`ChatTemplate`] compiles the Jinja template of a checkpoint, with fuel, and says which bytes of the rendered
//!   prompt came from the caller ([`Rendered::untrusted`]).
//! * [`Detokenizer`] turns a stream of ids into text that is never taken back and never breaks a character.
//!
//! May import: nothing of ours. Deliberately absent: tokenizers of our own (the `tokenizers` crate does the work),
//! training of vocabularies, network access, prompts of any particular model family.
#![forbid(unsafe_code)]

mod added;
mod bert;
mod detokenizer;
mod error;
mod files;
mod template;
mod token_bytes;
mod tokenizer;
mod vocabulary;

pub use bert::{BertTokenizer, TruncationSide};
pub use detokenizer::Detokenizer;
pub use error::TextError;
pub use files::TextFiles;
pub use template::{ChatTemplate, Rendered, TemplateLimits};
pub use tokenizer::{MAX_TEXT_BYTES, Tokenizer};
