//! Engine: requests to tokens. A [`Session`] is a conversation: it opens media, has them encoded, renders the prompt
//! and asks for a reply. Encoding and generating are jobs of an [`Engine`], which does one step at a time for many jobs
//! and returns events.
//!
//! Nouns: [`Session`] (a conversation), [`Engine`] (jobs and steps), [`Reply`] (ids and text while they grow),
//! [`Sampler`] (logits to an id), [`Grammar`] (what a reply must look like), [`StopStrings`] (text to an end),
//! [`Limits`] (what a request may cost), [`Store`] (what was computed of films, on disk).
//!
//! May import: media, models, text, system. Deliberately absent: any model family by name, files other than media and
//! those of the store, network, terminal, a batch axis, wire formats (the application has them).
#![forbid(unsafe_code)]

mod answer;
mod conversation;
mod error;
mod estimate;
mod events;
mod generate;
mod limits;
mod media_input;
mod request;
mod service;
mod session;
mod store;

pub use answer::{Answer, FinishReason, FrameUsage, MediaUsage, Timings, TokenCounts};
pub use conversation::ContentPart;
pub use error::EngineError;
pub use estimate::{DiskEstimate, EstimateOptions, MemoryEstimate, RequestPlan, plan_request};
pub use events::{CancelFlag, Event, EventHandler, ignore};
pub use generate::{
    BlockPool, CHUNK_ROWS, Constraint, Engine, EngineOptions, GenerateRequest, Generated, Grammar, GrammarCompiler,
    JobEvent, JobId, JobOutput, MAX_TOP_LOGPROBS, ProjectedRows, Reply, RetainedKv, Sampler, Sampling, StopStrings,
    TokenLogprob, TokenLogprobs, VisualTokens, token_logprobs,
};
pub use limits::{Limits, check_limit};
#[cfg(unix)]
pub use media_input::sandboxed_source;
pub use media_input::{
    CHUNK_PATCHES, ContentDigest, EncodeJob, EncodeProgress, EncodeTimings, EncodedMedia, FeatureIndex, FoundSubtitles,
    FrameFaults, FrameIter, FrameList, InMemory, IndexJob, IndexProgress, MediaFeatures, MediaInput, MediaSource,
    OpenedMedia, PatchStream, PlannedFrames, PreparedFrames, SourceFrame, frames_per_run, open_bytes, open_file,
    open_part, plan_sources,
};
pub use request::Options;
pub use service::{
    MediaClock, PreparedTurn, Service, ServiceOptions, ServiceState, Stage, TurnClient, TurnEvent, TurnReport,
    TurnRequest,
};
pub use session::Session;
pub use store::{EntryKind, ModelStore, ProcessFolder, Store, StoreOptions, StoredFile, content_digest};

#[cfg(test)]
use tests::fake;
#[cfg(test)]
mod tests;
