//! Reading features by mapping: only the rows that are asked for come into memory.

use std::ops::Range;
use std::path::{Path, PathBuf};

use candle_core::{DType, Device, Tensor};
use safetensors::tensor::{Metadata, TensorInfo};
use safetensors::{Dtype, SafeTensors};
use zoetrope_system::mmap::MappedFile;

use super::header::{FAULTS, FORMAT, FORMAT_NAME, FeatureKey, GIVEN, KEY, LENGTH, StoredFaults, wrong};
use crate::contract::features::Features;
use crate::contract::media_plan::{MediaPlan, View};
use crate::error::ModelResult;

/// Largest header, in bytes: room for a plan of some hundred thousand frames.
const HEADER_BYTES: u64 = 64 << 20;

/// Frames of a plan at most.
const MAX_FRAMES: usize = 1 << 24;
/// Views of a frame, patches and pixels of a side of one, at most, of a plan that comes from a file.
const MAX_VIEWS: usize = 256;
const MAX_SIDE: usize = 4096;
const MAX_PIXELS: u32 = 1 << 20;

/// A complete file of features.
#[derive(Debug)]
pub struct StoredFeatures {
    file: PathBuf,
    map: MappedFile,
    key: FeatureKey,
    /// Where the rows lie in the file.
    rows: Range<usize>,
    stored: DType,
    given: DType,
    /// The first row of each unit, and the number of all rows.
    starts: Vec<u64>,
    lost: Vec<u32>,
    faults: StoredFaults,
}

impl StoredFeatures {
    /// Opens `file` and checks that its parts fit together. No row is read.
    ///
    /// # Errors
    /// [`crate::error::ModelError::File`] when it cannot be read, is no file of features, or is damaged.
    pub fn open(file: &Path) -> ModelResult<Self> {
        Self::open_behind(file, 0)
    }

    /// [`StoredFeatures::open`] of what lies behind the first `from` bytes of `file`.
    ///
    /// # Errors
    /// As [`StoredFeatures::open`].
    pub fn open_behind(file: &Path, from: usize) -> ModelResult<Self> {
        let wrong = |what: &str| wrong(file, what);
        let map = MappedFile::open(file).map_err(|error| wrong(&error.to_string()))?;
        let bytes = map.get(from..).ok_or_else(|| wrong("no file of features"))?;
        let length = bytes.first_chunk::<8>().map_or(u64::MAX, |bytes| u64::from_le_bytes(*bytes));
        if length > HEADER_BYTES {
            return Err(wrong("no file of features"));
        }
        let (header, metadata) = SafeTensors::read_metadata(bytes)
            .map_err(|error| wrong(&format!("no complete file of features: {error}")))?;
        let start = from + header + LENGTH as usize;
        let text = |name: &str| metadata.metadata().as_ref().and_then(|texts| texts.get(name)).map(String::as_str);
        match text(FORMAT_NAME) {
            Some(FORMAT) => {}
            Some(other) => return Err(wrong(&format!("features of version {other}, this program reads {FORMAT}"))),
            None => return Err(wrong("no file of features")),
        }
        let key: Option<FeatureKey> = text(KEY).and_then(|key| serde_json::from_str(key).ok());
        let faults: Option<StoredFaults> = text(FAULTS).and_then(|faults| serde_json::from_str(faults).ok());
        let given = text(GIVEN).and_then(|given| given.parse::<DType>().ok());
        let (Some(key), Some(faults), Some(given)) = (key, faults, given) else {
            return Err(wrong("its key, faults or type cannot be read"));
        };
        let per_unit = numbers(&map, &metadata, "per_unit", start).ok_or_else(|| wrong("no list of units"))?;
        let lost = numbers(&map, &metadata, "lost", start).ok_or_else(|| wrong("no list of lost frames"))?;
        let starts: Vec<u64> = std::iter::once(0)
            .chain(per_unit.iter().scan(0u64, |sum, &rows| {
                *sum += u64::from(rows);
                Some(*sum)
            }))
            .collect();
        let info = metadata.info("rows").ok_or_else(|| wrong("no tensor \"rows\""))?;
        let total = starts.last().copied().unwrap_or(0);
        let stored = stored_type(info).ok_or_else(|| wrong(&format!("rows of type {:?}", info.dtype)))?;
        if info.shape != [total as usize, key.width]
            || key.frames > MAX_FRAMES
            || lost.len() > key.frames
            || per_unit.len() > key.units
        {
            let (units, shape) = (per_unit.len(), &info.shape);
            return Err(wrong(&format!("{units} units of {total} rows, but rows {shape:?}, width {}", key.width)));
        }
        if lost.iter().any(|&number| number as usize >= key.frames) {
            return Err(wrong(&format!("it lost frames of {}", key.frames)));
        }
        let rows = start + info.data_offsets.0..start + info.data_offsets.1;
        Ok(StoredFeatures { file: file.to_path_buf(), map, key, rows, stored, given, starts, lost, faults })
    }

