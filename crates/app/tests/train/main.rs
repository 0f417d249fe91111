//! `zoetrope train`, end to end.

mod ahead;
mod preferences;
#[cfg(not(feature = "mpi"))]
mod processes;
mod program;
mod runs;
