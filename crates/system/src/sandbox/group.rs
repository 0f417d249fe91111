//! A process with all that it has started.

use std::process::Child;

use nix::sys::signal::{Signal, killpg};
use nix::unistd::Pid;

/// Kills `child`, which leads a process group (`CommandExt::process_group(0)`), and what it has started.
///
/// The caller must not have waited for the child yet: until then its number is no other's.
pub fn end_group(child: &Child) {
    if let Ok(number) = i32::try_from(child.id()) {
        // There may be nobody left.
        let _ = killpg(Pid::from_raw(number), Signal::SIGKILL);
    }
}
