//! Replies: an engine of steps, its scheduler and blocks, and what chooses and ends tokens.

mod admission;
mod block_pool;
mod disk_blocks;
mod encode_queue;
mod engine;
mod job;
mod prefix_cache;
mod reply;
mod sampler;
mod scheduler;
mod sequence;
mod stop;

pub use block_pool::BlockPool;
pub use engine::{CHUNK_ROWS, Engine, EngineOptions};
pub use job::{GenerateRequest, Generated, JobEvent, JobId, JobOutput, RetainedKv, VisualTokens};
pub(crate) use prefix_cache::{lasting_blocks, prompt_keys};
pub use reply::Reply;
pub use sampler::{Sampler, Sampling};
pub(crate) use scheduler::MIN_TAIL;
pub use stop::StopStrings;
