//! Engine: requests to tokens. A [`Session`] is a conversation: it opens and encodes media once, renders the prompt,
//! reads it in chunks into a cache of keys and values, and writes the answer one token a step, telling every
//! [`Event`] on the way.
//!
//! Nouns: [`Session`] (a conversation), [`Sequence`] (an answer while it grows), [`Sampler`] (logits to an id),
//! [`StopStrings`] (text to an end), [`Limits`] (what a request may cost).
//!
//! May import: media, models, text. Deliberately absent: any model family by name, files other than media, network,
//! terminal, a batch axis, wire formats (the application has them).
#![forbid(unsafe_code)]

mod answer;
mod clip;
mod cost;
mod error;
mod events;
mod limits;
mod media;
mod prefix;
mod run;
mod sampler;
mod sequence;
mod session;
mod stop;
mod vision;

pub use answer::{Answer, FinishReason, FrameUsed, ItemUsed, Timings, TokenCounts};
pub use clip::open_file;
pub use cost::{Cost, DryRun};
pub use error::EngineError;
pub use events::{CancelFlag, Event, Watch, ignore};
pub use limits::{Limits, within};
pub use media::{FrameIter, InMemory, Input, MediaSource};
pub use run::CHUNK_ROWS;
pub use sampler::{Sampler, Sampling};
pub use sequence::Sequence;
pub use session::{Options, Piece, Session};
pub use stop::StopStrings;
pub use vision::{CHUNK_PATCHES, frames_per_chunk};

#[cfg(test)]
mod fake;
#[cfg(test)]
mod tests;
