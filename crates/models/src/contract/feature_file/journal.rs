//! What is known to be on disk of features that are still being written: one line for each checkpoint.
//!
//! A line counts when it is whole. After a kill, what the data file has beyond the last whole line is cut off.

use std::path::Path;

use candle_core::DType;
use serde::{Deserialize, Serialize};

use super::header::{FeatureKey, StoredFaults, Types};

/// A run of frames that was encoded. All numbers are numbers of planned frames.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct FeatureRun {
    /// The frame that comes next.
    pub next: usize,
    /// The last frame that was encoded.
    pub last: Option<usize>,
    /// Frames before `next` that could not be decoded.
    pub lost: Vec<u32>,
    /// Rows of each unit.
    pub per_unit: Vec<u32>,
    /// Counts of all frames before `next`.
    pub faults: StoredFaults,
}

/// The first line.
#[derive(Serialize, Deserialize)]
struct Opening {
    key: FeatureKey,
    stored: String,
    given: String,
}

/// The first line of a journal.
pub(super) fn opening(key: &FeatureKey, types: Types) -> serde_json::Result<String> {
    let name = |dtype: DType| dtype.as_str().to_string();
    let opening = Opening { key: key.clone(), stored: name(types.stored), given: name(types.given) };
    Ok(serde_json::to_string(&opening)? + "\n")
}

/// A journal as it was found.
pub(super) struct OpenJournal {
    pub(super) key: FeatureKey,
    pub(super) types: Types,
    /// Runs of whole lines, each with the length of the journal up to its end.
    pub(super) runs: Vec<(FeatureRun, u64)>,
    /// Length of the first line.
    pub(super) opening: u64,
}

/// Reads the journal `file`; `None` when there is none, or none that can be gone on with.
pub(super) fn read(file: &Path) -> Option<OpenJournal> {
    let text = std::fs::read_to_string(file).ok()?;
    let mut lines = text.split_inclusive('\n').take_while(|line| line.ends_with('\n'));
    let first = lines.next()?;
    let opening: Opening = serde_json::from_str(first).ok()?;
    let dtype = |name: &str| name.parse::<DType>().ok();
    let types = Types { stored: dtype(&opening.stored)?, given: dtype(&opening.given)? };
    let mut end = first.len() as u64;
    let mut found = OpenJournal { key: opening.key, types, runs: Vec::new(), opening: end };
    for line in lines {
        let Ok(run) = serde_json::from_str::<FeatureRun>(line) else { break };
        end += line.len() as u64;
        found.runs.push((run, end));
    }
    Some(found)
}
