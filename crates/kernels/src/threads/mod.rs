//! Parallel loops: a fork-join pool of threads that spin between loops ([`thread_pool`]), its placement on cores
//! ([`affinity`]), and loops over the rows of a result ([`par_rows()`], [`par_new_rows`]).

mod affinity;
pub(crate) mod disjoint;
mod par_rows;
pub(crate) mod thread_pool;

pub use par_rows::{par_new_rows, par_rows};
