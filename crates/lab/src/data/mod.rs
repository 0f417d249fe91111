//! People's own data as samples.
//!
//! [`open`] recognizes a file by its content and finds its rows by number; [`Dataset::sample`] reads one row, whatever
//! its form, and opens its media. A row that is no sample is a [`BadSample`], which [`BadRows`] counts by reason;
//! nothing takes its place. [`EpochOrder`] and [`MixtureOrder`] say which sample comes when, [`read_ahead`] makes
//! samples on threads of their own; training loads its samples so. `docs/training-data.md` shows all forms.

mod bad_rows;
mod check;
mod data_file;
mod dataset;
mod decoded;
mod fault;
mod forms;
mod media;
mod order;
mod planned;
mod prepared;
mod read_ahead;
mod rows;

use std::path::Path;
use std::sync::Arc;

pub use bad_rows::{BadKind, BadLimit, BadRows};
pub use check::{Count, DataCheck, SampleFacts, SampleKind};
pub use dataset::{BadSample, DataOptions, Dataset};
pub use decoded::DecodedSample;
pub use order::{Drawn, EpochOrder, MixtureOrder};
pub use planned::{PlannedSample, PromptRun};
pub use prepared::LoaderOptions;
pub(crate) use prepared::{Feed, FrozenFeatures, KeptMedia, LoadedMedia, LoadedSample, SampleLoader};
pub use read_ahead::{ReadAhead, read_ahead};

use crate::error::LabError;

/// Opens what `file` stands for: a data file (the format is told by its content), a folder of data files,
/// `shard-{000..012}.tar`, or a list of data files, one a line. The rows are found, none is read.
///
/// # Errors
/// [`LabError::File`] when a file cannot be read, or is of no known format.
pub fn open(file: &Path, options: &DataOptions) -> Result<Arc<dyn Dataset>, LabError> {
    Ok(Arc::new(data_file::DataFile::open(file, options)?))
}
