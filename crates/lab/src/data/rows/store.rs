//! What a row is, and the interface of everything that has rows.

use std::sync::Arc;

use serde_json::{Map, Value};

use super::shared_file::SharedFile;
use crate::data::fault::RowResult;

/// Rows of one file, found by number.
pub(in crate::data) trait RowStore: Send + Sync {
    /// How many there are.
    fn len(&self) -> u64;

    /// Row `index`, from 0.
    fn row(&self, index: u64) -> RowResult<Row>;
}

/// One row.
#[derive(Debug, Default)]
pub(in crate::data) struct Row {
    /// Its fields.
    pub(in crate::data) fields: Map<String, Value>,
    /// Files that came with it in an archive.
    pub(in crate::data) members: Vec<Member>,
}

/// A file inside an archive.
#[derive(Clone, Debug)]
pub(in crate::data) struct Member {
    /// Its path in the archive.
    pub(in crate::data) name: String,
    /// Its place.
    pub(in crate::data) offset: u64,
    /// Its bytes.
    pub(in crate::data) size: u64,
    /// The archive.
    pub(in crate::data) archive: Arc<SharedFile>,
}

impl Member {
    /// What follows the first dot of the file's name, in small letters: `jpg`, `0.png`.
    pub(in crate::data) fn ending(&self) -> String {
        let name = self.file_name();
        name.split_once('.').map_or("", |(_, ending)| ending).to_ascii_lowercase()
    }

    /// The name without folders.
    pub(in crate::data) fn file_name(&self) -> &str {
        self.name.rsplit('/').next().unwrap_or(&self.name)
    }
}