    /// The file.
    pub fn file(&self) -> &Path {
        &self.file
    }

    /// What the features are of.
    pub fn key(&self) -> &FeatureKey {
        &self.key
    }

    /// Frames that were not as planned; those that are lost are missing in [`StoredFeatures::decoded`].
    pub fn faults(&self) -> StoredFaults {
        self.faults
    }

    /// Bytes of all rows.
    pub fn bytes(&self) -> usize {
        self.rows.len()
    }

    /// What rows are stored as.
    pub fn dtype(&self) -> DType {
        self.stored
    }

    /// Rows of each unit.
    pub fn per_unit(&self) -> Vec<usize> {
        self.starts.windows(2).map(|pair| (pair[1] - pair[0]) as usize).collect()
    }

    /// The plan that the features are of, with its captions and with all frames.
    ///
    /// # Errors
    /// [`crate::error::ModelError::File`] when it cannot be read, or does not fit the features.
    pub fn plan(&self) -> ModelResult<MediaPlan> {
        let plan: MediaPlan = serde_json::from_str(&self.key.plan)
            .map_err(|error| wrong(&self.file, format!("its plan cannot be read: {error}")))?;
        let frames = plan.frames.len();
        let sound = |view: &View| {
            let sides = [view.grid.0, view.grid.1].into_iter().all(|side| side > 0 && side <= MAX_SIDE);
            sides && [view.canvas, view.resized].into_iter().all(|(w, h)| w.max(h) <= MAX_PIXELS)
        };
        if frames != self.key.frames || plan.views.len() > MAX_VIEWS || !plan.views.iter().all(sound) {
            return Err(wrong(&self.file, format!("its plan of {frames} frames makes no sense")));
        }
        let units = self.decoded(&plan).units();
        let captioned = self.key.captions.iter().all(|(number, _)| *number < frames);
        if plan.units() != self.key.units || units + 1 != self.starts.len() || !captioned {
            return Err(wrong(&self.file, format!("its plan of {frames} frames does not fit its features")));
        }
        Ok(MediaPlan { captions: self.key.captions.clone(), ..plan })
    }

    /// `plan`, which has the frames that were planned, with those that could be decoded.
    pub fn decoded(&self, plan: &MediaPlan) -> MediaPlan {
        let mut is_lost = vec![false; plan.frames.len().max(self.key.frames)];
        self.lost.iter().for_each(|&number| is_lost[number as usize] = true);
        let frames = plan.frames.iter().zip(is_lost).filter(|(_, is_lost)| !is_lost);
        plan.with_frames(frames.map(|(frame, _)| frame.clone()).collect())
    }

    /// The features of `units` on `device`, of the type that the encoder gave.
    ///
    /// # Errors
    /// [`crate::error::ModelError::File`] when there are fewer units.
    pub fn units(&self, units: Range<usize>, device: &Device) -> ModelResult<Features> {
        let Some(starts) = self.starts.get(units.start..units.end.saturating_add(1)).filter(|s| !s.is_empty()) else {
            return Err(wrong(&self.file, format!("units {units:?} of {}", self.starts.len().saturating_sub(1))));
        };
        let (first, end) = (starts[0] as usize, starts[starts.len() - 1] as usize);
        let row = self.key.width * self.stored.size_in_bytes();
        let bytes = self.rows.start + first * row..self.rows.start + end * row;
        let shape = [end - first, self.key.width];
        let rows = Tensor::from_raw_buffer(&self.map[bytes.clone()], self.stored, &shape, device)?;
        // The pages that were copied need not stay in memory.
        self.map.release(bytes);
        let per_unit = starts.windows(2).map(|pair| (pair[1] - pair[0]) as usize).collect();
        Ok(Features { rows: rows.to_dtype(self.given)?, per_unit })
    }
}

fn stored_type(info: &TensorInfo) -> Option<DType> {
    match info.dtype {
        Dtype::F32 => Some(DType::F32),
        Dtype::F16 => Some(DType::F16),
        Dtype::BF16 => Some(DType::BF16),
        _ => None,
    }
}

/// The numbers of a one-dimensional tensor of u32.
fn numbers(bytes: &[u8], metadata: &Metadata, name: &str, start: usize) -> Option<Vec<u32>> {
    let info = metadata.info(name).filter(|info| info.dtype == Dtype::U32 && info.shape.len() == 1)?;
    let bytes = bytes.get(start + info.data_offsets.0..start + info.data_offsets.1)?;
    Some(bytes.chunks_exact(4).map(|b| u32::from_le_bytes([b[0], b[1], b[2], b[3]])).collect())
}
