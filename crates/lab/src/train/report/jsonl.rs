//! `metrics.jsonl`: a line for each record, in the order of steps.

use std::fs::{File, OpenOptions};
use std::io::{BufRead, BufReader, ErrorKind, Write};
use std::path::{Path, PathBuf};

use zoetrope_system::files::write_whole;

use super::record::{Record, RunRecord};
use crate::error::LabError;

/// Name of the file in the folder of a run.
pub(super) const FILE: &str = "metrics.jsonl";
/// Longest line that is read: a step of a few hundred kinds takes some kilobytes.
const MAX_LINE: usize = 1 << 20;

/// The file, open for further lines.
pub(super) struct JsonLines {
    path: PathBuf,
    file: File,
}

impl JsonLines {
    /// Opens the file of a run that goes on after `step` finished steps. Lines of later steps are cut: those steps are
    /// done again. The first line becomes that of `run`.
    pub(super) fn open(path: &Path, step: u64, run: &RunRecord) -> Result<Self, LabError> {
        let failed = |error: std::io::Error| wrong(path, error.to_string());
        let mut found = None;
        let kept = scan(path, &mut |record, _| {
            if record.step().is_some_and(|of| of > step) {
                return false;
            }
            if let Record::Run(record) = record {
                found = Some(record);
            }
            true
        })?;
        if found.as_ref() == Some(run) {
            let file = OpenOptions::new().append(true).open(path).map_err(failed)?;
            file.set_len(kept).map_err(failed)?;
            return Ok(JsonLines { path: path.to_path_buf(), file });
        }
        // Another recipe of the same run, or none yet: the line is of another length, so the file is written anew.
        let whole = if kept == 0 { Vec::new() } else { std::fs::read(path).map_err(failed)? };
        let rest = &whole[..usize::try_from(kept).unwrap_or(usize::MAX).min(whole.len())];
        let after_run = if found.is_some() { line_end(rest) } else { 0 };
        let first = line(path, &Record::Run(run.clone()))?;
        write_whole(path, |out| out.write_all(first.as_bytes()).and_then(|()| out.write_all(&rest[after_run..])))
            .map_err(failed)?;
        let file = OpenOptions::new().append(true).open(path).map_err(failed)?;
        Ok(JsonLines { path: path.to_path_buf(), file })
    }

    /// Appends a record in one write, so that a process that is killed leaves whole lines.
    pub(super) fn write(&mut self, record: &Record) -> Result<(), LabError> {
        let text = line(&self.path, record)?;
        self.file.write_all(text.as_bytes()).map_err(|error| wrong(&self.path, error.to_string()))
    }

    /// Brings what was written to disk.
    pub(super) fn sync(&self) -> Result<(), LabError> {
        self.file.sync_data().map_err(|error| wrong(&self.path, error.to_string()))
    }
}

/// Calls `take` with every record of the file and the number of its line (from 1) until it gives `false`. Gives the
/// bytes up to there. What follows the last whole line was torn by a kill and is left out; a file that is not there
/// has no records.
///
/// # Errors
/// [`LabError::File`] with the line that is no record.
pub(super) fn scan(path: &Path, take: &mut dyn FnMut(Record, usize) -> bool) -> Result<u64, LabError> {
    let file = match File::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(0),
        Err(error) => return Err(wrong(path, error.to_string())),
    };
    let mut reader = BufReader::new(file);
    let (mut end, mut number) = (0u64, 0);
    let mut bytes = Vec::new();
    loop {
        bytes.clear();
        number += 1;
        let limited = &mut std::io::Read::take(&mut reader, MAX_LINE as u64);
        let read = limited.read_until(b'\n', &mut bytes).map_err(|error| wrong(path, error.to_string()))?;
        if read == MAX_LINE {
            return Err(wrong(path, format!("line {number} is longer than {MAX_LINE} bytes")));
        }
        if bytes.last() != Some(&b'\n') {
            return Ok(end);
        }
        let record = serde_json::from_slice(&bytes)
            .map_err(|error| wrong(path, format!("line {number} is no record of a training run: {error}")))?;
        if !take(record, number) {
            return Ok(end);
        }
        end += read as u64;
    }
}

fn line(path: &Path, record: &Record) -> Result<String, LabError> {
    let text = serde_json::to_string(record).map_err(|error| wrong(path, error.to_string()))?;
    Ok(text + "\n")
}

fn line_end(bytes: &[u8]) -> usize {
    bytes.iter().position(|byte| *byte == b'\n').map_or(0, |at| at + 1)
}

fn wrong(path: &Path, what: String) -> LabError {
    LabError::File { file: path.to_path_buf(), what }
}
