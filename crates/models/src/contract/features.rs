//! What goes into the vision encoder and what comes out of it.
//!
//! Legend: N patches, P values of a patch, R feature rows, E encoder width.

use std::collections::HashMap;
use std::ops::Range;
use std::path::Path;

use candle_core::{Device, Tensor};

use crate::error::{ModelError, ModelResult};

/// What the encoder looks at together: a frame, a tile, or a clip. Attention never leaves a unit, so any split between
/// units gives the same features.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unit {
    /// Frames, rows and columns of patches.
    pub grid: [usize; 3],
    /// Which of the unit's feature rows are kept (frame pruning); `None`: all of them.
    pub keep: Option<Vec<bool>>,
}

impl Unit {
    /// Patches of the unit.
    pub fn patches(&self) -> usize {
        self.grid.iter().product()
    }
}

/// Units ready for the encoder.
#[derive(Clone, Debug)]
pub struct Patches {
    /// `[N, P]` normalized pixels in the family's patch order, f32, unit after unit.
    pub pixels: Tensor,
    /// The units.
    pub units: Vec<Unit>,
}

impl Patches {
    /// Parts of at most `most` patches each, or of one unit that has more.
    ///
    /// # Errors
    /// When the units do not make N patches.
    pub fn split(&self, most: usize) -> ModelResult<Vec<Patches>> {
        let total: usize = self.units.iter().map(Unit::patches).sum();
        if total != self.pixels.dim(0)? {
            let text = format!("{} patches in units of {total}", self.pixels.dim(0)?);
            return Err(ModelError::Bug(text));
        }
        let (mut parts, mut first_unit, mut first, mut size) = (Vec::new(), 0, 0, 0);
        let mut cut = |units: Range<usize>, first: usize, size: usize| -> ModelResult<()> {
            let pixels = self.pixels.narrow(0, first, size)?;
            parts.push(Patches { pixels, units: self.units[units].to_vec() });
            Ok(())
        };
        for (number, unit) in self.units.iter().enumerate() {
            if size > 0 && size + unit.patches() > most {
                cut(first_unit..number, first, size)?;
                (first_unit, first, size) = (number, first + size, 0);
            }
            size += unit.patches();
        }
        if size > 0 {
            cut(first_unit..self.units.len(), first, size)?;
        }
        Ok(parts)
    }
}

/// What frame pruning remembers between two runs of frames of the same media.
#[derive(Clone, Debug, Default)]
pub struct PrepareState {
    /// Normalized patches of the last frame; empty before the first one.
    pub previous_frame: Vec<f32>,
}

/// What the encoder gives: it knows neither the question nor the projector, so it can be stored and used again.
#[derive(Clone, Debug)]
pub struct Features {
    /// `[R, E]`, unit after unit.
    pub rows: Tensor,
    /// Rows of each unit; sums to R.
    pub per_unit: Vec<usize>,
}

/// Metadata of a file of features.
const PER_UNIT: &str = "per_unit";

impl Features {
    /// The units of several runs, one after the other.
    ///
    /// # Errors
    /// When there are none, or their widths differ.
    pub fn concat(all: &[Features]) -> ModelResult<Features> {
        let rows: Vec<&Tensor> = all.iter().map(|features| &features.rows).collect();
        let per_unit = all.iter().flat_map(|features| features.per_unit.iter().copied()).collect();
        Ok(Features { rows: if let [one] = rows[..] { one.clone() } else { Tensor::cat(&rows, 0)? }, per_unit })
    }

    /// Bytes of the rows.
    pub fn bytes(&self) -> usize {
        self.rows.elem_count() * self.rows.dtype().size_in_bytes()
    }

    /// The features of the units `units`.
    ///
    /// # Errors
    /// When there are fewer.
    pub fn units(&self, units: Range<usize>) -> ModelResult<Features> {
        let (Some(before), Some(own)) = (self.per_unit.get(..units.start), self.per_unit.get(units.clone())) else {
            return Err(ModelError::Bug(format!("units {units:?} of {}", self.per_unit.len())));
        };
        let (first, n) = (before.iter().sum(), own.iter().sum());
        Ok(Features { rows: self.rows.narrow(0, first, n)?, per_unit: own.to_vec() })
    }

    /// Writes the features to a safetensors file.
    ///
    /// # Errors
    /// [`ModelError::File`] when it cannot be written.
    pub fn write(&self, file: &Path) -> ModelResult<()> {
        let per_unit = serde_json::json!(self.per_unit).to_string();
        let metadata = HashMap::from([(PER_UNIT.to_string(), per_unit)]);
        let rows = self.rows.to_device(&Device::Cpu)?.contiguous()?;
        safetensors::serialize_to_file([("rows", &rows)], Some(metadata), file)
            .map_err(|error| ModelError::File { file: file.to_path_buf(), what: error.to_string() })
    }

    /// Reads what [`Features::write`] has written.
    ///
    /// # Errors
    /// [`ModelError::File`] when it is missing, damaged, or its units do not make its rows.
    pub fn read(file: &Path, device: &Device) -> ModelResult<Features> {
        let wrong = |what: String| ModelError::File { file: file.to_path_buf(), what };
        let bytes = std::fs::read(file).map_err(|error| wrong(error.to_string()))?;
        let (_, metadata) =
            safetensors::SafeTensors::read_metadata(&bytes).map_err(|error| wrong(error.to_string()))?;
        let per_unit = metadata.metadata().as_ref().and_then(|metadata| metadata.get(PER_UNIT));
        let per_unit: Vec<usize> = per_unit
            .and_then(|text| serde_json::from_str(text).ok())
            .ok_or_else(|| wrong("has no list of units".to_string()))?;
        let mut tensors = candle_core::safetensors::load_buffer(&bytes, device)?;
        let rows = tensors.remove("rows").ok_or_else(|| wrong("has no tensor \"rows\"".to_string()))?;
        let sum: usize = per_unit.iter().sum();
        match rows.dims() {
            [n, _] if *n == sum => Ok(Features { rows, per_unit }),
            dims => Err(wrong(format!("units of {sum} rows, but rows {dims:?}"))),
        }
    }
}
