//! A process that takes rights away from itself for good, and open files that are passed between processes.
//!
//! Limits on resources hold on every Unix. On Linux come a filter of system calls (seccomp) and rules for files and
//! ports (landlock), as far as the kernel has them. Nothing of this can be undone, and child processes inherit it.

mod descriptors;
mod group;
#[cfg(target_os = "linux")]
mod landlock;
mod limits;
mod rights;
#[cfg(target_os = "linux")]
mod seccomp;

use std::io;

pub use descriptors::{receive_byte, send_byte};
pub use group::end_group;
pub use limits::ResourceLimits;
pub use rights::{Missing, Rights};

/// Takes away from this process what goes beyond `rights` and `limits`, and tells what the kernel could not take.
///
/// Call it before there are other threads: they would keep their rights.
///
/// # Errors
/// When a limit cannot be set. Then the process must not go on.
pub fn confine(rights: Rights<'_>, limits: &ResourceLimits) -> io::Result<Vec<Missing>> {
    limits.apply()?;
    #[cfg(target_os = "linux")]
    {
        let mut missing = Vec::new();
        missing.extend((!landlock::restrict(rights)).then_some(Missing::Files));
        missing.extend((!seccomp::restrict(rights)).then_some(Missing::SystemCalls));
        Ok(missing)
    }
    #[cfg(not(target_os = "linux"))]
    {
        let _ = rights;
        Ok(vec![Missing::SystemCalls, Missing::Files])
    }
}
