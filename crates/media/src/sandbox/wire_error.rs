//! Errors as they travel.

use std::collections::BTreeSet;
use std::sync::{Mutex, PoisonError};

use serde::{Deserialize, Serialize};

use crate::error::MediaError;

/// Characters of an error that are taken over.
const MAX_TEXT: usize = 600;
/// Names of parts and quantities that are kept: the readers have fewer.
const MAX_NAMES: usize = 1000;

/// A [`MediaError`] as it travels.
#[derive(Debug, Serialize, Deserialize)]
pub(super) enum WireError {
    Io(String),
    Malformed { part: String, what: String },
    Unsupported { what: String, remedy: String },
    Limit { what: String, number: u64, limit: u64 },
    Caller(String),
    Bug(String),
}

impl From<&MediaError> for WireError {
    fn from(error: &MediaError) -> Self {
        match error {
            MediaError::Io(error) => WireError::Io(error.to_string()),
            MediaError::Malformed { part, what } => WireError::Malformed { part: (*part).into(), what: what.clone() },
            MediaError::Unsupported { what, remedy } => {
                WireError::Unsupported { what: what.clone(), remedy: remedy.clone() }
            }
            MediaError::Limit { what, number, limit } => {
                WireError::Limit { what: (*what).into(), number: *number, limit: *limit }
            }
            MediaError::Caller(text) => WireError::Caller(text.clone()),
            MediaError::Bug(text) => WireError::Bug(text.clone()),
        }
    }
}

impl From<WireError> for MediaError {
    fn from(error: WireError) -> Self {
        match error {
            WireError::Io(text) => MediaError::Io(std::io::Error::other(clean(&text))),
            WireError::Malformed { part, what } => MediaError::Malformed { part: name(&part), what: clean(&what) },
            WireError::Unsupported { what, remedy } => {
                MediaError::Unsupported { what: clean(&what), remedy: clean(&remedy) }
            }
            WireError::Limit { what, number, limit } => MediaError::Limit { what: name(&what), number, limit },
            WireError::Caller(text) => MediaError::Caller(clean(&text)),
            WireError::Bug(text) => MediaError::Bug(clean(&text)),
        }
    }
}

/// The text as one line of bounded length: the process is not trusted.
pub(super) fn clean(text: &str) -> String {
    text.chars().filter(|c| !c.is_control()).take(MAX_TEXT).collect()
}

/// The name for the life of the program. There are few, and a process that makes them up gets another.
fn name(text: &str) -> &'static str {
    static NAMES: Mutex<BTreeSet<&'static str>> = Mutex::new(BTreeSet::new());
    let text: String = text.chars().filter(|c| !c.is_control()).take(80).collect();
    let mut names = NAMES.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(known) = names.get(text.as_str()) {
        return known;
    }
    if names.len() >= MAX_NAMES {
        return "file";
    }
    let kept: &'static str = Box::leak(text.into_boxed_str());
    names.insert(kept);
    kept
}
