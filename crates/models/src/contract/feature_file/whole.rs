//! Features that are in memory as a whole, written in one go.

use std::io::Write;

use candle_core::{DType, Device};

use super::header::{Counts, FeatureKey, StoredFaults, Types, data_start, head};
use crate::contract::features::Features;
use crate::error::{ModelError, ModelResult};

/// Values that are converted to bytes at once.
const VALUES: usize = 1 << 20;

/// What the size of a file of features follows from, beside its key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FeatureSize {
    /// The type of values.
    pub dtype: DType,
    /// Rows of all units.
    pub rows: usize,
    /// Units of frames that could be decoded.
    pub units: usize,
    /// Planned frames that could not be decoded.
    pub lost: usize,
}

impl FeatureSize {
    /// Bytes of the file of `key`.
    ///
    /// # Errors
    /// [`ModelError::Bug`] when the key is not JSON.
    pub fn bytes(&self, key: &FeatureKey) -> ModelResult<u64> {
        let types = Types { stored: self.dtype, given: self.dtype };
        let numbers = 4 * (self.units as u64 + self.lost as u64);
        Ok(data_start(key, types)? + types.bytes(self.rows as u64, key.width) + numbers)
    }
}

/// Writes the file of `features`, as they are, to `out`. `lost` are the numbers of planned frames that could not be
/// decoded.
///
/// # Errors
/// [`ModelError::Bug`] when rows and units do not fit together; [`ModelError::Output`], without a name, when `out`
/// fails.
pub fn write_whole(
    out: &mut dyn Write,
    key: &FeatureKey,
    features: &Features,
    lost: &[u32],
    faults: &StoredFaults,
) -> ModelResult<()> {
    let (rows, units) = (features.per_unit.iter().sum::<usize>(), features.per_unit.len());
    if features.rows.dims() != [rows, key.width] || units > key.units {
        let (dims, width) = (features.rows.dims(), key.width);
        let text =
            format!("features {dims:?} of {units} units, planned are {rows} rows of {width}, {} units", key.units);
        return Err(ModelError::Bug(text));
    }
    let dtype = features.rows.dtype();
    let types = Types { stored: dtype, given: dtype };
    let counts = Counts { rows: rows as u64, units, lost: lost.len(), faults };
    let mut write = |bytes: &[u8]| {
        let written = out.write_all(bytes);
        written.map_err(|error| ModelError::Output { file: "features".into(), what: error.to_string() })
    };
    write(&head(key, types, &counts)?)?;
    let run = (VALUES / key.width.max(1)).max(1);
    for first in (0..rows).step_by(run) {
        let values = features.rows.narrow(0, first, run.min(rows - first))?.to_device(&Device::Cpu)?.contiguous()?;
        let view = &values;
        write(&safetensors::View::data(&view))?;
    }
    let numbers = features.per_unit.iter().map(|&rows| rows as u32).chain(lost.iter().copied());
    write(&numbers.flat_map(u32::to_le_bytes).collect::<Vec<u8>>())
}
