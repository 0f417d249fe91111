//! Processes that are ready before a file comes.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use super::options::{Role, SandboxOptions};
use super::process::MediaProcess;
use crate::error::MediaError;

/// The processes that are ready.
pub(super) struct Pool {
    options: SandboxOptions,
    spares: Mutex<Vec<MediaProcess>>,
    has_warned: AtomicBool,
}

impl Pool {
    /// The processes that are kept ready are being started; one of them has answered.
    ///
    /// # Errors
    /// `Unsupported` when the program does not answer as such a process, `Io` when it cannot be started.
    pub(super) fn start_all(options: SandboxOptions) -> Result<Arc<Self>, MediaError> {
        let pool = Arc::new(Pool { options, spares: Mutex::default(), has_warned: AtomicBool::new(false) });
        // One even where none is kept, to know that it works.
        let first = pool.start(Role::Decode)?;
        pool.keep(first);
        pool.refill();
        Ok(pool)
    }

    /// A process for one file.
    pub(super) fn take(self: &Arc<Self>, role: Role) -> Result<MediaProcess, MediaError> {
        if role == Role::Ffmpeg {
            return self.start(role);
        }
        let ready = loop {
            let mut spare = self.spares.lock().unwrap_or_else(PoisonError::into_inner).pop();
            // One may have been killed by the system.
            if spare.as_mut().is_none_or(MediaProcess::is_alive) {
                break spare;
            }
        };
        self.refill();
        ready.map_or_else(|| self.start(role), Ok)
    }

    fn start(&self, role: Role) -> Result<MediaProcess, MediaError> {
        let (process, missing) = MediaProcess::start(role, &self.options)?;
        if !missing.is_empty() && !self.has_warned.swap(true, Ordering::Relaxed) {
            tracing::warn!("decoding is less confined than it should be on this system: {}", missing.join("; "));
        }
        Ok(process)
    }

    fn keep(&self, process: MediaProcess) {
        let mut spares = self.spares.lock().unwrap_or_else(PoisonError::into_inner);
        if spares.len() < self.options.spares {
            spares.push(process);
        }
    }

    /// Starts the processes that are missing, on a thread of their own. A failure shows when one is needed.
    fn refill(self: &Arc<Self>) {
        let ready = self.spares.lock().unwrap_or_else(PoisonError::into_inner).len();
        for _ in ready..self.options.spares {
            let pool = self.clone();
            let started = move || {
                if let Ok(process) = pool.start(Role::Decode) {
                    pool.keep(process);
                }
            };
            let _ = std::thread::Builder::new().name("sandbox spare".into()).spawn(started);
        }
    }
}
