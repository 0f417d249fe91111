//! A file, what it is, and the process that has it open.

use std::fs::File;
use std::sync::{Arc, Mutex, PoisonError};

use super::options::Role;
use super::pool::Pool;
use super::process::{Failed, MediaProcess};
use super::wire::Opened;
use crate::error::MediaError;
use crate::frame::Time;
use crate::options::OpenOptions;

/// A file, what it is, and the process that has it open.
pub(super) struct OpenedFile {
    pool: Arc<Pool>,
    file: File,
    pub(super) options: OpenOptions,
    role: Role,
    pub(super) opened: Opened,
    pub(super) times: Vec<Time>,
    /// The process while nobody takes frames.
    idle: Mutex<Option<MediaProcess>>,
}

impl OpenedFile {
    pub(super) fn new(
        pool: Arc<Pool>,
        file: File,
        options: OpenOptions,
        role: Role,
        (process, opened, times): (MediaProcess, Opened, Vec<Time>),
    ) -> Self {
        OpenedFile { pool, file, options, role, opened, times, idle: Mutex::new(Some(process)) }
    }

    /// The process that has the file open; a fresh one while another caller has it, or after it was ended.
    pub(super) fn process(&self) -> Result<MediaProcess, MediaError> {
        let idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(mut process) = idle
            && process.is_alive()
        {
            return Ok(process);
        }
        match open_in(&self.pool, self.role, &self.file, &self.options) {
            Ok((process, ..)) => Ok(process),
            Err(Failed::Gone(error) | Failed::Refused(error)) => Err(error),
        }
    }

    /// Takes the process back for the next caller. One is kept.
    pub(super) fn give_back(&self, process: MediaProcess) {
        *self.idle.lock().unwrap_or_else(PoisonError::into_inner) = Some(process);
    }
}

/// Opens `file` in a fresh process.
pub(super) fn open_in(
    pool: &Arc<Pool>,
    role: Role,
    file: &File,
    options: &OpenOptions,
) -> Result<(MediaProcess, Opened, Vec<Time>), Failed> {
    let mut process = pool.take(role).map_err(Failed::Gone)?;
    let (opened, times) = process.open(file, options)?;
    Ok((process, opened, times))
}
