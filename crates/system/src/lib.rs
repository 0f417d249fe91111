//! Safe interfaces to what only `unsafe` code can reach: memory-mapped files ([`mmap`]), the settings of the C
//! library's allocator ([`malloc`]), the process's environment ([`mod@env`]) and, with the feature `av1`, the AV1
//! decoder (`av1`). On Unix `sandbox` takes rights away from the process and passes open files. Also an allocator that
//! counts ([`counting_allocator`]), files that change as a whole ([`files`]), the memory of this process
//! ([`process_memory`]), priorities of threads ([`priority`]) and panics of libraries as errors ([`panics`]).
//!
//! Beside `kernels` the only crate that may say `unsafe`. Imports nothing of ours. Deliberately absent: arithmetic,
//! file formats, frames, threads of its own.

#[cfg(feature = "av1")]
pub mod av1;
pub mod counting_allocator;
pub mod env;
pub mod files;
pub mod malloc;
pub mod mmap;
pub mod panics;
pub mod priority;
pub mod process_memory;
#[cfg(unix)]
pub mod sandbox;
