//! Rows of data files, found by number: JSON lines, a JSON array, WebDataset shards, Parquet.

mod array;
mod lines;
mod open;
#[cfg(feature = "parquet")]
mod parquet;
mod shards;
mod shared_file;
mod store;
mod tar;

pub(super) use array::type_name;
pub(super) use open::open;
pub(super) use shards::Shards;
pub(super) use store::{Member, Row};
