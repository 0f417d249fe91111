//! Media through the vision encoder, a chunk at a time, so that other work can go on in between.

use std::collections::VecDeque;
use std::ops::Range;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Instant;

use candle_core::Device;
use zoetrope_models::contract::VideoLanguageModel;
use zoetrope_models::contract::feature_file::StoredFeatures;
use zoetrope_models::contract::features::{Features, Patches};
use zoetrope_models::contract::media_plan::{MediaPlan, PlannedFrame};
use zoetrope_models::contract::prompt::VisualSpan;
use zoetrope_models::error::ModelResult;

use super::faults::FrameFaults;
use super::patches::{CHUNK_PATCHES, PatchStream};
use super::source::MediaSource;
use crate::error::EngineError;
use crate::limits::check_limit;

/// A picture or video that the encoder has seen.
#[derive(Clone, Debug)]
pub struct EncodedMedia {
    /// As the caller named it.
    pub name: String,
    /// Its plan, without frames that could not be decoded.
    pub plan: MediaPlan,
    /// Planned frames that were not shown as planned.
    pub faults: FrameFaults,
    /// What the encoder gave.
    pub features: MediaFeatures,
    /// Its visual tokens.
    pub spans: Vec<VisualSpan>,
}

/// Features of a picture or video, wherever they are.
#[derive(Clone, Debug)]
pub enum MediaFeatures {
    /// In memory.
    Fresh(Features),
    /// In a file, from which they are read some units at a time.
    Stored(Arc<StoredFeatures>),
}

impl MediaFeatures {
    /// Rows of each unit.
    pub fn per_unit(&self) -> Vec<usize> {
        match self {
            MediaFeatures::Fresh(features) => features.per_unit.clone(),
            MediaFeatures::Stored(stored) => stored.per_unit(),
        }
    }

    /// The file that they are read from.
    pub fn file(&self) -> Option<PathBuf> {
        match self {
            MediaFeatures::Fresh(_) => None,
            MediaFeatures::Stored(stored) => Some(stored.file().to_path_buf()),
        }
    }

    /// The features of `units`, on `device` where they are read from a file.
    pub(crate) fn units(&self, units: Range<usize>, device: &Device) -> ModelResult<Features> {
        match self {
            MediaFeatures::Fresh(features) => features.units(units),
            MediaFeatures::Stored(stored) => stored.units(units, device),
        }
    }
}

/// Seconds of encoding, by stage.
#[derive(Clone, Copy, Debug, Default)]
pub struct EncodeTimings {
    /// Waiting for decoded frames.
    pub decode: f64,
    /// Preparing and encoding.
    pub encode: f64,
}

/// Media on its way through the encoder.
pub struct EncodeJob {
    model: Arc<dyn VideoLanguageModel>,
    name: String,
    planned: MediaPlan,
    decoded: Vec<PlannedFrame>,
    stream: PatchStream,
    /// Prepared, not encoded yet.
    waiting: VecDeque<Patches>,
    features: Vec<Features>,
    encoding: f64,
}

/// What one chunk of work gave.
pub enum EncodeProgress {
    /// Frames were decoded and prepared.
    Prepared(Patches),
    /// Units were encoded.
    Encoded(Features),
    /// Nothing is left.
    Done(Box<EncodedMedia>, EncodeTimings),
}

impl EncodeJob {
    /// Begins to decode `source` as `plan` says.
    pub fn new(
        model: &Arc<dyn VideoLanguageModel>,
        name: &str,
        source: &Arc<dyn MediaSource>,
        plan: MediaPlan,
    ) -> Self {
        let stream = PatchStream::new(model.processor(), name, source, &plan);
        EncodeJob {
            model: Arc::clone(model),
            name: name.to_string(),
            planned: plan,
            decoded: Vec::new(),
            stream,
            waiting: VecDeque::new(),
            features: Vec::new(),
            encoding: 0.0,
        }
    }

    /// Frames that were planned.
    pub fn planned(&self) -> usize {
        self.planned.frames.len()
    }

    /// Frames that were decoded so far.
    pub fn decoded(&self) -> usize {
        self.decoded.len()
    }

    /// Whether the next chunk goes through the encoder on an accelerator.
    pub fn needs_accelerator(&self) -> bool {
        !self.waiting.is_empty() && !self.model.weights().device().is_cpu()
    }

    /// The next chunk: some frames prepared, some units encoded, or the end.
    ///
    /// # Errors
    /// When a frame cannot be read, or the model refuses. The job is over then.
    pub fn advance(&mut self) -> Result<EncodeProgress, EngineError> {
        if let Some(patches) = self.waiting.pop_front() {
            let begun = Instant::now();
            let features = self.model.encode(&self.planned, &patches)?;
            // An accelerator has a queue for each thread, and another thread may go on with these features.
            features.rows.device().synchronize()?;
            self.encoding += begun.elapsed().as_secs_f64();
            self.features.push(features.clone());
            self.check_room()?;
            return Ok(EncodeProgress::Encoded(features));
        }
        match self.stream.next() {
            Some(prepared) => {
                let prepared = prepared?;
                self.decoded.extend(prepared.frames);
                self.waiting = prepared.patches.split(CHUNK_PATCHES)?.into();
                Ok(EncodeProgress::Prepared(prepared.patches))
            }
            None => self.finish(),
        }
    }

    /// Fails when what is encoded so far is more than the model has positions: the rest would be encoded in vain.
    fn check_room(&self) -> Result<(), EngineError> {
        if self.planned.joint {
            return Ok(());
        }
        let per_unit: Vec<usize> =
            self.features.iter().flat_map(|features| features.per_unit.iter().copied()).collect();
        let frames = per_unit.len() / self.planned.views.len().max(1);
        let Some(decoded) = self.decoded.get(..frames) else { return Ok(()) };
        let plan = self.planned.with_frames(decoded.to_vec());
        let processor = self.model.processor();
        let kept = &per_unit[..frames * self.planned.views.len()];
        let tokens = processor.visual_spans(&plan, Some(kept)).iter().map(|span| span.tokens).sum();
        check_limit("prompt tokens", tokens, processor.info().max_positions)
    }

    fn finish(&mut self) -> Result<EncodeProgress, EngineError> {
        let faults = self.stream.faults();
        let plan = self.planned.with_frames(std::mem::take(&mut self.decoded));
        if self.features.is_empty() {
            let text = match faults.undecodable {
                0 => format!("{}: no frame lies in the part that was requested", self.name),
                n => format!("{}: none of the {n} requested frames can be decoded", self.name),
            };
            return Err(EngineError::Caller(text));
        }
        let features = Features::concat(&std::mem::take(&mut self.features))?;
        features.rows.device().synchronize()?;
        let (rows, units): (usize, usize) = (features.per_unit.iter().sum(), features.per_unit.len());
        if rows != features.rows.dim(0)? || units != plan.units() {
            let (name, wants) = (&self.name, plan.units());
            let text = format!("{name}: {:?} features of {units} units, expected {wants}", features.rows.dims());
            return Err(EngineError::Bug(text));
        }
        let spans = self.model.processor().visual_spans(&plan, Some(&features.per_unit));
        let features = MediaFeatures::Fresh(features);
        let media = EncodedMedia { name: self.name.clone(), plan, faults, features, spans };
        let timings = EncodeTimings { decode: self.stream.waited(), encode: self.stream.preparing + self.encoding };
        Ok(EncodeProgress::Done(Box::new(media), timings))
    }
}
