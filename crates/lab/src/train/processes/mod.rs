//! Training in several processes: what they do together ([`Collectives`]), how a process learns that it is one of
//! several ([`launch`]), who updates what, and the sums over all of them.
//!
//! Every process holds the whole model and computes the packs of its share of each step (data parallelism). Losses,
//! counts and gradients are summed before anything is divided, and a pack is the same whatever the number of
//! processes, so that a run does not depend on that number but for the order of sums. Each process keeps the moments of
//! its share of the parameters alone and updates these (ZeRO-1). The first process alone writes.

mod agreement;
mod collectives;
#[cfg(test)]
mod in_memory;
mod launch;
#[cfg(feature = "mpi")]
mod message_passing;
mod own_packs;
mod process_group;
mod sharded;
mod shares;
mod tally;
#[cfg(test)]
mod tests;
mod threads;

pub(super) use self::agreement::check_same;
pub use self::collectives::{Alone, Collectives};
#[cfg(test)]
pub(super) use self::in_memory::InMemory;
pub use self::launch::{Launch, launch};
pub(super) use self::own_packs::check_packs;
pub(super) use self::process_group::ProcessGroup;
pub use self::threads::limit_library_threads;
