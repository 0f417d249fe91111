//! Several files as one list of rows.

use std::path::{Path, PathBuf};

use super::store::{Row, RowStore};
use crate::data::fault::{FaultKind, RowResult};

/// One file of rows.
pub(in crate::data) struct Shard {
    pub(in crate::data) file: PathBuf,
    pub(in crate::data) rows: Box<dyn RowStore>,
}

/// The rows of several files, end to end.
pub(in crate::data) struct Shards {
    shards: Vec<Shard>,
    /// Number of rows up to and with each shard.
    ends: Vec<u64>,
}

impl Shards {
    /// Files in their order.
    pub(in crate::data) fn new(shards: Vec<Shard>) -> Self {
        let mut end = 0;
        let ends = shards.iter().map(|shard| {
            end += shard.rows.len();
            end
        });
        Shards { ends: ends.collect(), shards }
    }

    /// Rows of all files.
    pub(in crate::data) fn len(&self) -> u64 {
        self.ends.last().copied().unwrap_or(0)
    }

    /// The file of row `index` and its number there, from 0.
    pub(in crate::data) fn place(&self, index: u64) -> Option<(&Path, u64)> {
        self.find(index).map(|(shard, own)| (shard.file.as_path(), own))
    }

    /// Row `index`.
    pub(in crate::data) fn row(&self, index: u64) -> RowResult<Row> {
        match self.find(index) {
            Some((shard, own)) => shard.rows.row(own),
            None => Err(FaultKind::Unreadable.of(format!("row {index} wanted, there are {}", self.len()))),
        }
    }

    fn find(&self, index: u64) -> Option<(&Shard, u64)> {
        let number = self.ends.partition_point(|end| *end <= index);
        let before = number.checked_sub(1).map_or(0, |before| self.ends[before]);
        self.shards.get(number).map(|shard| (shard, index - before))
    }
}
