//! Features of films that were encoded before: where they lie, and whether they are those that a request needs.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use zoetrope_media::{MediaError, OpenOptions, Time};
use zoetrope_models::contract::Processor;
use zoetrope_models::contract::feature_file::{FeatureKey, FilmIdentity, ModelIdentity, StoredFeatures};
use zoetrope_models::contract::media_plan::{MediaMetadata, MediaPlan};
use zoetrope_models::error::{ModelError, ModelResult};

use super::encode::{EncodedMedia, MediaFeatures};
use super::faults::FrameFaults;
use super::kept;
use super::source::{ContentDigest, FrameIter, MediaSource};
use crate::error::EngineError;
use crate::store::{ModelStore, reading};

/// What the name of a file of features ends with, behind the name of the film.
const ENDING: &str = ".zoetrope-features";

/// Looks for features of films that were encoded before.
#[derive(Clone, Debug)]
pub struct FeatureIndex {
    model: ModelIdentity,
    reading: String,
    /// A folder for films whose own folder cannot be written to.
    cache: Option<PathBuf>,
    /// A file that the caller named, for any film.
    named: Option<PathBuf>,
    /// What was computed of films before, found by their content.
    store: Option<ModelStore>,
    /// Whether files are looked for by the place of the film.
    by_place: bool,
}

impl FeatureIndex {
    /// Features of `model`, of films that are read as `files` says.
    pub fn new(model: ModelIdentity, files: &OpenOptions, cache: Option<PathBuf>, named: Option<PathBuf>) -> Self {
        FeatureIndex { model, reading: reading(files), cache, named, store: None, by_place: true }
    }

    /// Features in `store` alone: no place is looked into.
    pub fn of_store(store: ModelStore) -> Self {
        let (model, reading) = (store.model().clone(), store.reading().to_string());
        FeatureIndex { model, reading, cache: None, named: None, store: Some(store), by_place: false }
    }

    /// This index, which also finds films by their content in `store`.
    #[must_use]
    pub fn with_store(self, store: Option<ModelStore>) -> Self {
        FeatureIndex { store, ..self }
    }

    /// Where films are found by their content.
    pub fn store(&self) -> Option<&ModelStore> {
        self.store.as_ref()
    }

    /// Where features of `film` are written, in order of preference: beside it, and in the cache.
    pub fn places(&self, film: &Path) -> Vec<PathBuf> {
        let mut name = film.file_name().map(OsString::from).unwrap_or_else(|| "film".into());
        name.push(ENDING);
        let mut places = vec![film.with_file_name(&name)];
        if let Some(cache) = &self.cache {
            let whole = film.canonicalize().unwrap_or_else(|_| film.to_path_buf());
            let folder = format!("{:016x}", hash(whole.parent().unwrap_or(Path::new(""))));
            places.push(cache.join(folder).join(&name));
        }
        places
    }

    /// The key of features of `plan` of `film`; reads all of the film.
    ///
    /// # Errors
    /// When the film cannot be read.
    pub fn key(&self, film: &Path, plan: &MediaPlan, processor: &dyn Processor) -> ModelResult<FeatureKey> {
        let identity = FilmIdentity::of(film)
            .map_err(|error| ModelError::File { file: film.to_path_buf(), what: error.to_string() })?;
        let width = processor.info().feature_width;
        FeatureKey::new(Some(identity), self.reading.clone(), self.model.clone(), plan, width)
    }

    /// The plan of a file of features that is shown instead of its film.
    ///
    /// # Errors
    /// [`EngineError::Caller`] when the features are of another model.
    pub(crate) fn plan_alone(
        &self,
        stored: &StoredFeatures,
        processor: &dyn Processor,
    ) -> Result<MediaPlan, EngineError> {
        let (own, key) = (&self.model, stored.key());
        // Another program says no more of its model than the family.
        let same = match key.film {
            Some(_) => *own == key.model,
            None => own.family == key.model.family,
        };
        if !same || key.width != processor.info().feature_width {
            let text = "its features are of another model, or of this one at another precision";
            return Err(EngineError::caller(format!("{}: {text}", stored.file().display())));
        }
        Ok(stored.plan()?)
    }

