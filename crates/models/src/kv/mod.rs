//! What attention remembers: the KV cache in blocks, and the memory of one forward pass.

mod cache;
mod context;
mod dtype;
mod run;
#[cfg(test)]
mod tests;

pub use cache::{KvCache, KvShape};
pub use context::{KvContext, QueryRows};
pub use dtype::KvDtype;
pub use run::{BLOCK, SequenceRun};
