//! Writing features run by run, so that a kill at any moment loses a second of work and no more.
//!
//! Beside the place lie, until it is complete, `NAME.part` with the bytes of the file and `NAME.journal` with what of
//! them is safe. The complete file is renamed into place, and has the same bytes however often it was interrupted.

use std::ffi::OsString;
use std::fs::{File, OpenOptions};
use std::io::{Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use candle_core::{DType, Device};
use zoetrope_system::files;

use super::header::{Counts, FeatureKey, Types, data_start, head, wrong};
use super::journal::{self, FeatureRun};
use crate::contract::features::Features;
use crate::error::{ModelError, ModelResult};

/// Between two checkpoints: bringing bytes to disk takes milliseconds, and this much work may be done again.
const CHECKPOINT: Duration = Duration::from_millis(500);

/// A file of features on its way to disk.
pub struct FeatureWriter {
    place: PathBuf,
    part: PathBuf,
    journal: PathBuf,
    lock: (File, PathBuf),
    key: FeatureKey,
    /// What rows are stored as; as the encoder gives them when `None`.
    store: Option<DType>,
    types: Option<Types>,
    files: Option<(File, File)>,
    /// All runs so far, as one.
    done: FeatureRun,
    rows: u64,
    /// Runs that the journal does not have yet.
    waiting: Vec<FeatureRun>,
    interval: Duration,
    checkpointed: Instant,
}

impl FeatureWriter {
    /// Begins to write the features of `key` to `place`, or goes on where an earlier run for the same key was stopped.
    /// Nothing is written before the first run of frames is there.
    ///
    /// # Errors
    /// [`ModelError::Output`] when the folder cannot be written to; [`ModelError::Caller`] when another process writes
    /// there.
    pub fn open(place: &Path, key: FeatureKey, store: Option<DType>) -> ModelResult<Self> {
        let lock_file = beside(place, ".lock");
        let lock = files::lock(&lock_file).map_err(|error| output(&lock_file, &error))?;
        let lock = lock.ok_or_else(|| {
            ModelError::Caller(format!("{}: another process writes features there now", place.display()))
        })?;
        let mut writer = FeatureWriter {
            place: place.to_path_buf(),
            part: beside(place, ".part"),
            journal: beside(place, ".journal"),
            lock: (lock, lock_file),
            key,
            store,
            types: None,
            files: None,
            done: FeatureRun::default(),
            rows: 0,
            waiting: Vec::new(),
            interval: CHECKPOINT,
            checkpointed: Instant::now(),
        };
        writer.resume()?;
        Ok(writer)
    }

    /// Removes the journal beside a complete file at `place` that a process has left which was killed just after the
    /// file had its name. What another process writes now stays.
    ///
    /// # Errors
    /// When it cannot be removed.
    pub fn sweep(place: &Path) -> ModelResult<()> {
        let [journal, part, lock_file] = [".journal", ".part", ".lock"].map(|end| beside(place, end));
        if !journal.exists() || part.exists() {
            return Ok(());
        }
        let lock = files::lock(&lock_file).map_err(|error| output(&lock_file, &error))?;
        if lock.is_none() {
            return Ok(());
        }
        files::remove(&journal).and_then(|()| files::remove(&lock_file)).map_err(|error| output(&journal, &error))
    }

    /// This writer with another time between two checkpoints.
    #[must_use]
    pub fn with_interval(self, interval: Duration) -> Self {
        FeatureWriter { interval, ..self }
    }

    /// What is there: all runs as one.
    pub fn done(&self) -> &FeatureRun {
        &self.done
    }

    /// Bytes of rows so far.
    pub fn bytes(&self) -> u64 {
        self.types.map_or(0, |types| types.bytes(self.rows, self.key.width))
    }

    /// Takes over what the journal has, where it is of the same key and its bytes are there.
    fn resume(&mut self) -> ModelResult<()> {
        let Some(found) = journal::read(&self.journal) else { return Ok(()) };
        if !found.key.is_same(&self.key) || self.store.is_some_and(|store| store != found.types.stored) {
            tracing::warn!("{}: what is there is of other features, and is written anew", self.part.display());
            return Ok(());
        }
        // The film may have been copied since; the file says what it would have said without the interruption.
        self.key = found.key;
        let start = data_start(&self.key, found.types)?;
        let there = std::fs::metadata(&self.part).map_or(0, |metadata| metadata.len());
        let (mut end, mut length) = (start, found.opening);
        if there < start {
            return Ok(());
        }
        for (run, line_end) in found.runs {
            let rows: u64 = run.per_unit.iter().map(|&rows| u64::from(rows)).sum();
            let run_end = end.saturating_add(found.types.bytes(rows, self.key.width));
            if run_end > there || run.next < self.done.next || run.next > self.key.frames {
                break;
            }
            (end, length) = (run_end, line_end);
            self.rows += rows;
            self.add(run);
        }
        let open = |path: &Path| OpenOptions::new().read(true).write(true).open(path);
        let (mut part, mut log) = (
            open(&self.part).map_err(|error| output(&self.part, &error))?,
            open(&self.journal).map_err(|error| output(&self.journal, &error))?,
        );
        for (file, path, len) in [(&mut part, &self.part, end), (&mut log, &self.journal, length)] {
            file.set_len(len).and_then(|()| file.seek(SeekFrom::Start(len))).map_err(|error| output(path, &error))?;
        }
        self.types = Some(found.types);
        self.files = Some((part, log));
        Ok(())
    }

    fn add(&mut self, run: FeatureRun) {
        self.done.next = run.next;
        self.done.last = run.last.or(self.done.last);
        self.done.lost.extend(run.lost);
        self.done.per_unit.extend(run.per_unit);
        self.done.faults = run.faults;
    }

    /// Adds the features of a run of frames.
    ///
    /// # Errors
    /// [`ModelError::Bug`] when rows and units do not fit the plan; [`ModelError::Output`] with the bytes that are
    /// there when the disk is full.
    pub fn append(&mut self, features: &Features, run: FeatureRun) -> ModelResult<()> {
        let given = features.rows.dtype();
        let types = *self.types.get_or_insert(Types { stored: self.store.unwrap_or(given), given });
        let rows: u64 = run.per_unit.iter().map(|&rows| u64::from(rows)).sum();
        let units = self.done.per_unit.len() + run.per_unit.len();
        if features.rows.dims() != [rows as usize, self.key.width] || units > self.key.units || types.given != given {
            let (dims, width) = (features.rows.dims(), self.key.width);
            return Err(ModelError::Bug(format!(
                "features {dims:?} {given:?} of {units} units, planned are {rows} rows of {width} and {} units",
                self.key.units
            )));
        }
        if self.files.is_none() {
            self.begin(types)?;
        }
        let values = features.rows.to_device(&Device::Cpu)?.to_dtype(types.stored)?.contiguous()?;
        let view = &values;
        let bytes = safetensors::View::data(&view);
        if let Some((part, _)) = &mut self.files {
            part.write_all(&bytes).map_err(|error| output(&self.part, &error))?;
        }
        self.rows += rows;
        self.waiting.push(run.clone());
        self.add(run);
        if self.checkpointed.elapsed() >= self.interval { self.checkpoint() } else { Ok(()) }
    }

    /// Makes both files, the data file with room for its header.
    fn begin(&mut self, types: Types) -> ModelResult<()> {
        let start = data_start(&self.key, types)?;
        let opening = journal::opening(&self.key, types).map_err(|error| ModelError::Bug(error.to_string()))?;
        files::remove(&self.journal).map_err(|error| output(&self.journal, &error))?;
        files::remove(&self.part).map_err(|error| output(&self.part, &error))?;
        let create = |path: &Path| OpenOptions::new().read(true).write(true).create_new(true).open(path);
        let mut part = create(&self.part).map_err(|error| output(&self.part, &error))?;
        part.set_len(start)
            .and_then(|()| part.seek(SeekFrom::Start(start)))
            .map_err(|error| output(&self.part, &error))?;
        let mut log = create(&self.journal).map_err(|error| output(&self.journal, &error))?;
        log.write_all(opening.as_bytes()).map_err(|error| output(&self.journal, &error))?;
        self.files = Some((part, log));
        Ok(())
    }

    /// Brings everything so far to disk: first the rows, then the lines that say they are there.
    ///
    /// # Errors
    /// [`ModelError::Output`] when the disk is full or fails.
    pub fn checkpoint(&mut self) -> ModelResult<()> {
        let Some((part, log)) = &mut self.files else { return Ok(()) };
        part.sync_data().map_err(|error| output(&self.part, &error))?;
        let mut lines = String::new();
        for run in self.waiting.drain(..) {
            lines += &serde_json::to_string(&run).map_err(|error| ModelError::Bug(error.to_string()))?;
            lines.push('\n');
        }
        log.write_all(lines.as_bytes())
            .and_then(|()| log.sync_data())
            .map_err(|error| output(&self.journal, &error))?;
        self.checkpointed = Instant::now();
        Ok(())
    }

    /// Completes the file and puts it in its place. `lost` are the last frames, where those could not be decoded.
    ///
    /// # Errors
    /// [`ModelError::Caller`] when no frame was encoded, [`ModelError::Bug`] when units are missing,
    /// [`ModelError::Output`] when it cannot be written.
    pub fn finish(mut self, lost: Vec<u32>) -> ModelResult<()> {
        self.done.lost.extend(lost);
        let place = self.place.display();
        let (Some(types), true) = (self.types, self.done.last.is_some()) else {
            return Err(ModelError::Caller(format!("{place}: there are no features to write")));
        };
        let kept = self.key.frames - self.done.lost.len();
        let wanted = self.key.units / self.key.frames.max(1) * kept;
        let units = self.done.per_unit.len();
        // All frames are in each unit of a joint plan, so that lost frames take none away.
        if units != wanted && units != self.key.units {
            return Err(ModelError::Bug(format!("{place}: features of {units} units, planned are {wanted}")));
        }
        self.checkpoint()?;
        let counts = Counts { rows: self.rows, units, lost: self.done.lost.len(), faults: &self.done.faults };
        let head = head(&self.key, types, &counts)?;
        let numbers = self.done.per_unit.iter().chain(&self.done.lost);
        let tail: Vec<u8> = numbers.flat_map(|number| number.to_le_bytes()).collect();
        if let Some((part, _)) = &mut self.files {
            part.write_all(&tail)
                .and_then(|()| part.seek(SeekFrom::Start(0)))
                .and_then(|_| part.write_all(&head))
                .and_then(|()| part.sync_all())
                .map_err(|error| output(&self.part, &error))?;
        }
        self.files = None;
        let folder = self.place.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
        std::fs::rename(&self.part, &self.place)
            .and_then(|()| files::sync_folder(folder))
            .and_then(|()| files::remove(&self.journal))
            .and_then(|()| files::remove(&self.lock.1))
            .map_err(|error| output(&self.place, &error))
    }
}

/// The file beside `place` whose name has this ending.
fn beside(place: &Path, ending: &str) -> PathBuf {
    let mut name = place.file_name().map(OsString::from).unwrap_or_default();
    name.push(ending);
    place.with_file_name(name)
}

/// An error of writing `file`.
fn output(file: &Path, error: &std::io::Error) -> ModelError {
    if error.kind() == std::io::ErrorKind::NotFound {
        return wrong(file, "the folder is not there");
    }
    ModelError::Output { file: file.to_path_buf(), what: error.to_string() }
}
