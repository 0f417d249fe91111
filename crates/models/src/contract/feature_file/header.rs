//! What a file of features says of itself, and where its tensors lie.

use std::path::Path;

use candle_core::DType;
use serde::{Deserialize, Serialize};
use serde_json::json;

use super::identity::{FilmIdentity, ModelIdentity};
use crate::contract::media_plan::MediaPlan;
use crate::error::{ModelError, ModelResult};

/// The version of the layout and of what is computed before the encoder: raised when either changes.
pub const FORMAT: &str = "1";

/// Names of metadata.
pub(super) const FORMAT_NAME: &str = "zoetrope_features";
pub(super) const KEY: &str = "key";
pub(super) const GIVEN: &str = "given";
pub(super) const FAULTS: &str = "faults";

/// Bytes of the length before the header of a safetensors file.
pub(super) const LENGTH: u64 = 8;
/// The rows begin at a multiple of this.
const ALIGNMENT: u64 = 64;

/// Frames of the film that could not be shown as planned, so far. Those that are lost are listed apart.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct StoredFaults {
    /// Frames that show a neighbor's image.
    pub repeated: usize,
    /// Frames that may show damage.
    pub damaged: usize,
    /// Frames of another shape than most.
    pub with_bars: usize,
}

/// What features depend on: film, reading, model, plan. Neither question nor captions.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FeatureKey {
    /// Layout.
    pub format: String,
    /// Which film; `None` for features that another program made.
    pub film: Option<FilmIdentity>,
    /// How the film is read: its track, the background of transparent parts, the shape of pixels.
    pub reading: String,
    /// Which model.
    pub model: ModelIdentity,
    /// The plan without captions, as JSON: frames, views, settings. Compared as text, which is exact.
    pub plan: String,
    /// The captions of the plan, for those who have the file alone; they do not tell features apart.
    pub captions: Vec<(usize, String)>,
    /// Frames of the plan.
    pub frames: usize,
    /// Units of the plan.
    pub units: usize,
    /// Width of features.
    pub width: usize,
}

impl FeatureKey {
    /// The key of features of `plan`.
    ///
    /// # Errors
    /// [`ModelError::Bug`] when the plan is not JSON.
    pub fn new(
        film: Option<FilmIdentity>,
        reading: String,
        model: ModelIdentity,
        plan: &MediaPlan,
        width: usize,
    ) -> ModelResult<Self> {
        let (frames, units) = (plan.frames.len(), plan.units());
        Ok(FeatureKey {
            format: FORMAT.to_string(),
            film,
            reading,
            model,
            plan: plan_text(plan)?,
            captions: plan.captions.clone(),
            frames,
            units,
            width,
        })
    }

    /// Whether both are of the same features. Neither captions nor the film's time of change count.
    pub fn is_same(&self, other: &Self) -> bool {
        let same_film = match (&self.film, &other.film) {
            (Some(film), Some(other)) => film.has_bytes_of(other),
            (None, None) => true,
            _ => false,
        };
        let rest = |key: &Self| FeatureKey { film: None, captions: Vec::new(), ..key.clone() };
        same_film && rest(self) == rest(other)
    }

    /// What `other`, of the same film, has that this one does not ask for, in words; `None` when it fits.
    pub fn difference(&self, other: &Self) -> Option<&'static str> {
        if self.format != other.format {
            return Some("of another version of this program");
        }
        if self.model != other.model || self.width != other.width {
            return Some("of another model, or of this one at another precision");
        }
        if self.reading != other.reading {
            return Some("of the film read in another way (track, background, shape of pixels, tone mapping)");
        }
        (self.plan != other.plan).then_some("of other frames, sizes or settings")
    }
}

/// The plan without captions, which features do not know.
pub(super) fn plan_text(plan: &MediaPlan) -> ModelResult<String> {
    let plan = MediaPlan { captions: Vec::new(), ..plan.clone() };
    serde_json::to_string(&plan).map_err(|error| ModelError::Bug(format!("a plan as JSON: {error}")))
}

/// Numbers that are known when the last frame is encoded.
pub(super) struct Counts<'a> {
    pub(super) rows: u64,
    pub(super) units: usize,
    pub(super) lost: usize,
    pub(super) faults: &'a StoredFaults,
}

/// What rows are stored as, and what the encoder gave.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Types {
    pub(super) stored: DType,
    pub(super) given: DType,
}

impl Types {
    /// Bytes of `rows` rows of `width` values.
    pub(super) fn bytes(self, rows: u64, width: usize) -> u64 {
        rows.saturating_mul(width as u64).saturating_mul(self.stored.size_in_bytes() as u64)
    }
}

/// The header of a safetensors file for `counts`.
fn header(key: &FeatureKey, types: Types, counts: &Counts<'_>) -> ModelResult<String> {
    let bug = |error: serde_json::Error| ModelError::Bug(format!("a header as JSON: {error}"));
    let rows_end = types.bytes(counts.rows, key.width);
    let units_end = rows_end.saturating_add(4 * counts.units as u64);
    let lost_end = units_end.saturating_add(4 * counts.lost as u64);
    let metadata = json!({
        FORMAT_NAME: FORMAT,
        KEY: serde_json::to_string(key).map_err(bug)?,
        GIVEN: types.given.as_str(),
        FAULTS: serde_json::to_string(counts.faults).map_err(bug)?,
    });
    let header = json!({
        "__metadata__": metadata,
        "lost": { "dtype": "U32", "shape": [counts.lost], "data_offsets": [units_end, lost_end] },
        "per_unit": { "dtype": "U32", "shape": [counts.units], "data_offsets": [rows_end, units_end] },
        "rows": {
            "dtype": type_name(types.stored)?,
            "shape": [counts.rows, key.width],
            "data_offsets": [0, rows_end],
        },
    });
    Ok(header.to_string())
}

/// Where the rows begin: room for the header whatever its numbers will be.
pub(super) fn data_start(key: &FeatureKey, types: Types) -> ModelResult<u64> {
    let faults = StoredFaults { repeated: usize::MAX, damaged: usize::MAX, with_bars: usize::MAX };
    let most = Counts { rows: u64::MAX, units: key.units, lost: key.frames, faults: &faults };
    Ok((LENGTH + header(key, types, &most)?.len() as u64).next_multiple_of(ALIGNMENT))
}

/// The bytes before the rows: length and header, filled up with spaces.
pub(super) fn head(key: &FeatureKey, types: Types, counts: &Counts<'_>) -> ModelResult<Vec<u8>> {
    let room = data_start(key, types)? - LENGTH;
    let mut head = room.to_le_bytes().to_vec();
    head.extend(header(key, types, counts)?.bytes());
    head.resize((LENGTH + room) as usize, b' ');
    Ok(head)
}

/// The name of a type in safetensors files.
fn type_name(dtype: DType) -> ModelResult<&'static str> {
    match dtype {
        DType::F32 => Ok("F32"),
        DType::F16 => Ok("F16"),
        DType::BF16 => Ok("BF16"),
        other => Err(ModelError::Unsupported(format!("features stored as {}", other.as_str()))),
    }
}

/// An error of the file `file`.
pub(super) fn wrong(file: &Path, what: impl ToString) -> ModelError {
    ModelError::File { file: file.to_path_buf(), what: what.to_string() }
}
