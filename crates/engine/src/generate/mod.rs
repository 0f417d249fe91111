//! Replies: an engine of steps, its scheduler and blocks, and what chooses and ends tokens.

mod admission;
mod block_pool;
mod disk_blocks;
mod encode_queue;
mod engine;
mod grammar;
mod job;
mod prefix_cache;
mod reply;
mod sampler;
mod scheduler;
mod sequence;
mod visual_tokens;

pub use block_pool::BlockPool;
pub use engine::{CHUNK_ROWS, Engine, EngineOptions};
pub use grammar::{Constraint, Grammar, GrammarCompiler};
pub use job::{GenerateRequest, Generated, JobEvent, JobId, JobOutput, RetainedKv};
pub(crate) use prefix_cache::{PrefixKeys, lasting_blocks};
pub use reply::{Reply, StopStrings};
pub use sampler::{MAX_TOP_LOGPROBS, Sampler, Sampling, TokenLogprob, TokenLogprobs, token_logprobs};
pub(crate) use scheduler::MIN_TAIL;
pub(crate) use visual_tokens::PROJECTED_FRAMES;
pub use visual_tokens::{ProjectedRows, VisualTokens};