    /// Features of `plan` of a film that lies at `path`, or has this content, where there are some.
    pub(crate) fn find_film(
        &self,
        path: Option<&Path>,
        content: Option<&ContentDigest>,
        plan: &MediaPlan,
        processor: &dyn Processor,
    ) -> Option<Arc<StoredFeatures>> {
        let by_place = path.filter(|_| self.by_place).and_then(|film| self.find(film, plan, processor));
        by_place.or_else(|| kept::find(self.store.as_ref()?, content?, plan, processor))
    }

    /// Stored features of `plan` of `film`, where there are some. What is there and does not fit is a warning, because
    /// encoding anew takes long.
    pub fn find(&self, film: &Path, plan: &MediaPlan, processor: &dyn Processor) -> Option<Arc<StoredFeatures>> {
        let candidates = self.named.iter().cloned().chain(self.places(film)).filter(|place| place.is_file());
        for place in candidates {
            match self.fits(&place, film, plan, processor) {
                Ok(stored) => return Some(Arc::new(stored)),
                Err(why) => tracing::warn!("{}: not used: {why}", place.display()),
            }
        }
        None
    }

    fn fits(
        &self,
        place: &Path,
        film: &Path,
        plan: &MediaPlan,
        processor: &dyn Processor,
    ) -> Result<StoredFeatures, String> {
        let stored = StoredFeatures::open(place).map_err(|error| error.to_string())?;
        let width = processor.info().feature_width;
        let own = FeatureKey::new(None, self.reading.clone(), self.model.clone(), plan, width);
        let own = own.map_err(|error| error.to_string())?;
        if let Some(what) = own.difference(stored.key()) {
            return Err(format!("it has features {what}"));
        }
        match stored.key().film.as_ref().map(|identity| identity.is_of(film)) {
            Some(Ok(true)) => Ok(stored),
            Some(Ok(false)) | None => Err(format!("{} is not the film that its features are of", film.display())),
            Some(Err(error)) => Err(format!("{}: {error}", film.display())),
        }
    }
}

/// Whether a path is named as files of features are.
pub(super) fn is_features(path: &Path) -> bool {
    path.extension().is_some_and(|ending| ending == ENDING.trim_start_matches('.'))
}

/// A film of which there are only features.
struct FeaturesAlone(Arc<StoredFeatures>, MediaPlan);

/// Opens a file of features as a film.
pub(super) fn open_alone(path: &Path) -> Result<Arc<dyn MediaSource>, EngineError> {
    let stored = StoredFeatures::open(path)?;
    let plan = stored.plan()?;
    Ok(Arc::new(FeaturesAlone(Arc::new(stored), plan)))
}

impl MediaSource for FeaturesAlone {
    fn metadata(&self) -> MediaMetadata {
        let FeaturesAlone(_, plan) = self;
        let time = |seconds: f64| Time::new((seconds * 1e6).round() as i64, 1_000_000);
        let times: Vec<Time> = plan.frames.iter().map(|frame| time(frame.source_time)).collect();
        let end = plan.frames.last().map_or(0.0, |frame| frame.source_time);
        MediaMetadata::video(plan.source, times, end)
    }

    fn stored(&self) -> Option<Arc<StoredFeatures>> {
        Some(Arc::clone(&self.0))
    }

    fn frames<'s>(&'s self, _: &[usize]) -> FrameIter<'s> {
        Box::new(std::iter::once(Err(MediaError::Caller("a file of features has no frames to decode".into()))))
    }
}

/// Stored features as media that the encoder has seen.
pub(crate) fn encoded(
    name: &str,
    plan: &MediaPlan,
    stored: Arc<StoredFeatures>,
    processor: &dyn Processor,
) -> EncodedMedia {
    let decoded = stored.decoded(plan);
    let own = stored.faults();
    let faults = FrameFaults {
        undecodable: plan.frames.len() - decoded.frames.len(),
        repeated: own.repeated,
        damaged: own.damaged,
        with_bars: own.with_bars,
    };
    let spans = processor.visual_spans(&decoded, Some(&stored.per_unit()));
    EncodedMedia { name: name.to_string(), plan: decoded, faults, features: MediaFeatures::Stored(stored), spans }
}

/// FNV-1a of a folder's name: tells films of the same name apart in the cache.
fn hash(folder: &Path) -> u64 {
    let bytes = folder.as_os_str().as_encoded_bytes();
    bytes.iter().fold(0xcbf2_9ce4_8422_2325, |hash, &byte| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3))
}
