//! What a sandboxed process may use, and how it learns it.

use std::ffi::OsString;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use zoetrope_system::sandbox::ResourceLimits;

/// The command-line argument that turns the program into a sandboxed process.
pub const ARGUMENT: &str = "media-child";

/// The variable of the environment that tells a process what it may use.
pub(super) const VARIABLE: &str = "ZOETROPE_SANDBOX";
/// Descriptors that a process may have open: the socket, a file, and those of FFmpeg and its libraries.
const DESCRIPTORS: u64 = 64;

/// What a sandboxed process may use.
#[derive(Clone, Debug)]
pub struct SandboxOptions {
    /// Bytes of address space, for the program and its threads as well.
    pub memory: u64,
    /// Processor time of all threads together.
    pub processor_time: Duration,
    /// The longest wait for one answer: what the file is, or its next frame.
    pub answer_time: Duration,
    /// Processes that are kept ready.
    pub spares: usize,
    /// A program and its arguments that call [`super::run`]; the running program with [`ARGUMENT`] when `None`.
    pub command: Option<Vec<OsString>>,
}

impl Default for SandboxOptions {
    /// 4 GiB, an hour of processor time, 60 s for an answer, one process ready.
    fn default() -> Self {
        SandboxOptions {
            memory: 4 << 30,
            processor_time: Duration::from_secs(3600),
            answer_time: Duration::from_secs(60),
            spares: 1,
            command: None,
        }
    }
}

/// What a process may do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum Role {
    /// Decode with what is built in.
    Decode,
    /// Start FFmpeg.
    Ffmpeg,
}

/// What a process is told when it starts.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub(super) struct Terms {
    pub(super) role: Role,
    memory: u64,
    processor_seconds: u64,
}

impl Terms {
    /// The terms for a process. FFmpeg's own processes get `extra` bytes more of address space.
    pub(super) fn new(role: Role, options: &SandboxOptions, extra: u64) -> Self {
        let extra = if role == Role::Ffmpeg { extra } else { 0 };
        let processor_seconds = options.processor_time.as_secs();
        Terms { role, memory: options.memory.saturating_add(extra), processor_seconds }
    }

    pub(super) fn limits(&self) -> ResourceLimits {
        let Terms { memory, processor_seconds, .. } = *self;
        ResourceLimits { memory, processor_seconds, descriptors: DESCRIPTORS }
    }
}
