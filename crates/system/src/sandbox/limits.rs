//! Limits on the resources of this process (`setrlimit`).

use std::io;

use nix::sys::resource::{Resource, setrlimit};

/// What a process may use at most.
#[derive(Clone, Copy, Debug)]
pub struct ResourceLimits {
    /// Bytes of address space: memory, program and stacks of threads.
    pub memory: u64,
    /// Seconds of processor time, of all threads together. The process is killed after them.
    pub processor_seconds: u64,
    /// Open descriptors.
    pub descriptors: u64,
}

impl ResourceLimits {
    /// Sets the limits. No file can be written to and no memory image is left on a crash.
    pub(super) fn apply(&self) -> io::Result<()> {
        let set = |resource, limit| setrlimit(resource, limit, limit).map_err(io::Error::from);
        // The signal at the first limit says what happened, the one at the second does not.
        let seconds = self.processor_seconds.max(1);
        setrlimit(Resource::RLIMIT_CPU, seconds, seconds.saturating_add(1))?;
        set(Resource::RLIMIT_CORE, 0)?;
        set(Resource::RLIMIT_FSIZE, 0)?;
        set(Resource::RLIMIT_NOFILE, self.descriptors)?;
        // Where there is no such limit (OpenBSD), the one on data is next to it.
        #[cfg(not(any(target_os = "openbsd", target_os = "netbsd")))]
        set(Resource::RLIMIT_AS, self.memory)?;
        #[cfg(any(target_os = "openbsd", target_os = "netbsd"))]
        set(Resource::RLIMIT_DATA, self.memory)?;
        Ok(())
    }
}
